import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer, request as httpRequest } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import anyTest from 'ava';
import { download, type Wish } from '../ts/store/download.js';
import { ensureFile, type FetchContext } from '../ts/store/fetch.js';
import { silentProgress } from '../ts/store/progress.js';
import { temporary } from './helpers/folder.js';
import * as fault from './helpers/netfault.js';
import { netfault, type Fault } from './helpers/netfault.js';
import { sample } from './helpers/server.js';

// one at a time: a reset takes away what the client has not read yet
const test = anyTest.serial;
const { body, expected } = sample(300_000);
const patience = { connectMs: 3000, stallMs: 400, retries: 4, backOffMs: 5, waitMs: 5000 };
const options = { env: {}, progress: silentProgress, patience };
const half = 150_000;

const fetchTo = (url: string, folder: string, more: Partial<Wish> = {}) =>
  download({ url, ...more }, join(folder, 'a.bin'), expected, options);

/** Faults after which the file arrives: with how many requests, and how many bytes at most. */
const passing: [string, Fault[], number, number][] = [
  ['nothing', [], 1, 1],
  ['reset before a header', [fault.resetAtOnce], 2, 1],
  ['reset before the body', [fault.resetAt(0)], 2, 1],
  ['reset in the middle', [fault.resetAt(half)], 2, 1],
  ['reset before the last byte', [fault.resetAt(299_999)], 2, 1],
  ['five resets, each after some progress', Array.from({ length: 5 }, () => fault.resetAt(50_000)), 6, 1],
  ['closed in the middle', [fault.closedAt(half)], 2, 1],
  ['a stall in the middle', [fault.stallAt(half)], 2, 1],
  ['500', [fault.status(500)], 2, 1],
  ['502 and 503', [fault.status(502), fault.status(503)], 3, 1],
  ['429 that asks to wait', [fault.status(429, { 'retry-after': '1' })], 2, 1],
  [
    '429 until a date',
    [fault.status(429, { 'retry-after': new Date(Date.now() + 900).toUTCString() })],
    2,
    1,
  ],
  ['408', [fault.status(408)], 2, 1],
  ['a range that is ignored', [fault.resetAt(half), fault.ignoresRanges], 2, 1.6],
  ['a range from another place', [fault.resetAt(half), fault.wrongRange(7)], 3, 2.6],
  ['a file that changed in between', [fault.otherFile(half)], 2, 1.6],
  ['a file that changed, and was begun anew', [fault.resetAt(half), fault.otherFile(1000)], 3, 2],
  ['416', [fault.resetAt(half), fault.status(416)], 3, 1.6],
  ['a weak ETag', [fault.weakEtag(half)], 2, 1.6],
  ['no length', [fault.chunked()], 1, 1],
  ['one flipped bit', [fault.flipped(1234)], 2, 2],
  ['a flipped bit in what is fetched after a reset', [fault.resetAt(half), fault.flipped(200_000)], 3, 2.6],
  ['a redirect', [fault.redirect('/a.bin')], 2, 1],
  ['ten redirects', Array.from({ length: 10 }, () => fault.redirect('/a.bin', 307)), 11, 1],
];

for (const [name, script, requests, times] of passing) {
  test(`the file arrives in spite of ${name}`, async (t) => {
    const folder = temporary(t);
    const server = await netfault(t, { '/a.bin': body }, script, fault.honest, folder);
    await fetchTo(`${server.url}/a.bin`, folder);
    t.true(readFileSync(join(folder, 'a.bin')).equals(body));
    t.deepEqual(readdirSync(folder), ['a.bin']);
    t.is(server.seen.length, requests);
    t.true(server.sent() <= times * body.length, `${server.sent()} bytes`);
  });
}

const always = (each: Fault): Fault[] => Array.from({ length: 40 }, () => each);

/** Faults that end it: with this code and text, and nothing under the final name. */
const failing: [string, Fault[], string, RegExp][] = [
  ['404', [fault.status(404)], 'download_failed', /HTTP 404/],
  ['401', [fault.status(401)], 'gated', /HTTP 401/],
  ['403', [fault.status(403)], 'download_failed', /HTTP 403/],
  ['503 for ever', always(fault.status(503)), 'download_failed', /HTTP 503/],
  [
    '429 with an hour to wait',
    [fault.status(429, { 'retry-after': '3600' })],
    'download_failed',
    /429, and asks to wait 3600 s/,
  ],
  ['a stall for ever', always(fault.stallAt(0)), 'download_failed', /no data for 0.4 s/],
  ['resets for ever', always(fault.resetAt(0)), 'download_failed', /connection lost at byte 0/],
  ['a web page', [fault.webPage], 'download_failed', /web page instead of the file/],
  ['gzip that nobody asked for', [fault.zipped], 'download_failed', /compressed \(gzip\)/],
  ['a shorter file', [fault.resized(-1)], 'checksum_mismatch', /size is 299999 bytes, expected 300000/],
  ['a longer file', [fault.resized(1)], 'checksum_mismatch', /size is 300001 bytes, expected 300000/],
  [
    'a longer file without a length',
    [fault.chunked(5)],
    'checksum_mismatch',
    /size is more than 300000 bytes/,
  ],
  [
    'a flipped bit each time',
    always(fault.flipped(9)),
    'checksum_mismatch',
    /sha256 is [0-9a-f]{64}, expected/,
  ],
  ['a redirect loop', always(fault.redirect('/a.bin')), 'download_failed', /more than 10 redirects/],
  ['a redirect to a file', [fault.redirect('file:///etc/passwd')], 'download_failed', /redirects to file:/],
  ['a redirect to nowhere', [fault.redirect('http://[')], 'download_failed', /redirects to http:\/\/\[/],
];

for (const [name, script, code, text] of failing) {
  test(`an error says why: ${name}`, async (t) => {
    const folder = temporary(t);
    const server = await netfault(t, { '/a.bin': body }, script, fault.honest, folder);
    await t.throwsAsync(fetchTo(`${server.url}/a.bin`, folder), { code, message: text });
    t.false(existsSync(join(folder, 'a.bin')));
    t.deepEqual(readdirSync(folder), [], 'and nothing that would be of no use later');
  });
}

test('what was fetched before the network went is not fetched again, unless it is of another file', async (t) => {
  const gone = Array.from({ length: 4 }, () => fault.resetAtOnce);
  const script = [fault.resetAt(half), ...gone];
  const folder = temporary(t);
  const steps = [...script, fault.honest, ...script];
  const files = { '/a.bin': body, '/b.bin': body };
  const server = await netfault(t, files, steps, fault.honest, folder);
  const parts = () => readdirSync(folder).filter((name) => name.endsWith('.part')).length;
  await t.throwsAsync(fetchTo(`${server.url}/a.bin`, folder), { code: 'download_failed' });
  t.is(parts(), 1);
  await fetchTo(`${server.url}/a.bin`, folder);
  t.is(server.sent(), body.length);
  t.deepEqual(readdirSync(folder), ['a.bin']);

  await t.throwsAsync(fetchTo(`${server.url}/a.bin`, folder), { code: 'download_failed' });
  t.is(parts(), 1);
  await fetchTo(`${server.url}/b.bin`, folder);
  t.is(server.seen.at(-1)?.headers.range, undefined);
  t.deepEqual(readdirSync(folder), ['a.bin']);
});

test('a process that is killed leaves its bytes to the next one, which asks for the rest', async (t) => {
  const server = await netfault(t, { '/a.bin': body }, [fault.stallAt(half)]);
  const root = temporary(t);
  const remote = {
    file: 'a.bin',
    ...expected,
    sources: [{ kind: 'url' as const, url: `${server.url}/a.bin` }],
  };
  const program = new URL('helpers/fetch-one.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, ['--import=tsx', program], {
    env: { ...process.env, FETCH: JSON.stringify({ root, remote }) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const said of child.stdout) if (String(said).includes(String(half))) break;
  child.kill('SIGKILL');
  await once(child, 'close');
  await ensureFile(remote, 'm', contextIn(root));
  t.true(readFileSync(join(root, 'm', 'a.bin')).equals(body));
  t.deepEqual(readdirSync(join(root, 'm')), ['a.bin']);
  t.is(server.seen[1]?.headers.range, `bytes=${half}-`);
  t.regex(String(server.seen[1]?.headers['if-range']), /^"/);
  t.is(server.sent(), body.length);
});

function contextIn(root: string, said: string[] = [], env: Record<string, string> = {}): FetchContext {
  const say = (text: string) => void said.push(text);
  return { root, log: { debug: say, info: say, warning: say }, offline: false, ...options, env };
}

test('the token goes to the hub and nowhere else, whoever redirects', async (t) => {
  const storage = await netfault(t, { '/blob': body });
  const hub = await netfault(t, { '/o/m/resolve/main/a.bin': body, '/again': body }, [
    fault.redirect('/again'),
    fault.redirect(`${storage.url}/blob`),
  ]);
  const mirror = await netfault(t, { '/a.bin': body }, [fault.status(404)]);
  const env = { HF_ENDPOINT: hub.url, HF_TOKEN: 'hf_canary', HOME: '/nonexistent' };
  const sources = [
    { kind: 'url' as const, url: `${mirror.url}/a.bin` },
    { kind: 'hub' as const, repo: 'o/m', file: 'a.bin' },
  ];
  await ensureFile({ file: 'a.bin', ...expected, sources }, 'm', contextIn(temporary(t), [], env));
  t.deepEqual(
    hub.seen.map(({ headers }) => headers.authorization),
    ['Bearer hf_canary', 'Bearer hf_canary'],
  );
  for (const { headers } of [...storage.seen, ...mirror.seen])
    t.false(JSON.stringify(headers).includes('canary'));
  t.is(storage.seen.length, 1);
});

test('proxies are used, and NO_PROXY is heard', async (t) => {
  const server = await netfault(t, { '/a.bin': body });
  const asked: string[] = [];
  // as a proxy of the plain kind: undici asks it for a tunnel
  const proxy = createServer((request, response) => {
    asked.push(request.url ?? '');
    request.pipe(httpRequest(request.url ?? '', (answer) => answer.pipe(response)));
  });
  proxy.on('connect', (request, socket) => {
    asked.push(request.url ?? '');
    const [host, port] = (request.url ?? '').split(':') as [string, string];
    const onward = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      onward.pipe(socket).pipe(onward);
    });
    for (const each of [onward, socket]) each.on('error', () => undefined);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  t.teardown(() => (proxy.closeAllConnections(), proxy.close()));
  const address = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const url = `${server.url}/a.bin`;
  const by = async (env: Record<string, string>) => {
    asked.length = 0;
    const folder = temporary(t);
    await download({ url }, join(folder, 'a.bin'), expected, { ...options, env });
    return asked.length;
  };
  t.is(await by({ HTTP_PROXY: address }), 1);
  t.is(await by({ http_proxy: address, NO_PROXY: '127.0.0.1' }), 0);
  t.is(await by({ ALL_PROXY: address }), 1);
  t.is(await by({}), 0);
});

test('eight processes fetch once, also when the connection is reset in the middle', async (t) => {
  const root = temporary(t);
  const place = join(root, 'm');
  const server = await netfault(t, { '/a.bin': body }, [fault.resetAt(half)], fault.honest, place);
  const remote = { file: 'a.bin', ...expected, sources: [{ kind: 'url', url: `${server.url}/a.bin` }] };
  const program = new URL('helpers/fetch-one.ts', import.meta.url).pathname;
  const ends = Array.from({ length: 8 }, () => {
    const env = { ...process.env, FETCH: JSON.stringify({ root, remote }) };
    return once(spawn(process.execPath, ['--import=tsx', program], { env, stdio: 'ignore' }), 'close');
  });
  t.deepEqual(
    await Promise.all(ends),
    Array.from({ length: 8 }, () => [0, null]),
  );
  t.true(readFileSync(join(root, 'm', 'a.bin')).equals(body));
  t.deepEqual(readdirSync(join(root, 'm')), ['a.bin']);
  t.is(server.seen.length, 2);
  t.is(server.seen[1]?.headers.range, `bytes=${half}-`);
  t.true(server.sent() <= 1.1 * body.length, `${server.sent()} bytes`);
});

test('a lock of a process that is gone, or without a name in it, does not hold anybody up for long', async (t) => {
  const server = await netfault(t, { '/a.bin': body });
  const remote = {
    file: 'a.bin',
    ...expected,
    sources: [{ kind: 'url' as const, url: `${server.url}/a.bin` }],
  };
  // a number that lives now, but belonged to another process
  for (const text of ['', `999999999 ${hostname()}`, `${process.pid}_1 ${hostname()}`, 'rubbish']) {
    const root = temporary(t);
    mkdirSync(join(root, 'm'));
    writeFileSync(join(root, 'm', 'a.bin.lock'), text);
    if (text === 'rubbish') {
      utimesSync(join(root, 'm', 'a.bin.lock'), 1, 1);
    }
    await ensureFile(remote, 'm', contextIn(root));
    t.deepEqual(readdirSync(join(root, 'm')), ['a.bin'], text);
  }
});
