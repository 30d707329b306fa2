/** Each failure is one `ERROR: …` line with a hint, exit status 1, and leaves nothing half-written. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import anyTest, { type ExecutionContext } from 'ava';
import { axllm, defaultWeights, errorLines, outcome, simulator, start, type Outcome } from './helpers/cli.js';
import { temporary } from './helpers/folder.js';
import { serve } from './helpers/server.js';

const test = anyTest.serial;
const hi = ['--prompt', 'Hi', '--max-tokens', '16'];
const aipu = ['--pipeline', 'transformers-aipu', ...hi];
const simulated = (env: Record<string, string>) => ({ env: { AXLLM_RUNTIME_LIB: simulator, ...env } });

function failed(t: ExecutionContext, run: Outcome, code: string, text: RegExp, said = false) {
  t.is(run.status, 1, run.stderr);
  const [error, ...more] = errorLines(run);
  t.deepEqual(more, []);
  t.regex(error ?? '', text);
  t.true(error?.endsWith(`[${code}]`), error);
  t.regex(run.stderr, /^hint: \S/m);
  if (!said) t.is(run.stdout, '');
}

test('no device with --pipeline transformers-aipu', async (t) => {
  failed(t, await axllm(aipu, simulated({ AXSIM_DEVICES: '0' })), 'no_device', /device/i);
});

test('no runtime library with --pipeline transformers-aipu', async (t) => {
  const run = await axllm(aipu, { env: { AXLLM_RUNTIME_LIB: '/nowhere/libaxruntime.so' } });
  failed(t, run, 'no_runtime', /\/nowhere\/libaxruntime\.so/);
});

test('device in use, by whom', async (t) => {
  failed(t, await axllm(aipu, simulated({ AXSIM_IN_USE: '0=alice' })), 'device_in_use', /alice/);
});

test('too little device memory', async (t) => {
  failed(t, await axllm(aipu, simulated({ AXSIM_MEMORY: '1GiB' })), 'not_enough_memory', /1.*4|4.*1/);
});

test('a wrong selector lists the choices', async (t) => {
  const run = await axllm([...aipu, '-d', '7'], simulated({}));
  failed(t, run, 'unknown_device', /7/);
  t.regex(run.stderr, /metis-sim:0/);
});

test('a run error at step 5: what was said stays, marked incomplete', async (t) => {
  const run = await axllm(aipu, simulated({ AXSIM_FAULT: 'run@5=RUNTIME_ERROR' }));
  failed(t, run, 'device_failed', /incomplete, it ends after \d+ tokens?/, true);
  t.regex(run.stdout, /[^\n]\n$/);
});

test('a message longer than the context is refused with both counts', async (t) => {
  const run = await axllm(['-d', 'sim', '--prompt', 'word '.repeat(2000)]);
  failed(t, run, 'context_length_exceeded', /2,?0\d\d.*\d{3}/);
});

test('a truncated GGUF', async (t) => {
  const path = join(temporary(t), 'cut.gguf');
  copyFileSync(defaultWeights, path);
  truncateSync(path, 50_000_000);
  failed(t, await axllm([path, '--pipeline', 'transformers', ...hi]), 'bad_model_file', /cut\.gguf/);
});

test('not a GGUF', async (t) => {
  const path = join(temporary(t), 'letter.gguf');
  writeFileSync(path, 'Dear Sir or Madam,');
  failed(t, await axllm([path, '--pipeline', 'transformers', ...hi]), 'bad_model_file', /letter\.gguf/);
});

test('a wrong checksum', async (t) => {
  const { url } = await serve(t, (_, response) => void response.end('not what the card says'));
  const folder = temporary(t);
  const card = join(folder, 'card.yaml');
  writeFileSync(
    card,
    `axelera-model-format: 1.0.0
models:
  wrong:
    task_category: LanguageModel
    extra_kwargs:
      llm:
        weights: {file: w.gguf, md5: ${'0'.repeat(32)}, sources: [{url: '${url}/w.gguf'}]}
`,
  );
  const root = join(folder, 'root');
  const run = await axllm([card, '--pipeline', 'transformers', ...hi, '--build-root', root]);
  failed(t, run, 'checksum_mismatch', /md5 is [0-9a-f]{32}, expected 0{32}/);
  t.deepEqual(readdirSync(join(root, 'wrong')), []);
});

test('an unknown model, with close matches', async (t) => {
  const run = await axllm(['smollm2-135m-instuct', ...hi]);
  failed(t, run, 'unknown_model', /"smollm2-135m-instuct"/);
  t.regex(run.stderr, /^hint: did you mean smollm2-135m-instruct\?$/m);
});

test('a library without a symbol', async (t) => {
  const folder = temporary(t);
  writeFileSync(join(folder, 'empty.c'), 'int axr_nothing(void) { return 0; }\n');
  const library = join(folder, 'libaxruntime.so');
  execFileSync('cc', ['-shared', '-fPIC', '-o', library, join(folder, 'empty.c')]);
  failed(t, await axllm(aipu, { env: { AXLLM_RUNTIME_LIB: library } }), 'missing_symbols', /axr_\w+/);
});

test('another major version of the ABI', async (t) => {
  failed(t, await axllm(aipu, simulated({ AXSIM_API_VERSION: '2.0' })), 'version_mismatch', /2/);
});

test('a build root that cannot be written', async (t) => {
  const file = join(temporary(t), 'file');
  writeFileSync(file, '');
  const run = await axllm(['--pipeline', 'transformers', ...hi, '--build-root', join(file, 'root')]);
  t.is(run.status, 1);
  t.is(errorLines(run).length, 1);
  t.is(readFileSync(file, 'utf8'), '');
});

test('kill -9 while compiling for the simulated card: the next start works', async (t) => {
  const root = temporary(t);
  const weights = join(root, 'smollm2-135m-instruct', basename(defaultWeights));
  mkdirSync(join(root, 'smollm2-135m-instruct'));
  copyFileSync(defaultWeights, weights);
  const args = ['-d', 'sim', ...hi, '--build-root', root];
  const child = start(args);
  const done = outcome(child);
  child.stderr.on('data', (text) => {
    if (String(text).includes('Compiling')) child.kill('SIGKILL');
  });
  t.is((await done).signal, 'SIGKILL');
  const run = await axllm(args);
  t.is(run.status, 0, run.stderr);
  const left = readdirSync(root).filter((name) => name.includes('.part') || name.endsWith('.lock'));
  t.deepEqual(left, []);
});
