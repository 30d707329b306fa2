/** What a one-shot run prints, on the CPU and on the simulated card. */
import { spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import anyTest from 'ava';
import { axllm, cleanEnv, cliFile, errorLines, outcome, start } from './helpers/cli.js';

// one model at a time in memory
const test = anyTest.serial;

const places: [string, string[]][] = [
  ['CPU', ['--pipeline', 'transformers']],
  ['simulated card', ['-d', 'sim']],
];

for (const [place, where] of places) {
  test(`${place}: stdout is the reply and one newline, all else is on stderr`, async (t) => {
    const run = await axllm([...where, '--prompt', 'Who wrote Romeo and Juliet?', '--max-tokens', '24']);
    t.is(run.status, 0, run.stderr);
    t.regex(run.stdout, /Shakespeare/);
    t.regex(run.stdout, /[^\n]\n$/);
    t.false(`${run.stdout}${run.stderr}`.includes('\u001b'), 'no colour in a pipe');
    for (const line of run.stderr.trim().split('\n')) t.regex(line, /^INFO {4}: |% of /);
  });

  test(`${place}: the same prompt gives the same reply, and stdin is a prompt too`, async (t) => {
    const args = [...where, '--max-tokens', '12'];
    const first = await axllm([...args, '--prompt', 'Tell me a story']);
    const second = await axllm(args, { input: 'Tell me a story\n' });
    t.is(first.status, 0, first.stderr);
    t.is(second.stdout, first.stdout);
    const seeded = () => axllm([...args, '--prompt', 'Tell me a story', '--temperature', '1', '--seed', '7']);
    t.is((await seeded()).stdout, (await seeded()).stdout);
  });

  test(`${place}: --show-stats prints the original’s line`, async (t) => {
    const run = await axllm([...where, '--show-stats', '--prompt', 'Hi', '--max-tokens', '8']);
    const time = String.raw`\d+\.\d+(us|ms|s)`;
    const line = `^INFO    : Tokenization: ${time} \\| Prefill: ${time} \\| TTFT: ${time} \\| Gen: ${time}`;
    t.regex(run.stderr, new RegExp(`${line} \\| Tokens/sec: \\d+\\.\\d\\d \\| Tokens: \\d+$`, 'm'));
    t.is(/^INFO {4}: CPU %: [\d.]+%$/m.test(run.stderr), where.includes('sim'));
    t.is(/^INFO {4}: Core Temp: [\d.]+°C$/m.test(run.stderr), where.includes('sim'));
  });

  test(`${place}: Ctrl-C ends a reply with 130, SIGTERM with 143`, async (t) => {
    for (const [signal, status] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      const child = start([...where, '--prompt', 'Write a very long story about the sea.']);
      const done = outcome(child);
      child.stdout.once('data', () => child.kill(signal));
      const run = await done;
      t.is(run.status, status, run.stderr);
      t.deepEqual(errorLines(run), []);
      t.true(run.stdout.endsWith('\n'));
    }
  });
}

test('a reader that goes away ends the run quietly', async (t) => {
  const child = start(['--prompt', 'Write a very long story about the sea.']);
  const done = outcome(child);
  child.stdout.once('data', () => child.stdout.destroy());
  const run = await done;
  t.is(run.status, 0);
  t.deepEqual(errorLines(run), []);
});

test('a full disk behind stdout is one error', async (t) => {
  const full = openSync('/dev/full', 'w');
  const child = spawn(process.execPath, [cliFile, '--prompt', 'Hi', '--max-tokens', '4'], {
    env: cleanEnv(),
    stdio: ['ignore', full, 'pipe'],
  });
  let stderr = '';
  child.stderr?.on('data', (text) => (stderr += String(text)));
  const status = await new Promise((resolve) => child.on('close', resolve));
  t.is(status, 1);
  t.regex(stderr, /^ERROR: .*\[enospc\]$/m);
});

test('auto says in one line why it answers on the CPU', async (t) => {
  const run = await axllm(['--prompt', 'Hi', '--max-tokens', '4'], {
    env: { AXLLM_RUNTIME_LIB: '/nowhere.so' },
  });
  t.is(run.status, 0, run.stderr);
  t.is(run.stderr.match(/No Metis device answers \(.+\); answering on the CPU/g)?.length, 1);
});

test('--help of every command fits 80 columns, is grouped and shows an example; --version is the package’s', async (t) => {
  const { stdout } = await axllm(['--help']);
  const commands = [...stdout.matchAll(/^ {2}axllm (\w+)/gm)].map(([, name]) => name!);
  for (const known of ['run', 'bench', 'compile', 'completion', 'config', 'devices', 'doctor']) {
    t.true(commands.includes(known), known);
  }
  for (const args of [['--help'], ...[...new Set(commands)].map((name) => [name, '-h'])]) {
    const run = await axllm(args);
    t.is(run.status, 0);
    t.deepEqual(
      run.stdout.split('\n').filter((line) => line.length > 80),
      [],
      args.join(' '),
    );
    t.regex(run.stdout, /^Examples:\n {2}\S/m, args.join(' '));
    t.regex(run.stdout, /^Output:$|^Positionals:$/m, args.join(' '));
    t.is(run.stderr, '');
  }
  t.regex((await axllm(['-V'])).stdout, /^\d+\.\d+\.\d+\n$/);
  const bench = (await axllm(['bench', '--help'])).stdout;
  for (const args of [
    ['help', 'bench'],
    ['bench', '-p', '4', '-h'],
  ])
    t.is((await axllm(args)).stdout, bench);
  t.is((await axllm(['help'])).stdout, stdout);
  // a prompt that ends in the word is a prompt
  const run = await axllm(['smollm2-135m-instruct', ...places[0]![1], '-q', '-n', '2', 'please', 'help']);
  t.is(run.status, 0, run.stderr);
  t.notRegex(run.stdout, /Commands:/);
});

test('a wrong command line is status 2 and one error', async (t) => {
  for (const args of [
    ['--bogus'],
    ['--temperature', 'x'],
    ['-d', 'a,b', '--prompt', 'x'],
    ['--prompt', ' '],
  ]) {
    const run = await axllm(args);
    t.is(run.status, 2, args.join(' '));
    t.is(errorLines(run).length, 1);
    t.is(run.stdout, '');
  }
});

test('devices lists the simulated cards', async (t) => {
  const run = await axllm(['devices', '-d', 'sim'], { env: { AXSIM_DEVICES: '2' } });
  t.is(run.status, 0, run.stderr);
  const line =
    'Device #: metis-sim:# 16GiB pcie flver=\\S+ bcver=\\S+ clock=800MHz\\(0-3:800MHz\\) mvm=0-3:100% fw=\\S+ free\n';
  t.regex(run.stdout, new RegExp(`^${line.replaceAll('#', '0')}${line.replaceAll('#', '1')}$`));
});

test('Ctrl-C ends a run whose device hangs, and what was said stays', async (t) => {
  const child = start(['-d', 'sim', '--prompt', 'Hi there'], { AXSIM_FAULT: 'run@5=hang' });
  const done = outcome(child);
  child.stdout.once('data', () => setTimeout(() => child.kill('SIGINT'), 500));
  const run = await done;
  t.is(run.status, 130, run.stderr);
  t.true(run.stdout.length > 0);
  // the card is free again
  t.is((await axllm(['-d', 'sim', '--prompt', 'Hi', '--max-tokens', '2'])).status, 0);
});
