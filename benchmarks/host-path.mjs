// What the whole command line costs a token on a device that answers at once, at Llama 3.2's size (128,256 × 2,048): the
// processor time of replies streamed to a pipe, longer ones less shorter ones, so that starting costs nothing.
// node benchmarks/host-path.mjs [runs]; needs a build. The device is the simulated card with AXSIM_INSTANT; what it spends
// itself is in the figures. Status 1 when a token costs more than it may there. The first run writes a gigabyte into the cache.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
const models = process.env.AXELERA_BUILD_ROOT ?? join(cache, 'axllm');
const runs = Number(process.argv[2] ?? 7);
/**
 * Pieces come together where the reader is slower than the device. On a slow one each token is a piece of its own, which
 * wakes the threads on its way anew. `most` is in µs a token.
 */
const devices = [
  { name: 'a device that answers at once', env: {}, replies: [1000, 8000, 15_000], most: 30 },
  { name: 'one of 1,000 tokens/s', env: { AXSIM_TOKENS_PER_SECOND: '1000' }, replies: [200, 1200, 2200] },
];

/** The model's folder, made when it is missing. */
function instantModel() {
  const folder = join(process.env.AXLLM_PEERS ?? join(cache, 'axllm-peers'), 'instant');
  if (existsSync(folder)) return folder;
  const args = ['run', '--release', '-q', '-p', 'engine', '--example', 'instant_model', '--'];
  execFileSync('cargo', [...args, `${folder}.part`, '16384'], { cwd: root, stdio: ['ignore', 2, 2] });
  renameSync(`${folder}.part`, folder);
  return folder;
}

/** Makes `folder` a build root that has the model as the compiled form of the default model's file; returns that file. */
function fillBuildRoot(folder) {
  const weights = join(folder, 'instant.gguf');
  symlinkSync(join(models, 'smollm2-135m-instruct', 'SmolLM2-135M-Instruct.Q4_1.gguf'), weights);
  const { size, mtimeMs } = statSync(weights);
  const compiled = join(folder, 'compiled', 'instant-1024-sim');
  mkdirSync(compiled, { recursive: true });
  const from = (name) => relative(compiled, join(instantModel(), name));
  const manifest = {
    version: JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version,
    weights: `${size} bytes, ${mtimeMs}`,
    compiledModel: from('model.json'),
    embeddings: from('embeddings.npz'),
    tokenizerDir: from('tokenizer'),
  };
  writeFileSync(join(compiled, 'axllm.json'), JSON.stringify(manifest));
  return weights;
}

// the child's own processor time, all threads, asked for as it ends
const probe = `data:text/javascript,process.on('exit',()=>{const u=process.resourceUsage();process.stderr.write('cpu '+(u.userCPUTime+u.systemCPUTime))})`;
const folder = mkdtempSync(join(tmpdir(), 'axllm-host-'));
const weights = fillBuildRoot(folder);

/** Microseconds of processor time of one process that streams so many tokens into a pipe. */
function once(tokens, more) {
  const cli = [join(root, 'dist', 'cli.js'), weights, '-d', 'sim', '-q'];
  const args = ['--import', probe, ...cli, '-n', String(tokens), '--prompt', 'Hi'];
  const env = {
    ...process.env,
    ...more,
    AXELERA_BUILD_ROOT: folder,
    AXSIM_INSTANT: '1',
    XDG_RUNTIME_DIR: folder,
  };
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', env });
  const cpu = /cpu (\d+)$/.exec(stderr)?.[1];
  if (status !== 0 || cpu === undefined) throw new Error(`it failed: ${stderr}`);
  // a token is at least a character here
  if (stdout.length < tokens) throw new Error(`${stdout.length} characters for ${tokens} tokens`);
  return Number(cpu);
}

for (const { name, env, replies, most } of devices) {
  const parts = [[], []];
  for (let n = 0; n <= runs; n += 1) {
    const cpu = replies.map((tokens) => once(tokens, env));
    // the first round only warms up
    if (n === 0) continue;
    for (const [at, part] of parts.entries()) {
      part.push((cpu[at + 1] - cpu[at]) / (replies[at + 1] - replies[at]));
    }
  }
  for (const [at, part] of parts.entries()) {
    const all = part.toSorted((a, b) => a - b);
    const median = all[Math.floor(all.length / 2)];
    const range = `${all[0].toFixed(1)} to ${all.at(-1).toFixed(1)}`;
    const bound = most === undefined ? '' : `; may be ${most}`;
    process.stdout.write(
      `${name}, tokens ${replies[at]} to ${replies[at + 1]}: ${median.toFixed(1)} µs each (${range}${bound})\n`,
    );
    if (median > most) process.exitCode = 1;
  }
}
rmSync(folder, { recursive: true });
