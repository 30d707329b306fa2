import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import anyTest from 'ava';
import { download } from '../ts/store/download.js';
import { ensureFile, type FetchContext } from '../ts/store/fetch.js';
import { silentProgress } from '../ts/store/progress.js';
import type { RemoteFile } from '../ts/store/cards.js';
import { temporary } from './helpers/folder.js';
import { sample, serve } from './helpers/server.js';

// one at a time: some of them are about time
const test = anyTest.serial;
const { body, expected } = sample(300_000);
const patience = { connectMs: 3000, stallMs: 300, retries: 2, backOffMs: 5, waitMs: 5000 };
const options = { env: {}, progress: silentProgress, patience };

function contextIn(root: string, said: string[] = [], signal?: AbortSignal): FetchContext {
  const say = (text: string) => void said.push(text);
  return { root, log: { debug: say, info: say, warning: say }, offline: false, signal, ...options };
}

const remote = (url: string): RemoteFile => ({ file: 'a.bin', ...expected, sources: [{ kind: 'url', url }] });

test('a file arrives whole, and nothing else is left', async (t) => {
  const { url } = await serve(t, (_, response) => void response.end(body));
  const folder = temporary(t);
  await download({ url: `${url}/a.bin` }, join(folder, 'a.bin'), expected, options);
  t.deepEqual(readFileSync(join(folder, 'a.bin')), body);
  t.deepEqual(readdirSync(folder), ['a.bin']);
});

test('a connection that breaks is taken up where it broke', async (t) => {
  const { url, seen } = await serve(t, (request, response, count) => {
    response.setHeader('etag', '"one"');
    if (count === 0) {
      response.setHeader('content-length', body.length);
      response.write(body.subarray(0, 100_000), () => setTimeout(() => response.destroy(), 50));
      return;
    }
    const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1]);
    response.writeHead(206, { 'content-range': `bytes ${from}-${body.length - 1}/${body.length}` });
    response.end(body.subarray(from));
  });
  const folder = temporary(t);
  await download({ url: `${url}/a.bin` }, join(folder, 'a.bin'), expected, options);
  t.deepEqual(readFileSync(join(folder, 'a.bin')), body);
  t.is(seen.length, 2);
  t.is(seen[1]?.headers['if-range'], '"one"');
});

test('a server that cannot resume sends the file again', async (t) => {
  const { url } = await serve(t, (_, response, count) => {
    response.writeHead(200, { 'content-length': body.length, etag: `"${count}"` });
    if (count > 0) return void response.end(body);
    response.write(body.subarray(0, 50_000), () => setTimeout(() => response.destroy(), 50));
  });
  const folder = temporary(t);
  await download({ url: `${url}/a.bin` }, join(folder, 'a.bin'), expected, options);
  t.deepEqual(readFileSync(join(folder, 'a.bin')), body);
});

const fails = anyTest.macro({
  async exec(t, code: string, text: RegExp, answer: Parameters<typeof serve>[1]) {
    const { url } = await serve(t, answer);
    const folder = temporary(t);
    const failed = download({ url: `${url}/a.bin` }, join(folder, 'a.bin'), expected, options);
    await t.throwsAsync(failed, { code, message: text });
    t.deepEqual(readdirSync(folder), []);
  },
  title: (given) => `refused, with nothing left behind: ${given}`,
});

test('another file', fails, 'checksum_mismatch', /sha256 is .*, expected /, (_, response) => {
  response.end(Buffer.alloc(body.length));
});
test('a longer file', fails, 'checksum_mismatch', /size is 300001 bytes, expected 300000/, (_, response) => {
  response.end(Buffer.concat([body, Buffer.from('x')]));
});
test('not found', fails, 'download_failed', /HTTP 404/, (_, response) => void response.writeHead(404).end());
test(
  'a server in trouble',
  fails,
  'download_failed',
  /HTTP 503/,
  (_, response) => void response.writeHead(503).end(),
);
test('a server that says nothing', fails, 'download_failed', /no answer within 3 s/, () => undefined);
test('a transfer that stalls', fails, 'download_failed', /no data for 0.3 s/, (_, response) => {
  response.writeHead(200, { 'content-length': body.length });
  response.write(body.subarray(0, 10));
});

test('nobody there: one try, at once', async (t) => {
  const folder = temporary(t);
  const start = Date.now();
  const failed = download({ url: 'http://127.0.0.1:9/a.bin' }, join(folder, 'a.bin'), expected, options);
  await t.throwsAsync(failed, { code: 'download_failed' });
  t.true(Date.now() - start < 2500);
});

test('an aborted signal ends it, with nothing left behind', async (t) => {
  const { url } = await serve(t, (_, response) => {
    response.writeHead(200, { 'content-length': body.length });
    response.write(body.subarray(0, 10));
  });
  const folder = temporary(t);
  const stop = new AbortController();
  setTimeout(() => stop.abort(new Error('enough')), 100);
  const { signal } = stop;
  await t.throwsAsync(
    download({ url: `${url}/a.bin` }, join(folder, 'a.bin'), expected, { ...options, signal }),
    {
      message: 'enough',
    },
  );
  t.deepEqual(readdirSync(folder), []);
});

test('the next source is tried, and a second start fetches and hashes nothing', async (t) => {
  const { url, seen } = await serve(t, (_, response) => void response.end(body));
  const root = temporary(t);
  const said: string[] = [];
  const sources = [
    { kind: 'url' as const, url: 'http://127.0.0.1:9/a.bin' },
    ...remote(`${url}/a.bin`).sources,
  ];
  const path = await ensureFile({ ...remote(url), sources }, 'm', contextIn(root, said));
  t.deepEqual(readFileSync(path), body);
  t.true(said.some((line) => line.includes('127.0.0.1:9') && line.includes('did not work')));
  await ensureFile(remote(url), 'm', contextIn(root, said));
  t.is(seen.length, 1);
  t.true(said.at(-1)?.startsWith('Model already downloaded and verified: '));
});

test('every attempt is in the error', async (t) => {
  const { url } = await serve(t, (_, response) => void response.writeHead(404).end());
  const sources = [1, 2].map((n) => ({ kind: 'url' as const, url: `${url}/${n}` }));
  const failed = ensureFile({ ...remote(url), sources }, 'm', contextIn(temporary(t)));
  await t.throwsAsync(failed, { code: 'download_failed', message: /\/1: HTTP 404.*; .*\/2: HTTP 404/ });
});

test('a truncated and a changed file are fetched again', async (t) => {
  const { url, seen } = await serve(t, (_, response) => void response.end(body));
  const root = temporary(t);
  const said: string[] = [];
  const path = await ensureFile(remote(`${url}/a`), 'm', contextIn(root, said));
  truncateSync(path, 1000);
  await ensureFile(remote(`${url}/a`), 'm', contextIn(root, said));
  t.deepEqual(readFileSync(path), body);
  writeFileSync(path, Buffer.alloc(body.length));
  utimesSync(path, 1, 1);
  await ensureFile(remote(`${url}/a`), 'm', contextIn(root, said));
  t.deepEqual(readFileSync(path), body);
  t.is(seen.length, 3);
  t.is(said.filter((line) => line.includes('is damaged')).length, 2);
});

test('offline, a missing file is an error that says so', async (t) => {
  const failed = ensureFile(remote('http://127.0.0.1:9'), 'm', { ...contextIn(temporary(t)), offline: true });
  await t.throwsAsync(failed, { code: 'offline' });
});

test('two at once fetch once', async (t) => {
  const { url, seen } = await serve(t, (_, response) => void setTimeout(() => response.end(body), 100));
  const root = temporary(t);
  const said: string[] = [];
  await Promise.all([1, 2].map(() => ensureFile(remote(url), 'm', contextIn(root, said))));
  t.is(seen.length, 1);
  t.true(said.some((line) => line.includes('waiting for it')));
});

test('kill -9 in the middle leaves a build root that the next start can use', async (t) => {
  const { url } = await serve(t, (_, response, count) => {
    response.writeHead(200, { 'content-length': body.length });
    if (count > 0) return void response.end(body);
    response.write(body.subarray(0, 50_000));
  });
  const root = temporary(t);
  const child = spawn(
    process.execPath,
    ['--import=tsx', new URL('helpers/fetch-one.ts', import.meta.url).pathname],
    {
      env: { ...process.env, FETCH: JSON.stringify({ root, remote: remote(`${url}/a`) }) },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'close');
  t.true(existsSync(join(root, 'm', 'a.bin.lock')), 'it was killed while it held the lock');
  const path = await ensureFile(remote(`${url}/a`), 'm', contextIn(root));
  t.deepEqual(readFileSync(path), body);
  t.deepEqual(readdirSync(join(root, 'm')), ['a.bin']);
});
