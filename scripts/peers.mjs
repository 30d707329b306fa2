// The two sides of `npm run bench:peers`: files, builds and one measurement of each kind.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { releaseFolder } from './freshness.mjs';

const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
/** What is built and made for the comparison, kept from one run to the next. */
export const folder = process.env.AXLLM_PEERS ?? join(cache, 'axllm-peers');
const run = (command, args, options) =>
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], ...options });

mkdirSync(folder, { recursive: true });
const bin = run('bash', ['scripts/build-llama-cpp.sh', join(folder, 'llama.cpp')]).trim();
const build = (crate, example) =>
  execFileSync('cargo', ['build', '--release', '-q', '-p', crate, '--example', example], {
    stdio: 'inherit',
  });
build('transformer', 'speed');
build('kernels', 'limits');
const speed = join(releaseFolder(), 'examples', 'speed');

/** A GGUF file with its size and the operations (two a weight of the blocks) of one token's pass. */
const file = (path, weights) => ({ path, bytes: statSync(path).size, operations: 2 * weights });

/** The path of a file in the folder of the peers, made when it is missing. */
function made(name, make) {
  const path = join(folder, name);
  if (!existsSync(path)) {
    make(`${path}.part`);
    renameSync(`${path}.part`, path);
  }
  return path;
}

// --pure: the head in the same format, since nothing else here tells its speed apart
const quantize =
  (from, kind, options = ['--pure']) =>
  (to) =>
    run(join(bin, 'llama-quantize'), ['--allow-requantize', ...options, from, to, kind]);

/** The default model, the same as other types, and a synthetic one of Llama-3.2-1B's shape; made when they are missing. */
export function models() {
  const smol = join(cache, 'axllm', 'smollm2-135m-instruct', 'SmolLM2-135M-Instruct.Q4_1.gguf');
  const synthetic = join(folder, '1b-f16.gguf');
  const wanted = ['1b-q4_0.gguf', '1b-q8_0.gguf'].some((name) => !existsSync(join(folder, name)));
  if (wanted) {
    const python = join(folder, 'venv', 'bin', 'python');
    if (!existsSync(python)) run('python3', ['-m', 'venv', join(folder, 'venv')]);
    run(python, ['-m', 'pip', '-q', 'install', 'gguf==0.19.0', 'numpy']);
    run(python, ['scripts/make-synthetic-1b.py', synthetic]);
  }
  const files = {
    smol: file(smol, 106e6),
    smolF16: file(made('smollm2-f16.gguf', quantize(smol, 'F16')), 106e6),
    smolQ40: file(made('smollm2-q4_0.gguf', quantize(smol, 'Q4_0')), 106e6),
    oneQ40: file(made('1b-q4_0.gguf', quantize(synthetic, 'Q4_0')), 973e6),
    oneQ80: file(made('1b-q8_0.gguf', quantize(synthetic, 'Q8_0')), 973e6),
    // as it is downloaded most: with a head of Q6_K
    oneQ4K: file(made('1b-q4_k_m.gguf', quantize(join(folder, '1b-q8_0.gguf'), 'Q4_K_M', [])), 973e6),
  };
  rmSync(synthetic, { force: true });
  return files;
}

/** One figure of `speed`: prompt or decode. */
export const oursIn = (kind, { path }, ...args) =>
  JSON.parse(run(speed, [path, ...withRuns(args).map(String)]))[kind];
/** threads, prompt, generate, depth, [sequences] with the number of runs where it belongs. */
const withRuns = ([threads, prompt, generate, depth, sequences]) => [
  threads,
  prompt,
  generate,
  depth,
  1,
  ...(sequences === undefined ? [] : [sequences]),
];

const bench = ({ path }, ...args) =>
  JSON.parse(run(join(bin, 'llama-bench'), ['-m', path, '-r', '1', '-o', 'json', ...args.map(String)]));
/** Its own warm-up is a whole prompt; where that takes long, a short prompt before does as much (see benchmarks/README.md). */
const prompt = ({ bytes }) => (bytes > 5e8 ? ['-p', '64,512', '--no-warmup'] : ['-p', 512]);
const question = 'Answer in one word: which colour has the sky on a clear day?';

export const llama = {
  prompt: (model, threads) => bench(model, '-t', threads, '-n', 0, ...prompt(model)).at(-1).avg_ts,
  decode: (model, threads, tokens, depth) =>
    bench(model, '-t', threads, '-p', 0, '-n', tokens, '-d', depth).at(-1).avg_ts,
  batched({ path }, sequences) {
    const args = ['-m', path, '-t', '2', '-npp', '64', '-ntg', '64', '-npl', String(sequences), '-c', '4096'];
    const lines = run(join(bin, 'llama-batched-bench'), args).split('\n');
    return Number(lines.findLast((line) => /^\|\s+\d/.test(line)).split('|')[8]); // S_TG t/s
  },
  answer: ({ path }) => [
    join(bin, 'llama-completion'),
    ['-m', path, '-t', '2', '-n', '1', '-no-cnv', '--no-warmup', '-p', question],
  ],
};

const cli = process.env.AXLLM_CLI ?? 'dist/cli.js';
export const node = {
  answer: ({ path }) => [
    process.execPath,
    [cli, path, '--pipeline', 'transformers', '-q', '-n', '1', '--prompt', question],
  ],
  /** The most megabytes that the whole process of a short reply has resident, Node included. */
  memory({ path }) {
    const plan = ['--threads', '2', '-p', '64', '-n', '16', '-r', '1', '--json'];
    const args = [cli, 'bench', path, '--pipeline', 'transformers', '-q', ...plan];
    return JSON.parse(run(process.execPath, args)).peak_rss_bytes / 1e6;
  },
};

/** The same measurement while another process keeps one core busy. */
export const besides = (measure) => () => {
  const other = spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' });
  try {
    return measure();
  } finally {
    other.kill('SIGKILL');
  }
};

/** Milliseconds of a whole process. */
export function wall(command, args) {
  const started = performance.now();
  const { status, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (status !== 0) throw new Error(`${command} failed: ${stderr}`);
  return performance.now() - started;
}

/** Peers that install themselves: their short answer. What cannot be installed here is said and left out. */
export function peers() {
  const home = join(folder, 'node-llama-cpp');
  const module = join(home, 'node_modules', 'node-llama-cpp');
  if (!existsSync(module)) {
    mkdirSync(home, { recursive: true });
    writeFileSync(join(home, 'package.json'), '{"private":true,"type":"module"}\n');
    const args = ['install', '--no-audit', '--no-fund', '--ignore-scripts', 'node-llama-cpp@3.22.1'];
    if (spawnSync('npm', args, { cwd: home, stdio: 'ignore' }).status !== 0) {
      console.error('node-llama-cpp cannot be installed here: left out');
      return [];
    }
  }
  const smol = join(cache, 'axllm', 'smollm2-135m-instruct', 'SmolLM2-135M-Instruct.Q4_1.gguf');
  const script = join(home, 'answer.mjs');
  writeFileSync(
    script,
    `import { getLlama, LlamaChatSession } from 'node-llama-cpp';
const llama = await getLlama({ build: 'never', gpu: false, logLevel: 'disabled', maxThreads: 2 });
const model = await llama.loadModel({ modelPath: process.argv[2] });
const context = await model.createContext({ contextSize: 512 });
const session = new LlamaChatSession({ contextSequence: context.getSequence() });
process.stdout.write(await session.prompt(${JSON.stringify(question)}, { maxTokens: 1, temperature: 0 }));
process.exit(0);
`,
  );
  try {
    wall(process.execPath, [script, smol]);
  } catch (error) {
    console.error(`node-llama-cpp does not run here: left out (${String(error).split('\n')[0]})`);
    return [];
  }
  return [{ name: 'node-llama-cpp', ms: () => wall(process.execPath, [script, smol]) }];
}
