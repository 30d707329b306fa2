/** What clients may cost: malformed and huge bodies, slow and gone clients, a full queue, too many requests of one. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import test from 'ava';
import * as fc from 'fast-check';
import { route } from '../ts/server/route.js';
import { streamReply } from '../ts/server/openai/stream.js';
import { startServer } from '../ts/server/start.js';
import { echoModel } from './helpers/echo-model.js';
import { raw, statusOf } from './helpers/raw-http.js';
import { events, get, post, tinyServer, user } from './helpers/tiny-server.js';

const good = { messages: user('Hi'), max_tokens: 2 };

async function until(met: () => Promise<boolean>): Promise<void> {
  while (!(await met())) await new Promise((resolve) => setTimeout(resolve, 10));
}

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
      t.true(status < 500, `${path} ${JSON.stringify(value)}: ${status} ${text}`);
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
  // on a busy machine a reply may end before all have come, and another one may wait then
  let refused = await open();
  while (refused.status === 200) refused = await open();
  t.is(refused.status, 429);
  t.like(await refused.json(), { error: { code: 'queue_full', type: 'rate_limit_error' } });
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

test('one other machine has so many requests for the model at once, and this one as many as it likes', async (t) => {
  const others = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  const own = others.find(({ internal, family }) => !internal && family === 'IPv4');
  t.truthy(own, 'a network interface besides the loopback is needed: ip link add dummy0 type dummy');
  const server = await startServer({
    models: [{ id: 'echo', models: [echoModel(4, { everyMs: 20 })] }],
    host: '0.0.0.0',
    key: 'secret',
    limits: { 'per-client': 3 },
  });
  t.teardown(() => server.close());
  const [afar, here] = [`http://${own!.address}:${server.port}`, `http://127.0.0.1:${server.port}`];
  const headers = { 'content-type': 'application/json', 'x-api-key': 'secret' };
  const stop = new AbortController();
  t.teardown(() => stop.abort());
  const long = JSON.stringify({ messages: user('x'.repeat(100_000)), stream: true });
  const open = (url: string) =>
    fetch(`${url}/v1/chat/completions`, { method: 'POST', headers, body: long, signal: stop.signal });
  const replies = [await open(afar), await open(afar), await open(afar)];
  t.deepEqual(
    replies.map(({ status }) => status),
    [200, 200, 200],
  );
  const running = server.routes.filter(({ runs }) => runs);
  t.is(running.length, 7);
  for (const { path } of running) {
    const fourth = await post(afar + path, {}, headers);
    t.is(fourth.status, 429, path);
    t.is(fourth.headers.get('retry-after'), '1');
  }
  // what does not need the model is answered, and so is this machine
  t.is((await get(`${afar}/v1/models`, headers)).status, 200);
  const chat = async (url: string) => (await post(`${url}/v1/chat/completions`, good, headers)).status;
  t.deepEqual(await Promise.all([1, 2, 3, 4].map(() => chat(here))), [200, 200, 200, 200]);
  // one that has ended makes room for one
  await replies[0]!.body!.cancel();
  await until(async () => (await chat(afar)) === 200);
  t.is((await open(afar)).status, 200);
  t.is(await chat(afar), 429);
});
