/** A real card's temperature through `triton_trace`: a program of that name on PATH that notes how it is called. */
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { join } from 'node:path';
import anyTest, { type ExecutionContext } from 'ava';
import { hottest } from '../ts/core-temperature.js';
import { axllm, cleanEnv, outcome, start } from './helpers/cli.js';
import { temporary } from './helpers/folder.js';

const test = anyTest.serial;

/** The simulated card with a real one's name and no readable settings, and a tool that says `output`. */
function world(t: ExecutionContext, output: string) {
  const folder = temporary(t);
  const calls = join(folder, 'calls');
  const tool = join(folder, 'triton_trace');
  const stream = `while :; do printf '%s\\n' '${output}'; sleep 0.05; done`;
  writeFileSync(tool, `#!/bin/sh\necho "$*" >> ${calls}\ncase "$*" in *--clear-buffer*) ${stream};; esac\n`);
  chmodSync(tool, 0o755);
  const env = {
    PATH: `${folder}:${cleanEnv().PATH}`,
    AXSIM_NAMES: 'metis-sim-0:1:0',
    AXSIM_FAULT: 'read=RUNTIME_ERROR',
  };
  return { env, calls: () => (existsSync(calls) ? readFileSync(calls, 'utf8').trim().split('\n') : []) };
}

test('only a line that ends in temperatures counts, and only believable ones', (t) => {
  t.is(hottest('[123] collector: core_temps=[34,33,36,33]'), 36);
  t.is(hottest('core_temps=[34]\r'), 34);
  for (const line of [
    '',
    'core_temps=[]',
    'core_temps=[34,]',
    'core_temps=[9999]',
    'core_temps=[34] and more',
    '34',
  ]) {
    t.is(hottest(line), undefined, line);
  }
});

test('the highest core is read, and the log level put back at the end', async (t) => {
  const { Thermometer } = await import('../ts/core-temperature.js');
  const { env, calls } = world(t, 'x core_temps=[34,41,33,33]');
  const thermometer = new Thermometer('metis-0:1:0', cleanEnv(env));
  t.is(await thermometer.latest(), 41);
  t.deepEqual(calls(), [
    '--device metis-0:1:0 --slog-level inf:collector',
    '--device metis-0:1:0 --clear-buffer --slog',
  ]);
  thermometer.stop();
  while (calls().length < 3) await pause(20);
  t.is(calls().at(-1), '--device metis-0:1:0 --slog-level err');
});

const putBack = '--device metis-0:1:0 --slog-level err';

/** A run whose card has a real one's name, and whose temperature is followed. */
function measured(env: Record<string, string>) {
  const named = { ...env, AXSIM_NAMES: 'metis-0:1:0' };
  return start(['-d', 'sim', '--show-stats', '--prompt', 'Tell a long story'], named);
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGSEGV', 'SIGKILL'] as const) {
  test(`a program that ends by ${signal} leaves the log level as it was`, async (t) => {
    const { env, calls } = world(t, 'core_temps=[34,35,33,33]');
    const child = measured(env);
    const done = outcome(child);
    child.stdout.once('data', () => child.kill(signal));
    await done;
    while (calls().length < 3) await pause(20);
    t.is(calls().at(-1), putBack);
  });
}

test('a device library that takes the program with it leaves the log level as it was', async (t) => {
  const { env, calls } = world(t, 'core_temps=[34,35,33,33]');
  const run = await outcome(measured({ ...env, AXSIM_FAULT: 'read=RUNTIME_ERROR;run@8=crash' }));
  t.is(run.signal, 'SIGABRT');
  while (calls().length < 3) await pause(20);
  t.is(calls().at(-1), putBack);
});

test('where the program and its helper are killed, the next run puts the log level back', async (t) => {
  const { env, calls } = world(t, 'core_temps=[34,35,33,33]');
  const child = measured(env);
  const done = outcome(child);
  await new Promise((resolve) => child.stdout.once('data', resolve));
  while (calls().length < 2) await pause(20);
  const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ');
  // the helper leads a group of its own
  for (const pid of children) process.kill(-Number(pid), 'SIGKILL');
  child.kill('SIGKILL');
  await done;
  t.false(calls().includes(putBack));
  t.is(
    (await outcome(measured({ ...env, AXSIM_FAULT: 'read=RUNTIME_ERROR;run@8=RUNTIME_ERROR' }))).status,
    1,
  );
  while (calls().at(-1) !== putBack) await pause(20);
  t.is(calls().filter((call) => call === putBack).length, 1);
});

test('the statistics show it; garbage and a missing tool are n/a', async (t) => {
  const args = ['-d', 'sim', '--show-stats', '--prompt', 'Hi', '-n', '24'];
  const run = async (env: Record<string, string>) =>
    (await axllm(args, { env: { ...env, AXSIM_NAMES: 'metis-0:1:0' } })).stderr;
  t.regex(await run(world(t, 'core_temps=[34,35,33,33]').env), /^INFO {4}: Core Temp: 35\.0°C$/m);
  t.regex(await run(world(t, 'core_temps=[oops').env), /^INFO {4}: Core Temp: n\/a$/m);
  t.regex(await run({ AXSIM_FAULT: 'read=RUNTIME_ERROR' }), /^INFO {4}: Core Temp: n\/a$/m);
});
