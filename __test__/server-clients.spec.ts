/** The clients that people use, as their registries have them, against a real server. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import test, { type ExecutionContext } from 'ava';
import { Ollama } from 'ollama';
import OpenAI, { APIUserAbortError, AuthenticationError, BadRequestError, NotFoundError } from 'openai';
import { get, tinyServer, user, type Tiny } from './helpers/tiny-server.js';

const endId = 258;
const endless = { max_tokens: 900, logit_bias: { [endId]: -100 } };

async function withKey(
  t: ExecutionContext,
  layers = 8,
): Promise<Tiny & { openai: OpenAI; expected: string }> {
  const tiny = await tinyServer(t, { key: 'secret', layers });
  const openai = new OpenAI({ baseURL: `${tiny.url}/v1`, apiKey: 'secret', maxRetries: 0 });
  const expected = await tiny.model.generate('Hello there', { maxTokens: 30 }).text();
  return { ...tiny, openai, expected };
}

/** Everybody who has left has given the model back. */
async function idle(url: string): Promise<void> {
  for (;;) {
    const { text } = await get(`${url}/metrics`, { 'x-api-key': 'secret' });
    if (/^axllm_requests_running 0$/m.test(text)) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test('openai (npm): whole, streamed, with figures and log-probabilities', async (t) => {
  const { openai, expected } = await withKey(t);
  const ask = { model: 'tiny', messages: user('Hello there'), max_tokens: 30 };
  const whole = await openai.chat.completions.create({ ...ask, logprobs: true, top_logprobs: 2 });
  t.is(whole.choices[0]!.message.content, expected);
  t.is(whole.choices[0]!.logprobs!.content!.length, 30);
  t.is(whole.usage!.completion_tokens, 30);
  let text = '';
  let usage: number | undefined;
  const stream = await openai.chat.completions.create({
    ...ask,
    stream: true,
    stream_options: { include_usage: true },
  });
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? '';
    usage = chunk.usage?.completion_tokens ?? usage;
  }
  t.deepEqual([text, usage], [expected, 30]);
  const helper = openai.chat.completions.stream(ask);
  t.is((await helper.finalChatCompletion()).choices[0]!.message.content, expected);
  const text2 = await openai.completions.create({ model: 'tiny', prompt: 'Once upon', max_tokens: 5 });
  t.true(text2.choices[0]!.text.length > 0);
  const models = await openai.models.list();
  t.deepEqual(
    models.data.map(({ id }) => id),
    ['tiny'],
  );
});

test('openai (npm): embeddings, packed as it asks for them and plain', async (t) => {
  const { openai, model, url } = await withKey(t);
  const input = ['Hello there', 'and there'];
  const expected = (await model.embed(input)).map((vector) => [...vector]);
  for (const form of [{}, { encoding_format: 'float' as const }]) {
    const { data, usage } = await openai.embeddings.create({ model: 'tiny', input, ...form });
    t.deepEqual(
      data.map(({ embedding }) => embedding),
      expected,
    );
    t.is(usage.prompt_tokens, 20);
  }
  const bad = await t.throwsAsync(openai.embeddings.create({ model: 'tiny', input, dimensions: 8 }), {
    instanceOf: BadRequestError,
  });
  t.is((bad as BadRequestError).param, 'dimensions');
  const stop = new AbortController();
  const many = Array.from({ length: 2000 }, () => 'x'.repeat(200));
  const leaving = openai.embeddings.create({ model: 'tiny', input: many }, { signal: stop.signal });
  setTimeout(() => stop.abort(), 50);
  await t.throwsAsync(leaving, { instanceOf: APIUserAbortError });
  await idle(url);
});

test('openai (npm): aborting gives the model back', async (t) => {
  const { openai, url, expected } = await withKey(t);
  const ask = { model: 'tiny', messages: user('Hello there') };
  for (let n = 0; n < 10; n++) {
    const stream = await openai.chat.completions.create({ ...ask, ...endless, stream: true });
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
  }
  const stop = new AbortController();
  const waiting = openai.chat.completions.create({ ...ask, ...endless }, { signal: stop.signal });
  stop.abort();
  await t.throwsAsync(waiting, { instanceOf: APIUserAbortError });
  await idle(url);
  const after = await openai.chat.completions.create({ ...ask, max_tokens: 30 });
  t.is(after.choices[0]!.message.content, expected);
});

test('openai (npm): each failure is the class that it should be', async (t) => {
  const { openai, url } = await withKey(t);
  const messages = user('Hi');
  const create = openai.chat.completions.create.bind(openai.chat.completions);
  await t.throwsAsync(create({ model: 'other', messages }), {
    instanceOf: NotFoundError,
    code: 'model_not_found',
  });
  const bad = await t.throwsAsync(create({ model: 'tiny', messages, n: 3 }), {
    instanceOf: BadRequestError,
  });
  t.is((bad as BadRequestError).param, 'n');
  await t.throwsAsync(create({ model: 'tiny', messages: user('x'.repeat(2000)) }), {
    instanceOf: BadRequestError,
    code: 'context_length_exceeded',
  });
  const stranger = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'guess', maxRetries: 0 });
  await t.throwsAsync(stranger.models.list(), {
    instanceOf: AuthenticationError,
    code: 'invalid_api_key',
  });
});

test('openai (PyPI)', async (t) => {
  const { url, model, expected } = await withKey(t);
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  const client = join(cache, 'axllm-test', 'openai-3.57.0');
  t.true(existsSync(client), `bash scripts/test-tools.sh installs ${client}`);
  const script = new URL('helpers/openai_client.py', import.meta.url).pathname;
  const { stdout } = await promisify(execFile)('python3', [script, `${url}/v1`, client], {
    env: { PATH: process.env.PATH, HOME: homedir(), PYTHONPATH: client, PYTHONDONTWRITEBYTECODE: '1' },
  });
  const seen = JSON.parse(stdout) as Record<string, unknown>;
  t.like(seen, {
    version: '3.57.0',
    text: expected,
    finish: 'length',
    logprobs: 30,
    streamed: expected,
    streamed_usage: 30,
    left: true,
    models: ['tiny'],
    wrong_model: ['NotFoundError', 404, 'model_not_found', 'model'],
    bad_parameter: ['BadRequestError', 400, 'invalid_value', 'n'],
    embeddings: (await model.embed(['Hello there', 'and there'])).map((vector) => [...vector]),
    embedding_tokens: 20,
    too_long: ['BadRequestError', 400, 'context_length_exceeded', null],
    too_long_input: ['BadRequestError', 400, 'context_length_exceeded', 'input[1]'],
    wrong_key: ['AuthenticationError', 401, 'invalid_api_key', null],
  });
  await idle(url);
});

test('ollama (npm): chat, generate, listings, abort', async (t) => {
  const { url, model, expected } = await withKey(t, 64); // slow enough to be left in mid-reply
  const headers = { Authorization: 'Bearer secret' };
  const ollama = new Ollama({ host: url, headers });
  const options = { num_predict: 30 };
  const ask = { model: 'tiny', messages: user('Hello there'), options };
  t.is((await ollama.chat(ask)).message.content, expected);
  let text = '';
  for await (const part of await ollama.chat({ ...ask, stream: true })) text += part.message.content;
  t.is(text, expected);
  t.is((await ollama.generate({ model: 'tiny', prompt: 'Hello there', options })).response, expected);
  t.is((await ollama.list()).models[0]!.name, 'tiny');
  t.is((await ollama.ps()).models[0]!.name, 'tiny');
  t.deepEqual((await ollama.show({ model: 'tiny' })).capabilities, ['completion']);
  const vectors = (await model.embed(['a', 'bc'])).map((vector) => [...vector]);
  t.deepEqual((await ollama.embed({ model: 'tiny', input: ['a', 'bc'] })).embeddings, vectors);
  t.deepEqual((await ollama.embeddings({ model: 'tiny', prompt: 'bc' })).embedding, vectors[1]);
  t.regex((await ollama.version()).version, /^\d/);
  await t.throwsAsync(ollama.chat({ ...ask, model: 'other' }), { message: /no model "other"/ });
  // greedy, for a sampled reply may be over with its first token
  const long = await ollama.generate({
    model: 'tiny',
    prompt: 'Hello there',
    stream: true,
    options: { num_predict: 900, temperature: 0 },
  });
  await t.throwsAsync(
    async () => {
      for await (const _ of long) long.abort();
    },
    { any: true, name: 'AbortError' },
  );
  await idle(url);
});

test('LangChain’s ChatOpenAI and OpenAIEmbeddings', async (t) => {
  const { url, model, expected } = await withKey(t);
  const configuration = { baseURL: `${url}/v1` };
  const chat = new ChatOpenAI({
    model: 'tiny',
    apiKey: 'secret',
    maxTokens: 30,
    maxRetries: 0,
    configuration,
  });
  const whole = await chat.invoke('Hello there');
  t.is(whole.content, expected);
  t.is(whole.usage_metadata!.output_tokens, 30);
  let text = '';
  for await (const chunk of await chat.stream('Hello there')) text += String(chunk.content);
  t.is(text, expected);
  const stop = new AbortController();
  await t.throwsAsync(
    async () => {
      for await (const _ of await chat.stream('Hello there', { signal: stop.signal })) stop.abort();
    },
    { any: true, name: 'AbortError' },
  );
  const other = new ChatOpenAI({ model: 'other', apiKey: 'secret', maxRetries: 0, configuration });
  await t.throwsAsync(other.invoke('Hi'), { message: /no model "other"/ });
  const embeddings = new OpenAIEmbeddings({ model: 'tiny', apiKey: 'secret', maxRetries: 0, configuration });
  const vectors = (await model.embed(['a', 'bc'])).map((vector) => [...vector]);
  t.deepEqual(await embeddings.embedDocuments(['a', 'bc']), vectors);
  t.deepEqual(await embeddings.embedQuery('bc'), vectors[1]);
  await idle(url);
});
