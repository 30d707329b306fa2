/** The attacks that a server on somebody's machine meets; keys and methods are walked from the real table of routes. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { text as readAll } from 'node:stream/consumers';
import test from 'ava';
import * as fc from 'fast-check';
import { route } from '../ts/server/route.js';
import { startServer } from '../ts/server/start.js';
import { streamReply } from '../ts/server/openai/stream.js';
import { events, get, post, tinyServer, user } from './helpers/tiny-server.js';

const good = { messages: user('Hi'), max_tokens: 2 };

/** Sends bytes as they are and reads all that comes back. */
async function raw(port: number, bytes: string | Buffer): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(bytes);
  const answer = await readAll(socket);
  return answer;
}

const cookieOf = (answer: { headers: Headers }) => answer.headers.get('set-cookie')!;

async function until(met: () => Promise<boolean>): Promise<void> {
  while (!(await met())) await new Promise((resolve) => setTimeout(resolve, 10));
}

const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);

test('H1: Host, Origin and fetch metadata', async (t) => {
  const { port } = await tinyServer(t, { hosts: ['box.lan:1234'], origins: ['http://app.example'] });
  const own = `127.0.0.1:${port}`;
  const refused: [string, string[]][] = [
    ['another name', ['Host: evil.example']],
    ['another name with our port', [`Host: evil.example:${port}`]],
    ['a name that resolves to us', [`Host: 127.0.0.1.nip.example:${port}`]],
    ['a name that begins like ours', [`Host: localhost.evil.example:${port}`]],
    ['our name on another port', ['Host: localhost:1']],
    ['our name without a port', ['Host: localhost']],
    ['an address that is not ours', [`Host: 10.1.2.3:${port}`]],
    ['a zone', [`Host: [fe80::1%25eth0]:${port}`]],
    ['credentials before the name', [`Host: localhost:${port}@evil.example`]],
    ['an empty name', ['Host:']],
    ['no name', []],
    ['two names', [`Host: ${own}`, 'Host: evil.example']],
    ['two of our names', [`Host: ${own}`, `Host: ${own}`]],
    ['another origin', [`Host: ${own}`, 'Origin: http://evil.example']],
    ['an opaque origin', [`Host: ${own}`, 'Origin: null']],
    ['our host, another port', [`Host: ${own}`, 'Origin: http://127.0.0.1:1']],
    ['our address by another name', [`Host: ${own}`, `Origin: http://localhost:${port}`]],
    ['an allowed origin with a path', [`Host: ${own}`, 'Origin: http://app.example/']],
    ['an allowed origin, other scheme', [`Host: ${own}`, 'Origin: https://app.example']],
    ['a page of another site', [`Host: ${own}`, 'Sec-Fetch-Site: cross-site']],
    ['a page of the same site', [`Host: ${own}`, 'Sec-Fetch-Site: same-site']],
    ['a made-up relation', [`Host: ${own}`, 'Sec-Fetch-Site: whatever']],
  ];
  const body = JSON.stringify(good);
  for (const [what, headers] of refused) {
    for (const [method, path, more] of [
      ['GET', '/', ''],
      ['GET', '/v1/models', ''],
      ['OPTIONS', '/v1/chat/completions', ''],
      ['POST', '/v1/chat/completions', body],
    ]) {
      const head = [`${method} ${path} HTTP/1.1`, ...headers, 'Content-Type: application/json'];
      const length = more === '' ? [] : [`Content-Length: ${body.length}`];
      const answer = await raw(port, [...head, ...length, 'Connection: close', '', more].join('\r\n'));
      t.true([400, 403].includes(statusOf(answer)), `${what}, ${method} ${path}: ${answer.slice(0, 80)}`);
      t.notRegex(answer, /Access-Control/i, what);
    }
  }
  const taken: [string, string[]][] = [
    ['an address', [`Host: ${own}`]],
    ['a name', [`Host: LOCALHOST:${port}`]],
    ['a name that is allowed', ['Host: box.lan:1234']],
    ['our own page', [`Host: ${own}`, `Origin: http://${own}`, 'Sec-Fetch-Site: same-origin']],
    ['an address that was typed', [`Host: ${own}`, 'Sec-Fetch-Site: none']],
    ['an allowed page', [`Host: ${own}`, 'Origin: http://app.example', 'Sec-Fetch-Site: cross-site']],
  ];
  for (const [what, headers] of taken) {
    const answer = await raw(
      port,
      ['GET /v1/models HTTP/1.1', ...headers, 'Connection: close', '', ''].join('\r\n'),
    );
    t.is(statusOf(answer), 200, what);
  }
  const absolute = `GET http://evil.example/v1/models HTTP/1.1\r\nHost: ${own}\r\nConnection: close\r\n\r\n`;
  t.is(statusOf(await raw(port, absolute)), 404);
});

test('H1: pages of an allowed origin may read, after asking', async (t) => {
  const { url } = await tinyServer(t, { origins: ['http://app.example'], key: 'secret' });
  const origin = { Origin: 'http://app.example' };
  const asked = await fetch(`${url}/v1/chat/completions`, { method: 'OPTIONS', headers: origin });
  t.is(asked.status, 204);
  t.is(asked.headers.get('access-control-allow-origin'), 'http://app.example');
  t.is(asked.headers.get('access-control-allow-credentials'), null);
  const answer = await post(`${url}/v1/chat/completions`, good, {
    ...origin,
    Authorization: 'Bearer secret',
  });
  t.is(answer.status, 200);
  t.is(answer.headers.get('access-control-allow-origin'), 'http://app.example');
  t.is(
    (await get(`${url}/v1/models`, { 'x-api-key': 'secret' })).headers.get('access-control-allow-origin'),
    null,
  );
});

test('H2: without the key no route but the open ones answers, with it every one does', async (t) => {
  const { url, port, routes } = await tinyServer(t, { key: 'secret' });
  const open = routes.filter((each) => each.access === 'open').map(({ path }) => path);
  t.deepEqual(
    open.filter((path) => !/^\/(\w+\.\w+)?$/.test(path)),
    ['/ui/session', '/health'],
    'what is open is the page, its login and the health',
  );
  const wrong: Record<string, string>[] = [
    {},
    { Authorization: 'Bearer' },
    { Authorization: 'Bearer ' },
    { Authorization: 'Bearer wrong' },
    { Authorization: 'Bearer secre' },
    { Authorization: 'Bearer secretx' },
    { Authorization: 'Basic c2VjcmV0' },
    { Authorization: 'secret' },
    { 'x-api-key': 'wrong' },
    { 'x-api-key': '' },
    { Cookie: 'axllm=secret' },
    { Cookie: `axllm-${port}=secret` },
    { Cookie: `axllm-${port}=` },
  ];
  for (const { method, path, access, input } of routes) {
    const send = (headers: Record<string, string>, query = '') =>
      method === 'GET' ? get(url + path + query, headers) : post(url + path + query, {}, headers);
    for (const headers of wrong) {
      const { status } = await send(headers);
      if (access === 'open') t.not(status, 403, path);
      else t.is(status, 401, `${method} ${path} ${JSON.stringify(headers)}`);
    }
    if (access !== 'open') {
      const answer = await send({}, '?key=secret&api_key=secret&token=secret');
      t.is(answer.status, 401, `${path}: a key in the address is none`);
      t.is(answer.headers.get('www-authenticate'), 'Bearer');
    }
    const right = await send({ Authorization: 'Bearer secret' });
    t.not(right.status, 401, path);
    if (input && path !== '/ui/session') t.is(right.status, 400, `${path}: an empty body is none`);
    // another method is refused, and not told to strangers
    const other = method === 'GET' ? 'DELETE' : 'PUT';
    const strange = await fetch(url + path, { method: other });
    t.is(strange.status, 401, path);
    const known = await fetch(url + path, { method: other, headers: { 'x-api-key': 'secret' } });
    t.is(known.status, 405, path);
  }
  t.is((await get(`${url}/nothing`)).status, 401);
  t.is((await get(`${url}/nothing`, { 'x-api-key': 'secret' })).status, 404);
});

test('H2: a page’s secret becomes a cookie that no script reads, and ends with what it came from', async (t) => {
  const server = await tinyServer(t, { key: 'secret' });
  const { url, port } = server;
  const { token, revoke } = server.issueToken({ uses: 1 });
  const login = (key: string) => post(`${url}/ui/session`, { key });
  const first = await login(token);
  t.is(first.status, 200);
  t.regex(cookieOf(first), new RegExp(`^axllm-${port}=[\\w-]{43}; HttpOnly; SameSite=Strict; Path=/$`));
  t.is((await login(token)).status, 401, 'it is good once');
  t.is((await login('guess')).status, 401);
  const Cookie = cookieOf(first).split(';', 1)[0]!;
  t.is((await post(`${url}/v1/chat/completions`, good, { Cookie })).status, 200);
  for (const { method, path, access } of server.routes.filter((each) => each.access === 'all')) {
    const answer =
      method === 'GET' ? await get(url + path, { Cookie }) : await post(url + path, {}, { Cookie });
    t.is(answer.status, 403, `${path} is ${access}`);
  }
  const owner = cookieOf(await login('secret')).split(';', 1)[0]!;
  t.is((await get(`${url}/metrics`, { Cookie: owner })).status, 200);
  revoke();
  t.is((await post(`${url}/v1/chat/completions`, good, { Cookie })).status, 401);
  const late = server.issueToken({ expires: Date.now() - 1 });
  t.is((await login(late.token)).status, 401);
});

test('H2: another door needs a key even where the main one does not, and has its own names', async (t) => {
  const server = await tinyServer(t);
  t.is((await get(`${server.url}/v1/models`)).status, 200);
  const door = await server.openDoor({});
  t.is((await get(`${door.url}/v1/models`)).status, 401);
  const asked = `GET /v1/models HTTP/1.1\r\nHost: share.example\r\nConnection: close\r\n\r\n`;
  t.is(statusOf(await raw(door.port, asked)), 403);
  door.hosts.add('share.example');
  t.is(statusOf(await raw(door.port, asked)), 401);
  t.is(statusOf(await raw(server.port, asked)), 403);
  door.close();
  await t.throwsAsync(get(`${door.url}/v1/models`));
});

test('H2: an address that others reach needs a key', async (t) => {
  const models = [{ id: 'tiny', models: [] }];
  await t.throwsAsync(startServer({ models, host: '0.0.0.0' }), { code: 'key_needed' });
  await t.throwsAsync(startServer({ models, host: '::' }), { code: 'key_needed' });
});

const deep = (depth: number) => `${'['.repeat(depth)}1${']'.repeat(depth)}`;
const withField = (field: string) => `{"messages":[{"role":"user","content":"Hi"}],"max_tokens":1,${field}}`;

test('H3: bodies that are malformed, huge or deep are refused in OpenAI’s words', async (t) => {
  const { url, port } = await tinyServer(t, { limits: { 'max-body': 4096 } });
  const at = `${url}/v1/chat/completions`;
  const cases: [string, number][] = [
    ['', 400],
    ['{', 400],
    ['null', 400],
    ['[]', 400],
    ['"text"', 400],
    ['42', 400],
    ['{"messages":NaN}', 400],
    ["{'messages':[]}", 400],
    ['{"messages":[]}x', 400],
    ['{"messages":[{"role":"user"}]}', 400],
    ['{"messages":[{"role":"root","content":"x"}]}', 400],
    ['{"messages":[{"role":"user","content":7}]}', 400],
    ['{"messages":[null]}', 400],
    ['{"messages":{"0":{"role":"user","content":"x"}}}', 400],
    ['{"messages":[{"role":"assistant","content":"x"}]}', 400],
    ['{"__proto__":{"messages":[]}}', 400],
    [withField('"n":1e9'), 400],
    [withField('"max_tokens":-1'), 400],
    [withField('"max_tokens":1e308'), 400],
    [withField('"seed":1e999'), 400],
    [withField('"temperature":null,"temperature":-5'), 400],
    [withField(`"stop":${JSON.stringify(Array.from({ length: 500 }, () => 'x'))}`), 400],
    [withField('"logit_bias":{"-1":1}'), 400],
    [withField('"logit_bias":{"x":1}'), 400],
    [withField(`"x":${deep(65)}`), 400],
    [withField(`"x":${deep(60)}`), 200],
    [withField('"x":"\\ud800"'), 200],
    ['{"messages":[{"role":"user","content":"\\ud800 \\u0000 \\u202e"}],"max_tokens":1}', 200],
    [withField(`"x":"${'y'.repeat(4000)}"`), 200],
    [withField(`"x":"${'y'.repeat(4200)}"`), 413],
    [deep(2000), 400],
    ['['.repeat(100_000), 413],
  ];
  for (const [text, status] of cases) {
    const answer = await post(at, text);
    t.is(answer.status, status, text.slice(0, 60));
    if (status !== 200) t.is(typeof answer.body.error.message, 'string', text.slice(0, 60));
  }
  for (const kind of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data',
    'application/jsonp',
    '',
  ]) {
    const answer = await post(at, good, { 'content-type': kind });
    t.is(answer.status, 415, kind);
  }
  t.is((await post(at, good, { 'content-type': 'Application/JSON; charset=utf-8' })).status, 200);
  t.is((await post(at, good, { 'content-encoding': 'gzip' })).status, 415);
  const head = `POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\n`;
  const invalid = Buffer.concat([
    Buffer.from(`${head}Connection: close\r\nContent-Length: 3\r\n\r\n"`),
    Buffer.from([0xff, 0x22]),
  ]);
  t.is(statusOf(await raw(port, invalid)), 400);
});

test('H3: whatever a body holds, the answer is the client’s fault or an answer', async (t) => {
  const { url, routes } = await tinyServer(t);
  const posts = routes.filter(({ method, path }) => method === 'POST' && path !== '/ui/session');
  const anything = fc.jsonValue({ maxDepth: 4 });
  const message = fc.record({
    role: fc.oneof(fc.constantFrom('system', 'user', 'assistant', 'developer'), anything),
    content: fc.oneof(fc.string({ unit: 'binary' }), anything),
  });
  const body = fc.record(
    {
      model: fc.oneof(fc.constant('tiny'), anything),
      messages: fc.oneof(fc.array(message, { maxLength: 3 }), anything),
      prompt: fc.oneof(fc.string(), anything),
      content: anything,
      tokens: fc.oneof(fc.array(fc.integer()), anything),
      max_tokens: fc.oneof(fc.constant(2), anything),
      temperature: fc.oneof(fc.double(), anything),
      seed: fc.oneof(fc.maxSafeInteger(), anything),
      stop: fc.oneof(fc.string(), fc.array(fc.string()), anything),
      logit_bias: fc.oneof(fc.dictionary(fc.string(), fc.double()), anything),
      options: fc.oneof(fc.record({ num_predict: fc.constant(2), top_k: fc.integer() }), anything),
      stream: fc.oneof(fc.boolean(), anything),
    },
    { requiredKeys: [] },
  );
  const bounded = { max_tokens: 2, options: { num_predict: 2 } };
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...posts), body, async ({ path }, value) => {
      const { status, text } = await post(url + path, { ...bounded, ...value });
      t.true(status < 500 || status === 501, `${path} ${JSON.stringify(value)}: ${status} ${text}`);
    }),
    { numRuns: 400 },
  );
});

test('H3: what is no HTTP, or means two things, is refused and the connection ends', async (t) => {
  const { port } = await tinyServer(t, { limits: { 'max-headers': 2048 } });
  const opening = `POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\n`;
  const cases: [string, string, number][] = [
    ['no HTTP', 'hello\r\n\r\n', 400],
    ['TLS', '\u0016\u0003\u0001\u0002\u0000\u0001', 400],
    ['both lengths', `${opening}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    ['two lengths', `${opening}Content-Length: 4\r\nContent-Length: 5\r\n\r\nnull`, 400],
    ['a length that is none', `${opening}Content-Length: -1\r\n\r\n`, 400],
    ['a chunk that is none', `${opening}Transfer-Encoding: chunked\r\n\r\nzz\r\n`, 400],
    ['an unknown coding', `${opening}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`, 400],
    ['a folded header', `${opening}X: a\r\n b\r\nContent-Length : 4\r\n\r\nnull`, 400],
    ['a head that is too large', `${opening}X: ${'y'.repeat(4096)}\r\n\r\n`, 431],
    ['a bare line feed in the head', `${opening}X: a\nHost: evil\r\n\r\n`, 400],
  ];
  for (const [what, bytes, status] of cases) {
    const answer = await raw(port, bytes);
    t.is(statusOf(answer), status, `${what}: ${answer.slice(0, 60)}`);
    t.regex(answer, /\r\nConnection: close\r\n/i, what);
  }
  // two requests in one packet are two answers
  const twice = `GET /health HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n`;
  const both = await raw(port, `${twice}\r\n${twice}Connection: close\r\n\r\n`);
  t.is(both.split('HTTP/1.1 200 OK').length, 3);
});

test('H4: clients that are slow to speak are shown out, and hold nobody up', async (t) => {
  const { port, url } = await tinyServer(t, { limits: { 'header-timeout': 0.4, 'body-timeout': 0.4 } });
  const head = `POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\n`;
  const slow = [
    ...Array.from({ length: 200 }, () => ['GET / HTTP/1.1\r\nHost: 127', 408] as const),
    ...Array.from({ length: 20 }, () => [`${head}Content-Length: 100\r\n\r\n{"mess`, 408] as const),
  ].map(async ([bytes, status]) => t.is(statusOf(await raw(port, bytes)), status, bytes.slice(0, 20)));
  t.is((await post(`${url}/v1/chat/completions`, good)).status, 200);
  await Promise.all(slow);
});

test('H4: a client that does not read is given up, and its place is free', async (t) => {
  // a reply as any other, with so much in each event that one alone fills the buffers of the socket
  const padding = 'x'.repeat(20_000_000);
  const flood = route({
    method: 'GET',
    path: '/flood',
    access: 'all',
    style: 'openai',
    summary: 'A chat whose events are long.',
    handle(call) {
      const { server, identity, signal } = call;
      const { metrics } = server;
      const ready = server.model('tiny');
      const prompt = { messages: user('Hello') };
      const options = { maxTokens: 900, logitBias: { 258: -100 } };
      const ask = { ready, prompt, options, identity, signal, metrics };
      const shape = { envelope: {}, choiceOf: () => ({ padding }), closing: () => ({}) };
      return streamReply(call, ask, shape, { includeUsage: false, timings: false });
    },
  });
  const limits = { parallel: 1, 'write-timeout': 0.3 };
  const { port, url } = await tinyServer(t, { layers: 8, routes: [flood], limits });
  const deaf = connect(port, '127.0.0.1');
  deaf.pause();
  deaf.on('error', () => undefined);
  deaf.write(`GET /flood HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
  const figures = async () => (await get(`${url}/metrics`)).text;
  await until(async () => /path="\/flood",status="499"\} 1$/m.test(await figures()));
  t.is((await post(`${url}/v1/chat/completions`, good)).status, 200);
  deaf.destroy();
});

test('H4: a client that has left frees its place within a step', async (t) => {
  const { port, url } = await tinyServer(t, { layers: 40, limits: { parallel: 1 } });
  const body = JSON.stringify({ ...good, stream: true, max_tokens: 900, logit_bias: { 258: -100 } });
  const head = `POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\n`;
  const leaver = connect(port, '127.0.0.1');
  leaver.write(`${head}Content-Length: ${body.length}\r\n\r\n${body}`);
  leaver.once('data', () => leaver.destroy());
  await once(leaver, 'close');
  // the only place: this one is answered once it is free
  t.is((await post(`${url}/v1/chat/completions`, good)).status, 200);
  const figures = (await get(`${url}/metrics`)).text;
  t.regex(figures, /status="499"\} 1$/m);
  // a reply that was left is not counted: two tokens at most were
  t.regex(figures, /^axllm_completion_tokens_total [12]$/m);
});

test('H5: a full queue says so at once, and who leaves it is forgotten', async (t) => {
  const { url } = await tinyServer(t, { layers: 40, limits: { parallel: 1, queue: 4 } });
  const long = { messages: user('Hello'), stream: true, max_tokens: 900, logit_bias: { 258: -100 } };
  const stop = new AbortController();
  const open = () =>
    fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(long),
      signal: stop.signal,
    });
  const running = await open();
  const waiting = Array.from({ length: 4 }, open);
  // each is told its place
  const places = await Promise.all(
    waiting.map(async (each) => {
      const { value } = await (await each).body!.getReader().read();
      return Buffer.from(value!).toString();
    }),
  );
  t.true(places.every((text) => text.includes('"role":"assistant"')));
  const refused = await post(`${url}/v1/chat/completions`, good);
  t.like(refused, { status: 429, body: { error: { code: 'queue_full', type: 'rate_limit_error' } } });
  t.is(refused.headers.get('retry-after'), '1');
  stop.abort();
  await running.text().catch(() => undefined);
  for (;;) {
    const answer = await post(`${url}/v1/chat/completions`, good);
    if (answer.status === 200) break;
    t.is(answer.status, 429);
  }
  t.pass();
});

test('H6: no path leads to a file', async (t) => {
  const assets = new Map([['/app.js', { type: 'text/javascript', body: Buffer.from('1') }]]);
  const { port } = await tinyServer(t, { assets });
  const paths = [
    '/../package.json',
    '/..%2fpackage.json',
    '/%2e%2e/package.json',
    '/..\\package.json',
    '/..%5cpackage.json',
    '//etc/passwd',
    '/etc/passwd',
    '/app.js/',
    '/app.js%00',
    '/./app.js',
    '/APP.JS',
    '/app.js/../../package.json',
    '/file:///etc/passwd',
    '/.env',
    '/constructor',
    '/__proto__',
  ];
  const ask = (path: string) =>
    raw(port, `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`);
  for (const path of paths) t.is(statusOf(await ask(path)), 404, path);
  const found = await ask('/app.js?v=1');
  t.is(statusOf(found), 200);
  for (const header of [
    /Content-Security-Policy: default-src 'none'; script-src 'self';/,
    /X-Content-Type-Options: nosniff/,
    /Referrer-Policy: no-referrer/,
    /Cross-Origin-Opener-Policy: same-origin/,
    /Cross-Origin-Resource-Policy: same-origin/,
  ]) {
    t.regex(found, header);
  }
  t.notRegex(found, /unsafe-inline|Access-Control/);
});

test('H8: visitors have one request at a time, and nothing of one is seen by another', async (t) => {
  const server = await tinyServer(t, { key: 'secret', layers: 8 });
  const { url } = server;
  const { token } = server.issueToken({ atOnce: 1, sessions: 2 });
  const enter = async () => {
    const answer = await post(`${url}/ui/session`, { key: token });
    return { Cookie: answer.headers.get('set-cookie')!.split(';', 1)[0]! };
  };
  const [one, two] = [await enter(), await enter()];
  const secret = { messages: user('A canary that nobody else may find sings here'), max_tokens: 8 };
  const cached = async (headers: Record<string, string>) => {
    const { body } = await post(`${url}/v1/chat/completions`, secret, headers);
    return body.usage.prompt_tokens_details.cached_tokens as number;
  };
  t.is(await cached(one), 0);
  t.true((await cached(one)) > 40, 'one’s own is kept');
  t.is(await cached(two), 0, 'another’s is not');
  t.is(await cached({ 'x-api-key': 'secret' }), 0);
  // the second request of a visitor is refused while the first is answered
  const long = { messages: user('Hello'), stream: true, max_tokens: 900, logit_bias: { 258: -100 } };
  const stop = new AbortController();
  const first = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...one },
    body: JSON.stringify(long),
    signal: stop.signal,
  });
  const second = await post(`${url}/v1/chat/completions`, good, one);
  t.like(second, { status: 429, body: { error: { code: 'too_many_requests' } } });
  t.is((await post(`${url}/v1/chat/completions`, good, two)).status, 200);
  stop.abort();
  await first.text().catch(() => undefined);
  // a third visitor ends the first one's stay
  await enter();
  t.is((await post(`${url}/v1/chat/completions`, good, one)).status, 401);
  t.is((await post(`${url}/v1/chat/completions`, good, two)).status, 200);
});

test('a reply that takes too long ends with an error, not as if it were complete', async (t) => {
  const { url } = await tinyServer(t, { layers: 100, limits: { 'reply-timeout': 0.2 } });
  const long = { messages: user('Hello'), max_tokens: 900, logit_bias: { 258: -100 } };
  const streamed = await post(`${url}/v1/chat/completions`, { ...long, stream: true });
  // on a busy machine the time is over before the first word, and the error is an answer of its own
  const last = streamed.status === 200 ? events(streamed.text).at(-1) : streamed.body;
  t.is(last.error.code, 'timeout');
  const whole = await post(`${url}/v1/chat/completions`, long);
  t.like(whole, { status: 503, body: { error: { code: 'timeout' } } });
});
