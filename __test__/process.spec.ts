/** What a shell, a scheduler or another program does to `axllm`: streams that fail, odd surroundings, signals. */
import { execFile } from 'node:child_process';
import { existsSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import anyTest from 'ava';
import {
  axllm,
  cleanEnv,
  cliFile,
  errorLines,
  outcome,
  sharedRoot,
  start,
  type Outcome,
} from './helpers/cli.js';
import { temporary } from './helpers/folder.js';
import { sample, serve } from './helpers/server.js';

// one model at a time in memory
const test = anyTest.serial;
const short = '--pipeline transformers -q -n 2 --prompt Hi';

/** Runs a shell line in which `axllm` is the program; `status` is the line's own. */
function shell(line: string, env: Record<string, string> = {}, cwd = process.cwd()): Promise<Outcome> {
  const script = `axllm() { ${process.execPath} ${cliFile} "$@"; }\n${line}`;
  return new Promise((resolve) => {
    const child = execFile('bash', ['-c', script], { env: cleanEnv(env), cwd }, (error, stdout, stderr) => {
      const status = typeof error?.code === 'number' ? error.code : error ? null : 0;
      resolve({ status, signal: error?.signal ?? null, stdout, stderr });
    });
    child.stdin?.end();
  });
}

const commands = [
  '--help',
  'bench --help',
  '--version',
  '--help-network',
  'config',
  'config --json',
  'completion bash',
  'list',
  'list --json',
  'show smollm2-135m-instruct --json',
  '--get-completions smol',
  'devices -d sim',
  'devices -d sim --json',
  'doctor --pipeline transformers -q',
  'doctor --pipeline transformers -q --json',
  'bench --pipeline transformers -q -p 8 -n 2 -r 1 --json',
  short,
  `${short} --json`,
  `${short} --json --stream`,
];

for (const command of commands) {
  test(`a full disk and a reader that has gone: axllm ${command}`, async (t) => {
    const full = await shell(`axllm ${command} > /dev/full`);
    t.is(full.status, 1, full.stderr);
    t.is(errorLines(full).length, 1, full.stderr);
    t.regex(full.stderr, /^ERROR: stdout cannot be written: .* \[enospc\]\nhint: \S.*\n$/m);
    const gone = await shell(`axllm ${command} | true; exit "\${PIPESTATUS[0]}"`);
    t.is(gone.status, 0, gone.stderr);
    t.deepEqual(errorLines(gone), []);
  });
}

test('an error in JSON that stdout does not take is told on stderr', async (t) => {
  const run = await shell('axllm nonsense --json > /dev/full');
  t.is(run.status, 1);
  t.regex(run.stderr, /^ERROR: Unknown model "nonsense" \[unknown_model\]\nhint: .*\n$/);
});

test('a full disk behind stderr or the log file does not cost the reply', async (t) => {
  const { stdout } = await shell(`axllm ${short}`);
  const deaf = await shell(`axllm ${short} -vv 2> /dev/full`);
  t.deepEqual([deaf.status, deaf.stdout], [0, stdout]);
  const log = await shell(`axllm ${short} -vv --logfile /dev/full`);
  t.deepEqual([log.status, log.stdout], [0, stdout]);
  t.is(log.stderr.match(/^WARNING : The log file is no longer written: ENOSPC/gm)?.length, 1);
});

for (const [what, redirect] of [
  ['closed', '<&-'],
  ['/dev/null', '< /dev/null'],
  ['an empty pipe', '< <(true)'],
  ['a pipe of blanks', '< <(echo)'],
] as const) {
  test(`stdin is ${what} and there is no prompt: the chat is over, no model is loaded`, async (t) => {
    const run = await shell(`axllm --build-root /nowhere ${redirect}`);
    t.deepEqual([run.status, run.stdout, run.stderr], [0, '', 'INFO    : Goodbye!\n']);
  });
}

test('stdin that is no prompt: a folder, nothing where - asks for it, and more than anything holds', async (t) => {
  for (const [line, status, text] of [
    ['axllm < /', 2, /stdin is a folder \[usage\]/],
    ['axllm --prompt - < /dev/null', 2, /stdin holds no prompt \[usage\]/],
    ['yes | axllm', 1, /stdin holds more than 4194304 bytes \[prompt_too_long\]/],
  ] as const) {
    const run = await shell(line);
    t.is(run.status, status, line);
    t.is(errorLines(run).length, 1);
    t.regex(run.stderr, text);
  }
});

test('NUL and bytes that are not UTF-8 are a prompt, and the latter are spoken of', async (t) => {
  const run = await shell(`printf 'a\\0b\\xff' | axllm --pipeline transformers -n 1 --json`);
  t.is(run.status, 0, run.stderr);
  t.is((JSON.parse(run.stdout) as { prompt: string }).prompt, 'a\u0000b\ufffd');
  t.regex(run.stderr, /^WARNING : stdin is not UTF-8/m);
});

for (const [what, line] of [
  ['no HOME', `unset HOME; axllm ${short}`],
  ['a HOME that is not there', `HOME=/nowhere axllm ${short}`],
  ['an XDG_CONFIG_HOME that is a file', `touch f; XDG_CONFIG_HOME=$PWD/f axllm ${short}`],
  ['no folder for run-time files', `unset XDG_RUNTIME_DIR; axllm ${short}`],
  ['no folder for temporary files', `TMPDIR=/nowhere axllm ${short}`],
  ['an odd locale and time zone', `TZ=Mars/Olympus LANG=xx axllm ${short} --logtimestamp`],
  ['umask 777', `umask 777; axllm ${short}`],
  // Node opens all parts of the program at once while it loads them
  ['128 descriptors', `ulimit -n 128; axllm ${short}`],
  [
    'an empty environment',
    `exec env -i AXELERA_BUILD_ROOT=${sharedRoot} ${process.execPath} ${cliFile} ${short}`,
  ],
] as const) {
  test(`surroundings: ${what}`, async (t) => {
    const run = await shell(line, {}, temporary(t));
    t.is(run.status, 0, run.stderr);
    t.regex(run.stdout, /^\S.*\n$/);
    t.is(run.stderr, '');
  });
}

for (const [what, line, code] of [
  ['the working folder is gone', 'cd "$(mktemp -d)" && rmdir "$PWD" && axllm --help', 'no_working_folder'],
  ['config.toml is a folder', 'mkdir -p axllm/config.toml; XDG_CONFIG_HOME=$PWD axllm config', 'bad_config'],
  [
    'a HOME without the model, offline',
    `env -u AXELERA_BUILD_ROOT HOME=/proc/self ${process.execPath} ${cliFile} ${short} --offline`,
    'offline',
  ],
] as const) {
  test(`surroundings: ${what}`, async (t) => {
    const run = await shell(line, {}, temporary(t));
    t.is(run.status, 1);
    t.is(errorLines(run).length, 1);
    t.regex(run.stderr, new RegExp(`^ERROR: [^\\n]*\\[${code}\\]\\nhint: [^\\n]+\\n$`));
  });
}

test('a build root behind a link works', async (t) => {
  const link = join(temporary(t), 'link');
  symlinkSync(sharedRoot, link);
  const run = await shell(`axllm ${short} --build-root ${link}`);
  t.is(run.status, 0, run.stderr);
});

const story = ['--prompt', 'Write a very long story about the sea.'];
/** A card slow enough to see each step. */
const paced = { AXSIM_TOKENS_PER_SECOND: '4' };

test('SIGINT stops the device within one step', async (t) => {
  const child = start(['-d', 'sim', '-q', ...story], paced);
  const pieces: string[] = [];
  child.stdout.on('data', (piece) => {
    if (pieces.push(String(piece)) === 3) child.kill('SIGINT');
  });
  const run = await outcome(child);
  t.is(run.status, 130, run.stderr);
  t.is(run.stderr, '');
  // at 4 tokens a second, a piece that comes after the signal was on its way already
  t.true(pieces.length <= 5, JSON.stringify(pieces));
  t.true(run.stdout.endsWith('\n'));
});

test('SIGINT while the model loads, and a second one while the device hangs', async (t) => {
  const loading = start(['--pipeline', 'transformers', ...story]);
  loading.stderr.once('data', () => loading.kill('SIGINT'));
  const run = await outcome(loading);
  t.deepEqual([run.status, errorLines(run)], [130, []]);
  const hanging = start(['-d', 'sim', '-q', ...story], { AXSIM_FAULT: 'run@5=hang' });
  hanging.stdout.once('data', () => {
    hanging.kill('SIGINT');
    setTimeout(() => hanging.kill('SIGINT'), 100);
  });
  t.is((await outcome(hanging)).status, 130);
});

test('SIGINT during a download is quiet, leaves no file that looks complete, and the next run fetches it', async (t) => {
  const { body, expected } = sample(3_000_000);
  const { url } = await serve(t, (_, response, count) => {
    response.writeHead(200, { 'content-length': body.length });
    // the first time it never gets to the end
    if (count === 0) response.write(body.subarray(0, 2_000_000));
    else response.end(body);
  });
  const folder = temporary(t);
  const card = join(folder, 'card.yaml');
  writeFileSync(
    card,
    `axelera-model-format: 1.0.0
models:
  slow:
    task_category: LanguageModel
    extra_kwargs:
      llm:
        weights: {file: w.gguf, md5: ${expected.md5}, size: ${expected.size}, sources: [{url: '${url}/w.gguf'}]}
`,
  );
  const args = [card, ...short.split(' '), '--build-root', join(folder, 'root')];
  const child = start(args);
  child.stderr.on('data', (text) => {
    if (/\b[4-6]0 %/.test(String(text))) child.kill('SIGINT');
  });
  const run = await outcome(child);
  t.deepEqual([run.status, errorLines(run)], [130, []], run.stderr);
  t.false(existsSync(join(folder, 'root', 'slow', 'w.gguf')));
  // what was fetched is no model, but it is whole
  t.regex((await axllm(args)).stderr, /^ERROR: .*w\.gguf.*\[bad_model_file\]$/m);
});

test('two programs and one card: the second is told who has it, the first is unharmed', async (t) => {
  const args = ['-d', 'sim', '-q', '-n', '12', ...story];
  const alone = await axllm(args);
  const first = start(args, paced);
  const firstEnd = outcome(first);
  await new Promise((resolve) => first.stdout.once('data', resolve));
  const second = await axllm(args);
  t.is(second.status, 1);
  t.regex(second.stderr, new RegExp(`^ERROR: .*in use by pid ${first.pid} \\[device_in_use\\]\nhint: `));
  const end = await firstEnd;
  t.deepEqual([end.status, end.stdout], [0, alone.stdout]);
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGKILL'] as const) {
    const holder = start(args, paced);
    const ended = outcome(holder);
    await new Promise((resolve) => holder.stdout.once('data', resolve));
    holder.kill(signal);
    await ended;
    t.is((await axllm([...args, '-n', '1'])).status, 0, `after ${signal} the card is free`);
  }
});

test('a terminal that is gone (SIGHUP) is status 129', async (t) => {
  const child = start(['--pipeline', 'transformers', ...story]);
  child.stdout.once('data', () => child.kill('SIGHUP'));
  t.is((await outcome(child)).status, 129);
});

test('a card, a model and a log file cannot forge a line or drive the terminal', async (t) => {
  const folder = temporary(t);
  const evil = '\u001b]0;owned\u0007\u009b2J\u202e';
  const card = join(folder, 'card.yaml');
  writeFileSync(
    card,
    `axelera-model-format: 1.0.0
name: "a\\nERROR: forged\\e[2J\\u009b2J\\u202e"
models:
  evil:
    task_category: LanguageModel
    extra_kwargs:
      llm:
        weights: {file: w.gguf, sources: [{url: 'http://127.0.0.1:9/w.gguf'}]}
`,
  );
  const log = join(folder, 'log');
  const runs = [
    await axllm([card, '--prompt', 'Hi', '--offline', '--logfile', log, '-vv']),
    await axllm([`no${evil}\nERROR: forged`, '--prompt', 'Hi']),
    await axllm(['config', '--system-prompt', evil]),
    await axllm(['config', '--system-prompt', evil, '--json']),
    await axllm([`no${evil}`, '--prompt', 'Hi', '--json']),
    await axllm(['devices', '-d', 'sim', '--json'], { env: { AXSIM_FIRMWARE: evil } }),
    await axllm(['devices', '-d', 'sim'], { env: { AXSIM_FIRMWARE: evil } }),
    await axllm(['doctor', '-d', 'sim', '-m', `x${evil}`]),
    await axllm(['--get-completions', '-d', ''], { env: { AXSIM_FIRMWARE: evil } }),
    await axllm(['completion', evil]),
    await axllm([`--no${evil}`]),
  ];
  // oxlint-disable-next-line no-control-regex -- looking for them is the purpose
  const drives = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;
  for (const run of runs) {
    t.notRegex(`${run.stdout}${run.stderr}`, drives);
    t.true(errorLines(run).length <= 1, run.stderr);
  }
  t.is(
    (JSON.parse(runs[3]!.stdout) as { options: Record<string, { value: string }> }).options.system_prompt
      ?.value,
    evil,
  );
});
