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

test('the highest core is read; the log level is put back, also after SIGKILL', async (t) => {
  const { Thermometer } = await import('../ts/core-temperature.js');
  const { env, calls } = world(t, 'x core_temps=[34,41,33,33]');
  const thermometer = new Thermometer('metis-0:1:0', cleanEnv(env));
  while (thermometer.latest() === undefined) await pause(20);
  t.is(thermometer.latest(), 41);
  t.deepEqual(calls(), [
    '--device metis-0:1:0 --slog-level inf:collector',
    '--device metis-0:1:0 --clear-buffer --slog',
  ]);
  thermometer.stop();
  while (calls().length < 3) await pause(20);
  t.is(calls().at(-1), '--device metis-0:1:0 --slog-level err');
});

for (const signal of ['SIGINT', 'SIGKILL'] as const) {
  test(`a program that ends by ${signal} leaves the log level as it was`, async (t) => {
    const { env, calls } = world(t, 'core_temps=[34,35,33,33]');
    const named = { ...env, AXSIM_NAMES: 'metis-0:1:0' };
    const child = start(['-d', 'sim', '--show-stats', '--prompt', 'Tell a long story'], named);
    const done = outcome(child);
    child.stdout.once('data', () => child.kill(signal));
    await done;
    while (calls().length < 3) await pause(20);
    t.is(calls().at(-1), '--device metis-0:1:0 --slog-level err');
  });
}

test('the statistics show it; garbage and a missing tool are n/a', async (t) => {
  const args = ['-d', 'sim', '--show-stats', '--prompt', 'Hi', '-n', '24'];
  const run = async (env: Record<string, string>) =>
    (await axllm(args, { env: { ...env, AXSIM_NAMES: 'metis-0:1:0' } })).stderr;
  t.regex(await run(world(t, 'core_temps=[34,35,33,33]').env), /^INFO {4}: Core Temp: 35\.0°C$/m);
  t.regex(await run(world(t, 'core_temps=[oops').env), /^INFO {4}: Core Temp: n\/a$/m);
  t.regex(await run({ AXSIM_FAULT: 'read=RUNTIME_ERROR' }), /^INFO {4}: Core Temp: n\/a$/m);
});
