/** Who gets in: hosts, origins, keys and visitors; keys and methods are walked from the real table of routes. */
import test from 'ava';
import { startServer } from '../ts/server/start.js';
import { raw, statusOf } from './helpers/raw-http.js';
import { get, post, tinyServer, user } from './helpers/tiny-server.js';

const good = { messages: user('Hi'), max_tokens: 2 };
const cookieOf = (answer: { headers: Headers }) => answer.headers.get('set-cookie')!;

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
  door.answerTo(new URL('http://share.example'));
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
  const server = await tinyServer(t, { key: 'secret', layers: 40 });
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
