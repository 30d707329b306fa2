/** One-shot runs as scripts use them: words, stdin, JSON, the config file, the log. */
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import anyTest, { type ExecutionContext } from 'ava';
import { axllm, cleanEnv, cliFile, defaultWeights } from './helpers/cli.js';
import { temporary } from './helpers/folder.js';

const test = anyTest.serial;
const cpu = ['--pipeline', 'transformers', '-q'];
const hi = [...cpu, '-n', '8', '--prompt', 'Who wrote Hamlet?'];

/** Runs a shell line in which `axllm` is the program. */
function shell(line: string): Promise<{ status: number; stdout: string; stderr: string }> {
  const script = `axllm() { ${process.execPath} ${cliFile} "$@"; }\n${line}`;
  return new Promise((resolve) => {
    const child = execFile('bash', ['-c', script], { env: cleanEnv() }, (error, stdout, stderr) =>
      resolve({ status: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
    );
    child.stdin?.end();
  });
}

function configured(t: ExecutionContext, text: string): Record<string, string> {
  const folder = temporary(t);
  mkdirSync(join(folder, 'axllm'));
  writeFileSync(join(folder, 'axllm', 'config.toml'), text);
  return { XDG_CONFIG_HOME: folder };
}

test('words, --prompt, run, chat, --model and stdin mean the same', async (t) => {
  const { stdout } = await axllm(hi);
  t.regex(stdout, /[^\n]\n$/);
  const n8 = [...cpu, '-n', '8'];
  const [model, text] = ['smollm2-135m-instruct', 'Who wrote Hamlet?'];
  for (const args of [
    [model, text, ...n8],
    ['run', model, text, ...n8],
    ['chat', '-m', model, text, ...n8],
    [model, 'Who', 'wrote', 'Hamlet?', ...n8],
  ]) {
    t.is((await axllm(args)).stdout, stdout, args.join(' '));
  }
  t.is((await axllm([...n8, '--prompt', '-'], { input: `${text}\n` })).stdout, stdout);
  t.is((await axllm([...hi, '--no-stream'])).stdout, stdout);
  t.is((await axllm([...hi, '--raw'])).stdout, stdout);
});

test('what is piped in goes before the prompt, with an empty line between', async (t) => {
  const flags = '--pipeline transformers -q -n 1 --json';
  const piped = await shell(`printf 'one\\ntwo\\n' | axllm ${flags} --prompt 'Sum up'`);
  t.is(piped.status, 0, piped.stderr);
  t.is((JSON.parse(piped.stdout) as { prompt: string }).prompt, 'one\ntwo\n\nSum up');
  const none = await shell(`axllm ${flags} --prompt 'Sum up' < /dev/null`);
  t.is((JSON.parse(none.stdout) as { prompt: string }).prompt, 'Sum up');
});

test('two prompts are one too many', async (t) => {
  const run = await axllm(['smollm2-135m-instruct', 'Hi', '--prompt', 'Hi']);
  t.is(run.status, 2);
  t.regex(run.stderr, /both --prompt and "Hi" are prompts/);
});

test('--json is one object with the fields that others have', async (t) => {
  const text = (await axllm(hi)).stdout;
  const run = await axllm([...hi, '--json']);
  t.is(run.status, 0, run.stderr);
  const reply = JSON.parse(run.stdout) as Record<string, unknown>;
  t.like(reply, {
    model: 'smollm2-135m-instruct',
    prompt: 'Who wrote Hamlet?',
    response: text.slice(0, -1),
    finish_reason: 'length',
    device: 'cpu',
    conversation_id: null,
  });
  t.like(reply.usage, { completion_tokens: 8, cached_tokens: 0 });
  const timings = reply.timings as Record<string, number>;
  const keys = ['tokenize_ms', 'ttft_ms', 'prefill_ms', 'decode_ms', 'tokens_per_second'];
  t.true(keys.every((key) => (timings[key] ?? -1) >= 0));
  t.regex(String(reply.created_at), /^\d{4}-\d\d-\d\dT.*Z$/);
});

test('--json --stream is JSON lines, the last one is done', async (t) => {
  const run = await axllm([...hi, '--json', '--stream']);
  const lines = run.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  t.true(lines.length > 2);
  t.deepEqual(
    lines.map(({ done }) => done),
    lines.map((_, at) => at === lines.length - 1),
  );
  t.is(new Set(lines.map(({ id }) => id)).size, 1);
  t.is(`${lines.map(({ response }) => String(response)).join('')}\n`, (await axllm(hi)).stdout);
  t.is(lines.at(-1)?.finish_reason, 'length');
});

test('with --json an error is JSON on stdout, whatever kind it is', async (t) => {
  for (const [args, status, code] of [
    [['nonsense', 'Hi', '--json'], 1, 'unknown_model'],
    [['--json', '--temperature', 'x'], 2, 'usage'],
    [['devices', '--json', '-d', 'a,b'], 2, 'usage'],
  ] as const) {
    const run = await axllm(args);
    t.is(run.status, status);
    const { error } = JSON.parse(run.stdout) as { error: Record<string, string> };
    t.is(error.code, code);
    t.true((error.message?.length ?? 0) > 0 && (error.hint?.length ?? 0) > 0);
    t.false(run.stderr.includes('ERROR'));
  }
});

test('with --json a reply that fails half-way is kept beside its error', async (t) => {
  const env = { AXSIM_FAULT: 'run@5=RUNTIME_ERROR' };
  const run = await axllm(['-d', 'sim', '-q', '--json', '--prompt', 'Who wrote Hamlet?'], { env });
  t.is(run.status, 1);
  const { response, error } = JSON.parse(run.stdout) as { response: string; error: { code: string } };
  t.true(response.length > 0);
  t.is(error.code, 'device_failed');
});

interface Shown {
  options: Record<string, { value: unknown; source: string }>;
}

test('the config file: used, shown by axllm config, and wrong keys are named', async (t) => {
  const env = configured(t, 'temperature = 0.5\nseed = 3\napi_key = "secret"\n');
  const shown = await axllm(['config', '--json', '--seed', '4'], { env: { ...env, AXLLM_TOP_K: '9' } });
  const { options } = JSON.parse(shown.stdout) as Shown;
  t.like(options.temperature, { value: 0.5, source: 'config' });
  t.like(options.seed, { value: 4, source: 'flag' });
  t.like(options.top_k, { value: 9, source: 'env' });
  t.like(options.pipeline, { value: 'auto', source: 'default' });
  t.is(options.api_key?.value, '***');
  const card = join(temporary(t), 'card.yaml');
  writeFileSync(
    card,
    `axelera-model-format: 1.0.0
models:
  mine:
    task_category: LanguageModel
    extra_kwargs: {llm: {weights: {file: w, sources: [{url: 'https://models.example/w'}]}, options: {top_p: 0.4, temperature: 0.1}}}
`,
  );
  const carded = JSON.parse((await axllm(['config', '--json', '-m', card], { env })).stdout) as Shown;
  t.like(carded.options.top_p, { value: 0.4, source: 'card' });
  t.like(carded.options.temperature, { value: 0.5, source: 'config' });
  const wrong = await axllm(hi, { env: configured(t, 'temprature = 1\n') });
  t.is(wrong.status, 1);
  t.regex(
    wrong.stderr,
    /config\.toml: there is no option "temprature" \[bad_config\]\nhint: did you mean temperature/,
  );
  t.regex((await axllm(hi, { env: configured(t, 'a = \n') })).stderr, /config\.toml: .*\[bad_config\]/);
});

test('log: levels, a file, time stamps, and without level names', async (t) => {
  const file = join(temporary(t), 'log');
  const said = ['--pipeline', 'transformers', '-n', '1', '--prompt', 'Hi', '--show-stats'];
  const run = await axllm([...said, '--logfile', file, '--logtimestamp']);
  const stamped = /^\d{4}-\d\d-\d\dT[\d:.]+Z INFO {4}: Tokenization: /m;
  t.regex(run.stderr, stamped);
  t.regex(readFileSync(file, 'utf8'), stamped);
  t.regex((await axllm([...said, '--brief-logging'])).stderr, /^Tokenization: /m);
  t.is((await axllm([...said, '--loglevel', 'warning'])).stderr, '');
  t.is((await axllm([...said, '-q'])).stderr, '');
  t.regex((await axllm([...said, '--loglevel', 'WARNING', '-v'])).stderr, /Tokenization/);
  const bad = await axllm([...said, '--logfile', '/nowhere/log']);
  t.regex(bad.stderr, /^ERROR: .*\/nowhere\/log.*\[bad_logfile\]\nhint: /);
});

test('--help-network prints the names', async (t) => {
  const { stdout } = await axllm(['--help-network']);
  t.true(stdout.split('\n').includes('smollm2-135m-instruct'));
});

test('| head -1 ends quietly with 0', async (t) => {
  const run = await shell(
    `axllm --pipeline transformers -q -n 60 --prompt 'List ten colours, one a line' | head -1; echo "\${PIPESTATUS[0]}" >&2`,
  );
  t.is(run.stderr, '0\n');
});

test('bench: the fields, parts left out, CSV, and a slower machine than before', async (t) => {
  const small = ['bench', '--pipeline', 'transformers', '-q', '-p', '16', '-n', '4', '-r', '2'];
  const run = await axllm([...small, '--json']);
  t.is(run.status, 0, run.stderr);
  const figures = JSON.parse(run.stdout) as Record<string, number | null>;
  for (const key of [
    'load_ms',
    'prefill_tokens_per_second',
    'decode_tokens_per_second',
    'host_cpu_us_per_token',
  ]) {
    t.true((figures[key] ?? 0) > 0, key);
  }
  t.true((figures.peak_rss_bytes ?? 0) > 10e6);
  t.true((figures.load_ms_spread ?? -1) >= 0);
  const one = async (...args: string[]) =>
    JSON.parse((await axllm([...small, '-r1', '--json', ...args])).stdout) as Record<string, number | null>;
  const undecoded = await one('-n0');
  t.like(undecoded, { decode_tokens_per_second: null, host_cpu_us_per_token: null });
  t.true((undecoded.prefill_tokens_per_second ?? 0) > 0);
  const deep = await one('--depth', '300', '-n1');
  t.is(deep.depth, 300);
  // what lies in the context already is not read again
  t.true((deep.prompt_tokens ?? 0) < 100, String(deep.prompt_tokens));
  t.regex(
    (await axllm(small)).stdout,
    /^cpu, prompt of \d+ tokens\n( +[\d.]+ ±[\d.]+ +\S.*\n){4} +[\d.]+ +MB peak/,
  );
  const card = await axllm(['bench', '-d', 'sim', '-q', '-p', '16', '-n', '4', '-r', '1', '--json']);
  t.is((JSON.parse(card.stdout) as { device: string }).device, 'metis-sim:0');
  const csv = await axllm([...small, '-p0', '-r1', '--csv']);
  const [head, row, ...rest] = csv.stdout.split('\n');
  t.deepEqual(rest, ['']);
  const at = head?.split(',').indexOf('prefill_tokens_per_second') ?? -1;
  t.is(row?.split(',')[at], '');
  t.is(row?.split(',').length, head?.split(',').length);
  const both = await axllm([...small, '--csv', '--json']);
  t.is(both.status, 2);
});

test('no weights are in memory twice, even while they load: Node included, 1.25 × the file + 80 MB', async (t) => {
  const run = await axllm(['bench', '--pipeline', 'transformers', '-q', '-p64', '-n16', '-r1', '--json']);
  const { peak_rss_bytes: peak } = JSON.parse(run.stdout) as { peak_rss_bytes: number };
  const { size } = statSync(defaultWeights);
  t.true(peak > size && peak <= 1.25 * size + 80e6, `${peak} bytes for a file of ${size}`);
});

test('bench --compare: status 1 when slower than the threshold allows, and a file that is none', async (t) => {
  const before = join(temporary(t), 'before.json');
  const compare = (...args: string[]) =>
    axllm(['bench', '--pipeline', 'transformers', '-p16', '-n4', '-r1', '-q', '--compare', before, ...args]);
  writeFileSync(before, JSON.stringify({ decode_tokens_per_second: 1e9 }));
  const slower = await compare('-v');
  t.is(slower.status, 1);
  t.regex(slower.stderr, /^WARNING : decode_tokens_per_second: .* below 1000000000\.0/m);
  t.is((await compare('--threshold', '100')).status, 0);
  writeFileSync(before, JSON.stringify({ decode_tokens_per_second: 1e-9, prefill_tokens_per_second: 1e-9 }));
  t.is((await compare()).status, 0);
  for (const text of ['not json', '{}', '{"decode_tokens_per_second": "fast"}']) {
    writeFileSync(before, text);
    t.regex((await compare()).stderr, /^ERROR: .*before\.json: .*\[bad_baseline\]\nhint: /);
  }
});
