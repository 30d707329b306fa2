// What the command line adds to the engine alone: wall time and peak memory of one-shot runs, side by side.
// node benchmarks/cli-overhead.mjs [runs]; needs a build, and the default model in the build root. Status 1 when it is
// more than the command line may cost.
import { spawnSync } from 'node:child_process';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const cache = process.env.AXELERA_BUILD_ROOT ?? join(homedir(), '.cache', 'axllm');
const weights = join(cache, 'smollm2-135m-instruct', 'SmolLM2-135M-Instruct.Q4_1.gguf');
const runs = Number(process.argv[2] ?? 7);
const most = { wall: 150, megabytes: 60 };

// the native module with nothing around it: the same prompt, the same number of tokens
const bare = `
  const { load } = await import(${JSON.stringify(join(root, 'index.js'))});
  const model = await load({ pipeline: 'transformers', weights: ${JSON.stringify(weights)}, contextLength: 8192 });
  const reply = model.session().reply([{ role: 'user', content: 'Hi' }], { maxTokens: 8 });
  for (let chunk; (chunk = await reply.next()) !== null; ) process.stdout.write(chunk.text);
  process.exit(0);`;
const sides = {
  'engine alone': ['--input-type=module', '-e', bare],
  axllm: [join(root, 'dist', 'cli.js'), '--pipeline', 'transformers', '-q', '-n', '8', '--prompt', 'Hi'],
};

// the child's own peak and processor time, asked for as it ends; the time tells more than the wall clock does where
// other programs run
const probe = `data:text/javascript,process.on('exit',()=>{const{maxRSS,userCPUTime,systemCPUTime}=process.resourceUsage();process.stderr.write(['used',maxRSS,userCPUTime+systemCPUTime].join(' '))})`;

function once(args) {
  const start = performance.now();
  const { status, stderr } = spawnSync(process.execPath, ['--import', probe, ...args], { encoding: 'utf8' });
  const wall = performance.now() - start;
  const used = /used (\d+) (\d+)$/.exec(stderr);
  if (status !== 0 || !used) throw new Error(`it failed: ${stderr}`);
  return { wall, cpu: Number(used[2]) / 1000, megabytes: Number(used[1]) / 1024 };
}

const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
const taken = Object.fromEntries(Object.keys(sides).map((name) => [name, []]));
// turn about, so that what else the machine does meets both
for (let n = 0; n <= runs; n++) {
  for (const [name, args] of Object.entries(sides)) {
    const figures = once(args);
    if (n > 0) taken[name].push(figures);
  }
}
const [engine, cli] = Object.values(taken).map((list) => ({
  wall: median(list.map(({ wall }) => wall)),
  cpu: median(list.map(({ cpu }) => cpu)),
  megabytes: median(list.map(({ megabytes }) => megabytes)),
}));
const added = {
  wall: cli.wall - engine.wall,
  cpu: cli.cpu - engine.cpu,
  megabytes: cli.megabytes - engine.megabytes,
};
const column = (value, digits, unit) => `${value?.toFixed(digits) ?? '-'}`.padStart(7) + ` ${unit}`;
const line = (name, { wall, cpu, megabytes }) =>
  `${name.padEnd(13)}${column(wall, 0, 'ms')}${column(cpu, 0, 'ms CPU')}${column(megabytes, 1, 'MB')}\n`;
process.stdout.write(line('engine alone', engine) + line('axllm', cli) + line('added', added) + line('at most', most));
process.exitCode = added.wall > most.wall || added.megabytes > most.megabytes ? 1 : 0;
