/** `axllm serve` as a process of its own, on the simulated card: failures, several devices, signals, options. */
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import test, { type ExecutionContext } from 'ava';
import OpenAI, { BadRequestError } from 'openai';
import { axllm, outcome, start, type Outcome } from './helpers/cli.js';
import { temporary } from './helpers/folder.js';
import { writeTinyModel } from './helpers/tiny-model.js';
import { events, get, post, user } from './helpers/tiny-server.js';

interface Serving {
  readonly url: string;
  readonly key?: string;
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<Outcome>;
}

const endless = { max_tokens: 900, logit_bias: { 258: -100 } };

/** Runs the command on the tiny model until it listens; everything that it keeps is the test's own. */
async function serve(
  t: ExecutionContext,
  args: string[],
  env: Record<string, string> = {},
): Promise<Serving> {
  const folder = temporary(t);
  const own = { AXELERA_BUILD_ROOT: folder, XDG_RUNTIME_DIR: folder, XDG_CONFIG_HOME: folder, ...env };
  const child = start(['serve', writeTinyModel(folder), '--json', '--port', '0', ...args], own);
  const ended = outcome(child);
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const first = once(createInterface(child.stdout), 'line') as Promise<string[]>;
  const line = await Promise.race([first, ended.then(({ stderr }) => Promise.reject(new Error(stderr)))]);
  const { url, key } = JSON.parse(line[0]!) as { url: string; key?: string };
  return { url, child, ended, ...(key === undefined ? {} : { key }) };
}

const chatAt = (url: string) => `${url}/v1/chat/completions`;
const openStream = (url: string, signal?: AbortSignal) =>
  fetch(chatAt(url), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ messages: user('Hello'), stream: true, ...endless }),
    ...(signal ? { signal } : {}),
  });

test('H9: a device that fails in mid-stream is an error event and no [DONE]; the next request is answered', async (t) => {
  const { url } = await serve(t, ['-d', 'sim'], { AXSIM_FAULT: 'run@9=RUNTIME_ERROR' });
  const ask = { messages: user('Hello'), ...endless, max_tokens: 30 };
  const broken = await post(chatAt(url), { ...ask, stream: true });
  t.is(broken.status, 200);
  const all = events(broken.text);
  t.false(broken.text.includes('[DONE]'));
  t.like(all.at(-1).error, { type: 'server_error', code: 'device_failed' });
  t.is(all.filter((event) => event.choices?.[0]?.finish_reason).length, 0);
  t.is((await post(chatAt(url), ask)).body.usage.completion_tokens, 30);
});

test('H9: without a stream it is 503 JSON, for OpenAI’s client an error, for Ollama’s a last line', async (t) => {
  const fault = { AXSIM_FAULT: 'run@9=RUNTIME_ERROR;run@18=RUNTIME_ERROR;run@27=RUNTIME_ERROR' };
  const { url } = await serve(t, ['-d', 'sim'], fault);
  const whole = await post(chatAt(url), { messages: user('Hello'), ...endless });
  t.like(whole, { status: 503, body: { error: { code: 'device_failed' } } });
  const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
  const stream = await openai.chat.completions.create({
    model: 'tiny',
    messages: user('Hello'),
    stream: true,
    ...endless,
  });
  await t.throwsAsync(
    async () => {
      for await (const _ of stream);
    },
    { message: /failed at step/ },
  );
  const options = { num_predict: 30 };
  const lines = (
    await post(`${url}/api/chat`, { model: 'tiny', messages: user('Hello, you'), options })
  ).text.trim();
  t.regex(JSON.parse(lines.split('\n').at(-1)!).error as string, /failed at step/);
  t.false(lines.includes('"done":true'));
});

test('a device gives no embeddings: 400 says why, as clients show it', async (t) => {
  const { url } = await serve(t, ['-d', 'sim']);
  const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none' });
  const refused = await t.throwsAsync(openai.embeddings.create({ model: '', input: 'Hi' }), {
    instanceOf: BadRequestError,
    code: 'embeddings_unsupported',
    message: /no embeddings can be made on metis-sim:0.*--pipeline transformers/,
  });
  t.is((refused as BadRequestError).param, 'model');
  const { text } = await get(`${url}/metrics`);
  t.regex(text, /path="\/v1\/embeddings",status="400"\} 1$/m, 'the client asks once');
});

test('each device takes requests, one at a time; a third waits and is told its place', async (t) => {
  const { url } = await serve(t, ['-d', 'sim'], { AXSIM_DEVICES: '2', AXSIM_TOKENS_PER_SECOND: '100' });
  t.deepEqual((await get(`${url}/props`)).body.models[0].devices, ['metis-sim:0', 'metis-sim:1']);
  const stop = new AbortController();
  const two = await Promise.all([openStream(url, stop.signal), openStream(url, stop.signal)]);
  const readers = two.map((response) => response.body!.getReader());
  for (const reader of readers) t.true((await reader.read()).value!.length > 0);
  t.regex((await get(`${url}/metrics`)).text, /^axllm_requests_running 2$/m);
  const third = await openStream(url);
  const reader = third.body!.getReader();
  let said = '';
  while (!said.includes('queued 1')) said += Buffer.from((await reader.read()).value!).toString();
  stop.abort();
  // a place is free: it speaks
  while (!/"content":"[^"]/.test(said)) said += Buffer.from((await reader.read()).value!).toString();
  await reader.cancel();
  t.pass();
});

test('the temperature of a device is told after its first reply', async (t) => {
  const { url } = await serve(t, ['-d', 'sim'], { AXSIM_TEMPERATURE: '41' });
  await post(chatAt(url), { messages: user('Hi'), max_tokens: 2 });
  t.regex(
    (await get(`${url}/metrics`)).text,
    /^axllm_device_temperature_celsius\{device="metis-sim:0"\} 41$/m,
  );
});

test('SIGTERM: replies under way end, nobody else is let in, the status is 143', async (t) => {
  const { url, child, ended } = await serve(t, ['-d', 'sim'], { AXSIM_TOKENS_PER_SECOND: '60' });
  const ask = { messages: user('Hello'), stream: true, max_tokens: 60, logit_bias: { 258: -100 } };
  const running = await fetch(chatAt(url), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(ask),
  });
  const reader = running.body!.getReader();
  let said = Buffer.from((await reader.read()).value!).toString();
  child.kill('SIGTERM');
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    said += Buffer.from(value).toString();
  }
  t.is(events(said).pop(), 'DONE');
  t.is(events(said).filter((event) => event.choices?.[0]?.delta?.content).length > 10, true);
  t.is((await ended).status, 143);
  await t.throwsAsync(get(`${url}/health`));
});

test('SIGTERM: what does not end in time is cut off, and does not look complete', async (t) => {
  const slow = { AXSIM_TOKENS_PER_SECOND: '20' };
  const { url, child, ended } = await serve(t, ['-d', 'sim', '--drain-timeout', '0.3'], slow);
  const running = await openStream(url);
  const reader = running.body!.getReader();
  await reader.read();
  child.kill('SIGTERM');
  let said = '';
  await t.throwsAsync(async () => {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      said += Buffer.from(value).toString();
    }
  });
  t.false(said.includes('[DONE]'));
  t.is((await ended).status, 143);
});

test('a host that others reach gets a key, printed once', async (t) => {
  const { url, key, child, ended } = await serve(t, ['--pipeline', 'transformers', '--host', '0.0.0.0']);
  const { port } = new URL(url);
  const own = `http://127.0.0.1:${port}`;
  t.is((await get(`${own}/v1/models`)).status, 401);
  t.is((await get(`${own}/v1/models`, { Authorization: `Bearer ${key}` })).status, 200);
  child.kill('SIGTERM');
  const { stderr } = await ended;
  t.is(stderr.split(key!).length, 2, stderr);
});

test('a port that is taken is passed over, and the log says so', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.teardown(() => taken.close());
  const { port } = taken.address() as AddressInfo;
  const { url, child, ended } = await serve(t, ['--pipeline', 'transformers', '--port', String(port)]);
  t.true(Number(new URL(url).port) > port);
  child.kill('SIGINT');
  const { stderr, status } = await ended;
  t.regex(stderr, new RegExp(`INFO {4}: Port ${port} is taken; using \\d+`));
  t.is(status, 130);
});

test('limits, settings and keys come from flags and variables; models have names', async (t) => {
  const env = { AXLLM_API_KEY: 'secret', AXLLM_MAX_BODY: '300', AXLLM_PARALLEL: '3' };
  const { url } = await serve(
    t,
    ['--pipeline', 'transformers', '-n', '4', '--system-prompt', 'Be brief'],
    env,
  );
  const headers = { 'x-api-key': 'secret' };
  const { body } = await post(chatAt(url), { messages: user('Hello') }, headers);
  t.is(body.model, 'tiny');
  t.true(body.usage.completion_tokens <= 4);
  t.is((await post(chatAt(url), { messages: user('x'.repeat(400)) }, headers)).status, 413);
  t.is((await get(`${url}/props`, headers)).body.models[0].system_prompt, 'Be brief');
});

test('what cannot be served fails before it listens', async (t) => {
  t.like(await axllm(['serve', 'no-such-model']), { status: 1, stdout: '' });
  t.is((await axllm(['serve', '--max-body', '0'])).status, 2);
  const folder = temporary(t);
  const env = { AXELERA_BUILD_ROOT: folder, XDG_RUNTIME_DIR: folder };
  const broken = await axllm(['serve', writeTinyModel(folder), '-d', 'sim:7', '--port', '0'], { env });
  t.is(broken.status, 1);
  t.regex(broken.stderr, /\[unknown_device\]/);
});
