import test from 'ava';
import yargs from 'yargs';
import { yargsOptions } from '../ts/commands/yargs-options.js';
import { allOptions, optionsOf, samplingOptions, type CommandName, type OptionName } from '../ts/options.js';
import { resolve, normalise } from '../ts/resolve.js';

type Values = Record<string, unknown>;

function values(line: string, env: Record<string, string> = {}, card: Values = {}, config: Values = {}) {
  const parser = yargs(normalise(line.split(' ').filter(Boolean)))
    .options(yargsOptions('run'))
    .parserConfiguration({ 'camel-case-expansion': false, 'dot-notation': false, 'parse-numbers': false });
  const resolved = resolve('run', { flags: parser.parseSync() as Values, env, card, config });
  return { ...resolved.values, from: resolved.sources };
}

const flags = test.macro({
  exec(t, line: string, expected: Record<string, unknown>) {
    t.like(values(line), expected);
  },
  title: (given, line) => given ?? `flags: ${line || '(none)'}`,
});

test(flags, '', { pipeline: 'auto', temperature: 0, history: true, 'show-stats': false, seed: undefined });
test(flags, '-d 1', { devices: '1' });
test(flags, '-dsim', { devices: 'sim' });
test(flags, '--devices sim:1', { devices: 'sim:1' });
test(flags, '--temp 1', { temperature: 1 });
test(flags, '-t.5', { temperature: 0.5 });
test(flags, '--system pirate', { 'system-prompt': 'pirate' });
test(flags, '--top-k 40 --top-p 0.9 --min-p 0.05', { 'top-k': 40, 'top-p': 0.9, 'min-p': 0.05 });
test(flags, '--repeat-penalty 1.1', { 'repeat-penalty': 1.1 });
test(flags, '--presence-penalty -1 --frequency-penalty 1', {
  'presence-penalty': -1,
  'frequency-penalty': 1,
});
test(flags, '-t1 --temp 2 --history --no-history', { temperature: 2, history: false });
test(flags, '--seed 42', { seed: 42 });
test(flags, '-n5', { 'max-tokens': 5 });
test(flags, '--stop a --stop b model', { stop: ['a', 'b'] });
test(flags, '-vv -q', { verbose: 2, quiet: 1 });
test(flags, '--no-color', { color: false });
test(flags, '--build-root /x --data-root /y', { 'build-root': '/x', 'data-root': '/y' });
test(flags, '-m x --rich-cli --port 80', { model: 'x', 'rich-cli': true, port: 80 });
test(flags, '--loglevel debug --logfile x --logtimestamp --brief-logging', {
  loglevel: 'DEBUG',
  logfile: 'x',
  logtimestamp: true,
  'brief-logging': true,
});
test(flags, '--no-show-temp --show-cpu-usage', { 'show-temp': false, 'show-cpu-usage': true });
test(flags, '--no-stream --json --raw --offline', { stream: false, json: true, raw: true, offline: true });
test(flags, '--on-overflow error', { 'on-overflow': 'error' });

/** The table of `../shared/reference/axllm-behaviour.md`: each flag, its default there, a line, what it then is. */
const reference: [flag: OptionName, preset: unknown, line: string, value: unknown][] = [
  ['prompt', undefined, '--prompt hello', 'hello'],
  ['prompt', undefined, '--prompt', undefined],
  ['rich-cli', false, '--rich-cli', true],
  ['ui', undefined, '--ui', 'share'],
  ['ui', undefined, '--ui share', 'share'],
  ['ui', undefined, '--ui local', 'local'],
  ['ui', undefined, '--ui=share_simple', 'share_simple'],
  ['ui', undefined, '--ui local_simple', 'local_simple'],
  ['port', 7860, '--port 8000', 8000],
  // here `auto`, which is the AIPU where one answers
  ['pipeline', 'auto', '--pipeline transformers-aipu', 'transformers-aipu'],
  ['pipeline', 'auto', '--pipeline=transformers', 'transformers'],
  // the vendor's, which depends on the model: flags.spec
  ['system-prompt', undefined, '--system-prompt pirate', 'pirate'],
  ['temperature', 0, '--temperature 0.7', 0.7],
  ['history', true, '--history', true],
  ['history', true, '--no-history', false],
  ['show-stats', false, '--show-stats', true],
  // off, but for what --show-stats implies on the AIPU
  ['show-cpu-usage', undefined, '--show-cpu-usage', true],
  ['show-cpu-usage', undefined, '--no-show-cpu-usage', false],
  ['show-temp', undefined, '--show-temp', true],
  ['show-temp', undefined, '--no-show-temp', false],
  ['tokenizer-dir', undefined, '--tokenizer-dir /t', '/t'],
  ['devices', undefined, '-d0', '0'],
  ['devices', undefined, '-dmetis-0:1:0', 'metis-0:1:0'],
  ['devices', undefined, '--devices metis-0-1-0', 'metis-0-1-0'],
  ['build-root', undefined, '--build-root /b', '/b'],
  ['data-root', undefined, '--data-root /d', '/d'],
  ['help-network', undefined, '--help-network', true],
  ['verbose', undefined, '-v -vv', 3],
  ['quiet', undefined, '-q', 1],
  ['loglevel', 'INFO', '--loglevel TRACE', 'TRACE'],
  ['loglevel', 'INFO', '--loglevel debug', 'DEBUG'],
  ['loglevel', 'INFO', '--loglevel WARNING', 'WARNING'],
  ['loglevel', 'INFO', '--loglevel=ERROR', 'ERROR'],
  ['logfile', undefined, '--logfile f', 'f'],
  ['logtimestamp', false, '--logtimestamp', true],
  ['brief-logging', false, '--brief-logging', true],
];

for (const [flag, preset, line, value] of reference) {
  test(`the reference: ${line}`, (t) => {
    t.is(values('')[flag], preset as never);
    const set = values(line);
    t.is(set[flag], value as never);
    t.is(set.from[flag], value === undefined ? undefined : 'flag');
    // and from the variable and the config file, with the same checks
    if (value === undefined || typeof value === 'object') return;
    const row = allOptions().find(([name]) => name === flag)![1];
    const text = String(value);
    // of a flag that may stand alone they say what it means then, and do not stand for it
    const alone = typeof row.bare === 'string';
    const given = alone ? `--${flag}` : '';
    for (const variable of row.env) {
      t.is(values(given, { [variable]: text })[flag], value as never, variable);
      if (alone) t.is(values('', { [variable]: text })[flag], undefined);
    }
    t.is(values(given, {}, {}, { [row.key]: value })[flag], value as never);
  });
}

test('AXLLM_UI is what a bare --ui means: it turns no page on, and a mode that is given wins', (t) => {
  const env = { AXLLM_UI: 'local' };
  t.like(values('', env), { ui: undefined, from: { ui: undefined } });
  t.like(values('--ui', env), { ui: 'local', from: { ui: 'env' } });
  t.like(values('--ui share', env), { ui: 'share', from: { ui: 'flag' } });
  t.like(values('--ui', {}, {}, { ui: 'local_simple' }), { ui: 'local_simple', from: { ui: 'config' } });
  t.like(values('--ui', env, {}, { ui: 'share' }), { ui: 'local' });
  t.throws(() => values('--ui', { AXLLM_UI: 'off' }), { message: /AXLLM_UI is one of share, local/ });
});

const refused = test.macro({
  exec(t, line: string, text: RegExp) {
    const error = t.throws(() => values(line));
    t.regex(error?.message ?? '', text);
  },
  title: (_, line) => `refused: ${line}`,
});

test(refused, '--pipeline gpu', /--pipeline is one of auto, transformers-aipu, transformers, not "gpu"/);
test(refused, '--temperature warm', /--temperature is a number from 0 to 100, not "warm"/);
test(refused, '--temperature -1', /--temperature is a number from 0 to 100/);
test(refused, '--seed 1.5', /--seed is a whole number/);
test(refused, '--max-tokens 0', /--max-tokens is a whole number of at least 1, not "0"/);
test(refused, '--top-p 2', /--top-p is a number from 0 to 1/);

test('flag wins over environment, environment over config file, that over card, card over default', (t) => {
  const env = { AXLLM_TEMPERATURE: '0.5' };
  const config = { temperature: 0.3 };
  const card = { temperature: 0.2 };
  t.like(values('--temperature 0.9', env, card, config), { temperature: 0.9, from: { temperature: 'flag' } });
  t.like(values('', env, card, config), { temperature: 0.5, from: { temperature: 'env' } });
  t.like(values('', {}, card, config), { temperature: 0.3, from: { temperature: 'config' } });
  t.like(values('', {}, card), { temperature: 0.2, from: { temperature: 'card' } });
  t.like(values(''), { temperature: 0, from: { temperature: 'default' } });
});

test('the guide’s variable selects the device', (t) => {
  t.is(values('', { AXELERA_DEVICE_SELECTOR: 'metis-0:1:0' }).devices, 'metis-0:1:0');
});

test('a wrong variable is named in the complaint', (t) => {
  t.throws(() => values('', { AXLLM_SEED: 'x' }), { message: /^AXLLM_SEED is a whole number/ });
});

test('no two rows share a variable or a key, and no two of a command a flag', (t) => {
  const unique = (all: string[]) => t.deepEqual(all, [...new Set(all)]);
  unique(allOptions().flatMap(([, row]) => row.env));
  unique(allOptions().map(([, row]) => row.key));
  const commands = new Set<CommandName>(allOptions().flatMap(([, row]) => row.commands));
  for (const command of commands) {
    unique(optionsOf(command).flatMap(([name, row]) => [name, ...(row.alias ?? [])]));
  }
  t.true(optionsOf('run').length > 20);
});

test('every flag has its own variable and key', (t) => {
  for (const [name, row] of allOptions()) {
    t.is(row.key, name.replaceAll('-', '_'));
    t.is(row.env.at(-1), `AXLLM_${row.key.toUpperCase()}`);
  }
});

test('a card sets what concerns the model, and never files or the network', (t) => {
  const card = { temperature: 0.2, build_root: '/x', logfile: '/y', prompt: 'z', devices: '0', ui: 'share' };
  const { from } = values('', {}, card);
  t.is(from.temperature, 'card');
  t.deepEqual(Object.entries(from).filter(([, source]) => source === 'card').length, 1);
});

test('the HTTP interface takes the sampling rows', (t) => {
  const keys = samplingOptions().map(([, { key }]) => key);
  for (const key of ['temperature', 'top_k', 'seed', 'stop', 'max_tokens']) t.true(keys.includes(key), key);
  t.false(keys.includes('system_prompt'));
});

test('--prompt alone is as if it was not given; an empty one is', (t) => {
  for (const [argv, kept] of [
    [['--prompt'], []],
    [['--prompt', '-q'], ['-q']],
    [
      ['--prompt', ''],
      ['--prompt', ''],
    ],
    [
      ['--prompt', '-'],
      ['--prompt', '-'],
    ],
    [
      ['--prompt', '-1'],
      ['--prompt', '-1'],
    ],
    [
      ['--', '--prompt'],
      ['--', '--prompt'],
    ],
  ]) {
    t.deepEqual(normalise(argv!), kept!);
  }
});

test('words after -- are left alone', (t) => {
  t.deepEqual(normalise(['-dsim', '--', '-dsim']), ['-d=sim', '--', '-dsim']);
});
