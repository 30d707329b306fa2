import * as fs from 'node:fs';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { FetchContext } from '../ts/store/fetch.js';
import { ensureFile } from '../ts/store/fetch.js';
import { ensureRepository } from '../ts/store/hub.js';
import { selectFiles } from '../ts/store/hub-select.js';
import { weightsOf } from '../ts/store/model-files.js';
import { findCard } from '../ts/store/cards.js';
import { silentProgress } from '../ts/store/progress.js';
import { ensureTokenizer } from '../ts/store/tokenizers.js';
import { temporary } from './helpers/folder.js';
import { fakeHub, pythonCache, type FakeRepository } from './helpers/hub.js';
import { flipped, resetAtOnce, status } from './helpers/netfault.js';
import { sample } from './helpers/server.js';

const commit = 'a'.repeat(40);
const small = (text: string) => Buffer.from(text);
const weights = sample(50_000);
const files: Record<string, Buffer> = {
  'config.json': small('{"model_type":"llama"}'),
  'tokenizer.json': small('{}'),
  'tokenizer_config.json': small('{}'),
  'README.md': small('read me'),
  'model.safetensors': weights.body,
  'pytorch_model.bin': weights.body,
};
const repository = (): FakeRepository => ({ commit, files: { ...files } });
const needed = ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];

function contextIn(root: string, env: Record<string, string>, more: Partial<FetchContext> = {}) {
  const said: string[] = [];
  const say = (text: string) => void said.push(text);
  const log = { debug: say, info: say, warning: say };
  const patience = { connectMs: 3000, stallMs: 500, retries: 2, backOffMs: 5, waitMs: 1000 };
  const own = { HOME: root, ...env };
  return { root, env: own, log, offline: false, progress: silentProgress, patience, said, ...more };
}

test('a repository is fetched at one commit, checked, and found again without the network', async (t) => {
  const hub = await fakeHub(t, { 'o/m': repository() });
  const root = temporary(t);
  const context = contextIn(root, { HF_ENDPOINT: hub.url });
  const card = findCard('o/m', { env: {} });
  t.like(card, { name: 'o_m', modelName: 'o/m' });
  const folder = await weightsOf(card, context);
  t.is(folder, join(root, 'hub', 'o--m', commit));
  t.deepEqual(readdirSync(folder).sort(), needed);
  t.true(readFileSync(join(folder, 'model.safetensors')).equals(weights.body));
  t.true(
    hub.seen.every(({ url }) => !url?.includes('/resolve/main/')),
    'the commit is pinned',
  );
  const requests = hub.seen.length;
  t.is(await weightsOf(card, { ...context, offline: true }), folder);
  t.is(hub.seen.length, requests);
});

test('a newer commit is taken when it is asked for, and not before', async (t) => {
  const repositories = { 'o/m': repository() };
  const hub = await fakeHub(t, repositories);
  const context = contextIn(temporary(t), { HF_ENDPOINT: hub.url });
  const first = await ensureRepository('o/m', { kind: 'model' }, context);
  repositories['o/m'].commit = 'b'.repeat(40);
  t.is(await ensureRepository('o/m', { kind: 'model' }, context), first);
  const second = await ensureRepository('o/m', { kind: 'model' }, { ...context, refresh: true });
  t.true(second.endsWith('b'.repeat(40)));
});

test('a large file is checked against its SHA-256, a small one against its name in git', async (t) => {
  const broken = await fakeHub(t, { 'o/m': repository() }, flipped(77));
  const context = contextIn(temporary(t), { HF_ENDPOINT: broken.url });
  const failed = ensureRepository('o/m', { kind: 'model' }, context);
  await t.throwsAsync(failed, { code: 'checksum_mismatch', message: /sha256 is/ });
  const repositories = { 'o/m': repository() };
  const hub = await fakeHub(t, repositories);
  const second = contextIn(temporary(t), { HF_ENDPOINT: hub.url });
  const folder = await ensureRepository('o/m', { kind: 'tokenizer' }, second);
  fs.writeFileSync(join(folder, 'tokenizer.json'), '[]');
  t.is(await ensureRepository('o/m', { kind: 'tokenizer' }, second), folder);
  t.is(readFileSync(join(folder, 'tokenizer.json'), 'utf8'), '{}', 'what was changed was fetched again');
});

test('a gated repository: the error says where to ask; with the token it comes, and the storage never sees it', async (t) => {
  const hub = await fakeHub(t, { 'o/m': { ...repository(), token: 'hf_canary' } });
  const root = temporary(t);
  const failed = weightsOf(findCard('o/m', { env: {} }), contextIn(root, { HF_ENDPOINT: hub.url }));
  const error = await t.throwsAsync(failed, { code: 'gated', message: /^o\/m is not open to everyone/ });
  t.like(error, {
    hint: `ask for access at ${hub.url}/o/m, make a token at ${hub.url}/settings/tokens and give it in HF_TOKEN`,
  });
  fs.mkdirSync(join(root, 'hf'));
  fs.writeFileSync(join(root, 'hf', 'token'), 'hf_canary\n');
  for (const env of [{ HF_TOKEN: 'hf_canary' }, { HF_HOME: join(root, 'hf') }] as Record<string, string>[]) {
    const place = contextIn(temporary(t), { HF_ENDPOINT: hub.url, ...env });
    t.deepEqual(readdirSync(await ensureRepository('o/m', { kind: 'model' }, place)).sort(), needed);
  }
  t.true(hub.storage.seen.length >= 2);
  for (const { headers } of hub.storage.seen) t.false(JSON.stringify(headers).includes('canary'));
});

test('what Python has downloaded is found without network: a repository, a GGUF file of a card, a tokenizer', async (t) => {
  const root = temporary(t);
  const home = join(root, 'hf');
  const { 'README.md': _, 'pytorch_model.bin': __, ...own } = files;
  const folder = pythonCache(home, 'o/m', commit, own, fs);
  const context = contextIn(join(root, 'build'), { HF_HOME: home }, { offline: true });
  t.is(await weightsOf(findCard('o/m', { env: {} }), context), folder);
  const card = { ...findCard('o/m', { env: {} }), weights: undefined };
  t.is(await ensureTokenizer(card, undefined, context), folder);
  const gguf = pythonCache(home, 'o/g', commit, { 'x.Q4_0.gguf': weights.body }, fs);
  const source = { kind: 'hub' as const, repo: 'o/g', file: 'x.Q4_0.gguf' };
  const remote = { file: 'x.gguf', ...weights.expected, sources: [source] };
  t.is(await ensureFile(remote, 'g', context), join(gguf, 'x.Q4_0.gguf'));
  // half of a model is none
  fs.rmSync(join(folder, 'model.safetensors'));
  await t.throwsAsync(weightsOf(findCard('o/m', { env: {} }), context), { code: 'offline' });
  // another file under that name is not taken either
  fs.writeFileSync(join(gguf, '..', '..', 'blobs', weights.expected.sha256), Buffer.alloc(50_000));
  await t.throwsAsync(ensureFile(remote, 'h', context), { code: 'offline' });
});

test('no such repository, no hub, and a hub that is not to be asked', async (t) => {
  const hub = await fakeHub(t, {});
  const root = temporary(t);
  const fetch = (env: Record<string, string>, more = {}) =>
    ensureRepository('o/m', { kind: 'model' }, contextIn(root, env, more));
  await t.throwsAsync(fetch({ HF_ENDPOINT: hub.url }), {
    code: 'not_found',
    message: /has no such repository/,
  });
  await t.throwsAsync(fetch({ HF_ENDPOINT: 'http://127.0.0.1:9' }), {
    code: 'download_failed',
    message: /cannot be reached/,
  });
  await t.throwsAsync(fetch({}, { offline: true }), { code: 'offline', message: /--offline forbids/ });
});

test('the tokenizer of a card: every attempt is in the error', async (t) => {
  const hub = await fakeHub(t, {});
  const root = temporary(t);
  const base = findCard('o/m', { env: {} });
  const md5 = '0'.repeat(32);
  const file = (name: string) => ({
    file: name,
    md5,
    sources: [{ kind: 'url' as const, url: `${hub.url}/x/${name}` }],
  });
  const build = { name: 'm', axmodel: undefined, archive: file('a.tar.gz'), path: 'm/a.tar.gz' };
  const card = {
    ...base,
    precompiled: { builds: [build], embeddings: file('e.npz'), tokenizer: file('t.zip') },
  };
  const error = await t.throwsAsync(
    ensureTokenizer(card, undefined, contextIn(root, { HF_ENDPOINT: hub.url })),
    { code: 'no_tokenizer' },
  );
  t.regex(
    error!.message,
    /--tokenizer-dir: not given; the card's zip: .*t\.zip: HTTP 404; the hub \(o\/m\): .*no such repository/,
  );
  await t.throwsAsync(ensureTokenizer(card, root, contextIn(root, {})), { message: /has no tokenizer.json/ });
  fs.writeFileSync(join(root, 'tokenizer.json'), '{}');
  t.is(await ensureTokenizer(card, root, contextIn(root, {})), root);
});

test('what the hub holds is asked for again where that may help, and the error says what it said', async (t) => {
  const trouble = [status(503), resetAtOnce, undefined, status(429, { 'retry-after': '0' }), status(500)];
  const hub = await fakeHub(t, { 'o/m': repository() }, undefined, trouble);
  const context = contextIn(temporary(t), { HF_ENDPOINT: hub.url });
  t.deepEqual(readdirSync(await ensureRepository('o/m', { kind: 'model' }, context)).sort(), needed);
  t.is(trouble.length, 0);
  for (const [fault, requests, text] of [
    [status(503), 3, /^o\/m: .*HTTP 503/],
    [resetAtOnce, 3, /^o\/m: .*cannot be reached/],
    [status(429, { 'retry-after': '3600' }), 1, /^o\/m: .*HTTP 429, and asks to wait 3600 s/],
    [status(404), 1, /^o\/m: .*no such repository/],
  ] as const) {
    const broken = await fakeHub(
      t,
      { 'o/m': repository() },
      undefined,
      Array.from({ length: 9 }, () => fault),
    );
    const place = contextIn(temporary(t), { HF_ENDPOINT: broken.url });
    await t.throwsAsync(ensureRepository('o/m', { kind: 'model' }, place), { message: text });
    t.is(broken.seen.length, requests);
  }
});

const names = (...paths: string[]) => paths.map((path) => ({ path }));
const chosen = (choice: string | undefined, ...paths: string[]) =>
  selectFiles(names(...paths), { kind: 'model', choice }).map(({ path }) => path);

test('which files of a repository are fetched', (t) => {
  t.deepEqual(chosen(undefined, 'x.Q8_0.gguf', 'x-Q4_K_M.gguf', 'x.Q2_K.gguf', 'mmproj.gguf'), [
    'x-Q4_K_M.gguf',
  ]);
  t.deepEqual(chosen('q8_0', 'x.Q8_0.gguf', 'x-Q4_K_M.gguf'), ['x.Q8_0.gguf']);
  t.deepEqual(chosen('x.Q8_0.gguf', 'x.Q8_0.gguf', 'x-Q4_K_M.gguf'), ['x.Q8_0.gguf']);
  const split = ['x-Q8_0-00001-of-00002.gguf', 'x-Q8_0-00002-of-00002.gguf'];
  t.deepEqual(chosen('Q8_0', ...split, 'x-F16.gguf'), split);
  const shards = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
  const index = 'model.safetensors.index.json';
  t.deepEqual(chosen(undefined, ...shards, index, 'config.json', 'consolidated.safetensors'), [
    'config.json',
    index,
    ...shards,
  ]);
  t.throws(() => chosen(undefined, 'pytorch_model.bin'), {
    code: 'no_weights',
    message: /pickled files are programs/,
  });
  t.throws(() => chosen('Q9', 'x.Q8_0.gguf'), { code: 'no_weights', message: /no GGUF file "Q9"/ });
});

test('names of repositories, and what looks like one', (t) => {
  const none = { env: { XDG_CONFIG_HOME: temporary(t) } };
  t.like(findCard('o/m:Q4_0', none), { name: 'o_m_Q4_0', weights: { repo: 'o/m', choice: 'Q4_0' } });
  for (const wrong of ['o/m.gguf', 'o/m.yaml', '../m', 'o/..', 'o/m/n', '/o/m', 'o//m', 'o/m--n'])
    t.throws(() => findCard(wrong, none), { code: 'unknown_model' }, wrong);
  const folder = temporary(t);
  t.throws(() => findCard(folder, none), { message: /has no config.json/ });
  fs.writeFileSync(join(folder, 'config.json'), '{}');
  t.like(findCard(folder, none), { weights: { path: folder } });
  t.true(existsSync(folder));
});
