/** MODEL as a user gives it: a repository of the hub, a folder, a GGUF file, all through the real program. */
import * as fs from 'node:fs';
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import anyTest, { type ExecutionContext } from 'ava';
import { axllm, errorLines } from './helpers/cli.js';
import { temporary } from './helpers/folder.js';
import { fakeHub, folderFiles, pythonCache, type FakeRepository } from './helpers/hub.js';
import { writeTinyModel } from './helpers/tiny-model.js';

const test = anyTest.serial;
const fixtures = join(import.meta.dirname, '..', 'crates', 'test-support');
const commit = 'c'.repeat(40);
const token = 'hf_canary12345';
const nowhere = 'http://127.0.0.1:9';

const repository = (files: Record<string, Buffer>, more: Partial<FakeRepository> = {}) => ({
  commit,
  files: { 'README.md': Buffer.from('read me'), ...files },
  ...more,
});

/** A machine with nothing on it, and a hub with one repository of each kind. */
async function world(t: ExecutionContext) {
  const home = temporary(t);
  const folder = folderFiles();
  const gguf = readFileSync(writeTinyModel(home));
  const hub = await fakeHub(t, {
    'o/folder': repository({ ...folder, 'pytorch_model.bin': gguf }),
    'o/gguf': repository({ 'tiny.Q8_0.gguf': Buffer.from('not this one'), 'tiny.Q4_0.gguf': gguf }),
    'o/gated': repository(folder, { token }),
    'o/pickled': repository({ 'config.json': folder['config.json']!, 'pytorch_model.bin': gguf }),
  });
  const root = join(home, 'root');
  const env = { HOME: home, HF_ENDPOINT: hub.url, AXELERA_BUILD_ROOT: root };
  const ask = (model: string, more: Record<string, string> = {}, ...args: string[]) =>
    axllm([model, '--pipeline', 'transformers', '-n', '6', '--temperature', '0', '--prompt', 'Hi', ...args], {
      env: { ...env, ...more },
    });
  return { home, root, env, hub, folder, gguf, ask };
}

test('OWNER/NAME from an empty machine to a reply, by safetensors and by GGUF; later without a network', async (t) => {
  const { root, hub, ask, folder, gguf, home } = await world(t);
  const local = join(home, 'local');
  mkdirSync(local);
  for (const [name, body] of Object.entries(folder)) writeFileSync(join(local, name), body);
  writeFileSync(join(home, 'copy.gguf'), gguf);
  for (const [model, same, files] of [
    ['o/folder', local, ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json']],
    ['o/gguf', join(home, 'copy.gguf'), ['tiny.Q4_0.gguf']],
  ] as const) {
    // the path of the same weights needs no hub at all
    const expected = await ask(same, { HF_ENDPOINT: nowhere });
    t.is(expected.status, 0, expected.stderr);
    t.true(expected.stdout.length > 1);
    const first = await ask(model);
    t.is(first.stdout, expected.stdout, first.stderr);
    t.is(first.status, 0);
    t.deepEqual(readdirSync(join(root, 'hub', model.replace('/', '--'), commit)).sort(), files);
    const requests = hub.seen.length;
    for (const env of [{ HF_ENDPOINT: nowhere }, { HF_HUB_OFFLINE: '1' }] as Record<string, string>[]) {
      const again = await ask(model, env);
      t.is(again.stdout, expected.stdout, again.stderr);
    }
    t.is(hub.seen.length, requests);
  }
  t.true(hub.seen.every(({ url }) => !url?.includes('pytorch') && !url?.includes('Q8_0')));
});

test("what Python has downloaded into HF_HOME answers without a network, and stays Python's", async (t) => {
  const { home, root, hub, ask, folder, gguf } = await world(t);
  const cache = join(home, 'hf');
  const places = [
    pythonCache(cache, 'o/folder', commit, folder, fs),
    pythonCache(cache, 'o/gguf', commit, { 'tiny.Q4_0.gguf': gguf }, fs),
  ];
  const before = places.map((place) => readdirSync(place));
  for (const model of ['o/folder', 'o/gguf', 'o/gguf:Q4_0']) {
    for (const env of [{ HF_ENDPOINT: nowhere }, { HF_HUB_OFFLINE: '1' }] as Record<string, string>[]) {
      const run = await ask(model, { HF_HOME: cache, ...env });
      t.is(run.status, 0, run.stderr);
      t.regex(run.stderr, /Found in the cache of Hugging Face/);
    }
  }
  t.deepEqual(
    places.map((place) => readdirSync(place)),
    before,
  );
  t.false(existsSync(join(root, 'hub')));
  t.is(hub.seen.length, 0);
});

test('a repository that cannot be used: one error, with what to do, and nothing left behind', async (t) => {
  const { root, hub, ask } = await world(t);
  const cases: [string, Record<string, string>, RegExp, RegExp][] = [
    [
      'o/gated',
      {},
      /^ERROR: o\/gated is not open to everyone: .* \[gated\]$/,
      /ask for access at .*HF_TOKEN/,
    ],
    ['o/gated', { HF_TOKEN: 'hf_wrong' }, /\[gated\]$/, /ask for access/],
    ['o/pickled', {}, /^ERROR: o\/pickled: no weights .* pickled .* \[no_weights\]$/, /\.safetensors or/],
    [
      'o/gguf:Q9',
      {},
      /^ERROR: o\/gguf: no GGUF file "Q9" \[no_weights\]$/,
      /it has tiny\.Q8_0\.gguf, tiny\.Q4_0\.gguf/,
    ],
    ['o/absent', {}, /^ERROR: o\/absent: .* has no such repository \[not_found\]$/, /spelling/],
    ['o/folder', { HF_ENDPOINT: nowhere }, /^ERROR: o\/folder: .* cannot be reached/, /HF_ENDPOINT/],
    ['o/folder', { HF_HUB_OFFLINE: '1' }, /\[offline\]$/, /run once without/],
  ];
  for (const [model, env, error, hint] of cases) {
    const run = await ask(model, env);
    t.is(run.status, 1, run.stderr);
    t.is(run.stdout, '');
    t.is(errorLines(run).length, 1, run.stderr);
    t.regex(errorLines(run)[0] ?? '', error);
    t.regex(run.stderr, new RegExp(`hint: .*${hint.source}`));
    t.false(existsSync(join(root, 'hub', model.replace(/\/([^:]*).*/, '--$1'))), model);
  }
  const opened = await ask('o/gated', { HF_TOKEN: token });
  t.is(opened.status, 0, opened.stderr);
  t.false((opened.stdout + opened.stderr).includes(token));
  t.true(hub.storage.seen.every(({ headers }) => headers.authorization === undefined));
});

test('a folder or a file that is no model: one error that names it', async (t) => {
  const { home, ask, folder } = await world(t);
  const at = (name: string, files: string[]) => {
    const place = join(home, name);
    mkdirSync(place);
    for (const file of files) writeFileSync(join(place, file), folder[file] ?? 'x');
    return place;
  };
  const whole = Object.keys(folder);
  copyFileSync(join(fixtures, 'families', 'smollm2.gguf'), join(home, 'no-words.gguf'));
  const cases: [string, RegExp][] = [
    [at('empty', []), /is no model: it has no config\.json/],
    [at('pickled', ['config.json', 'pytorch_model.bin', 'tokenizer.json']), /pickled/],
    [at('no-weights', ['config.json', 'tokenizer.json']), /neither model\.safetensors nor/],
    [
      at(
        'no-tokenizer',
        whole.filter((name) => !name.startsWith('tokenizer')),
      ),
      /tokenizer\.json/,
    ],
    [join(home, 'absent.gguf'), /No such file/],
    [join(home, 'no-words.gguf'), /no-words\.gguf/],
  ];
  for (const [model, error] of cases) {
    const run = await ask(model);
    t.is(run.status, 1, run.stderr);
    t.is(run.stdout, '');
    t.is(errorLines(run).length, 1, run.stderr);
    t.regex(errorLines(run)[0] ?? '', error);
    t.regex(run.stderr, /^hint: /m);
  }
});
