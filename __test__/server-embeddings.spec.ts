/** Vectors over HTTP: every form of the input, the library's own values, and chats that get their turn beside them. */
import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import test from 'ava';
import { tinyContext } from './helpers/tiny-model.js';
import { get, post, tinyServer, user } from './helpers/tiny-server.js';

const published = JSON.parse(
  readFileSync(new URL('fixtures/openai-schemas.json', import.meta.url), 'utf8'),
) as object;
const ajv = new Ajv2020({ strict: false, formats: { float: true, unixtime: true, date: true, uri: true } });
ajv.addSchema(published, 'openai');
const conforms = (value: unknown) =>
  ajv.validate('openai#/components/schemas/CreateEmbeddingResponse', value) || ajv.errorsText();

const texts = ['The cat sat', 'on the mat', 'and 😀 was there'];
const ids = (text: string) => [...Buffer.from(text)];
const floats = (vectors: readonly Float32Array[]) => vectors.map((vector) => [...vector]);

test('every form of the input gives the library’s vectors', async (t) => {
  const { url, model } = await tinyServer(t);
  const expected = floats(await model.embed(texts));
  const tokens = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  // the tiny model's tokens are bytes, and a text's are its alphabet's
  const asIds = texts.map((text) => model.tokenize(text));
  for (const [input, want, used] of [
    [texts, expected, tokens],
    [asIds, expected, tokens],
    [texts[0], expected.slice(0, 1), ids(texts[0]!).length],
    [asIds[0], expected.slice(0, 1), ids(texts[0]!).length],
    [[texts[1]], expected.slice(1, 2), ids(texts[1]!).length],
  ] as const) {
    const { status, body } = await post(`${url}/v1/embeddings`, { model: 'tiny', input });
    t.is(status, 200, JSON.stringify(body));
    t.is(conforms(body), true);
    t.deepEqual(
      body.data.map(({ embedding }: { embedding: number[] }) => embedding),
      want,
    );
    t.deepEqual(
      body.data.map(({ index, object }: { index: number; object: string }) => [index, object]),
      want.map((_, index) => [index, 'embedding']),
    );
    t.deepEqual([body.object, body.model], ['list', 'tiny']);
    t.deepEqual(body.usage, { prompt_tokens: used, total_tokens: used });
  }
  for (const vector of expected) {
    const length = Math.hypot(...vector);
    t.true(Math.abs(length - 1) < 1e-6, `${length}`);
  }
  const packed = await post(`${url}/v1/embeddings`, { input: texts, encoding_format: 'base64' });
  for (const [n, { embedding }] of (packed.body.data as { embedding: string }[]).entries()) {
    const bytes = Buffer.from(embedding, 'base64');
    t.deepEqual(
      Array.from({ length: bytes.length / 4 }, (_, at) => bytes.readFloatLE(4 * at)),
      expected[n],
    );
  }
  const { text } = await get(`${url}/metrics`);
  t.regex(text, new RegExp(`^axllm_embedding_tokens_total ${3 * tokens + 2 * 11 + 10}$`, 'm'));
});

test('what is wrong is named: the parameter, and which of the inputs', async (t) => {
  const { url } = await tinyServer(t);
  const ask = (body: object) => post(`${url}/v1/embeddings`, body);
  const long = 'x'.repeat(tinyContext + 1);
  for (const [body, param, message] of [
    [{}, 'input', /expected a text/],
    [{ input: '' }, 'input', /not nothing/],
    [{ input: [] }, 'input', /expected a text/],
    [{ input: {} }, 'input', /expected a text/],
    [{ input: ['a', ''] }, 'input[1]', /not nothing/],
    [{ input: ['a', 'b', 7] }, 'input', /\[2\] is none/],
    [{ input: [1, 'b'] }, 'input', /\[1\] is none/],
    [{ input: [1, -1] }, 'input[1]', /id of a token/],
    [{ input: [[1], []] }, 'input[1]', /not nothing/],
    [{ input: [[1], [1.5]] }, 'input', /\[1\] is none/],
    [{ input: Array.from({ length: 2049 }, () => 'a') }, 'input', /at most 2048/],
    [{ input: ['a', long] }, 'input[1]', /1,025 tokens, room 1,024/],
    [{ input: long }, 'input', /1,025 tokens, room 1,024/],
    [{ input: [[1], [1], [99_999]] }, 'input[2]', /99999/],
    [{ input: 'a', encoding_format: 'int8' }, 'encoding_format', /encoding_format/],
    [{ input: 'a', dimensions: 32 }, 'dimensions', /64 dimensions/],
    [{ input: 'a', dimensions: 0 }, 'dimensions', /dimensions/],
    [{ input: 'a', user: 7 }, 'user', /user/],
  ] as const) {
    const { status, body: answer } = await ask(body);
    t.is(status, 400, JSON.stringify(body).slice(0, 60));
    t.like(answer.error, { param, type: 'invalid_request_error' });
    t.regex(answer.error.message, message);
  }
  const { body } = await ask({ input: ['a', long] });
  t.like(body.error, { code: 'context_length_exceeded', n_prompt_tokens: 1025, n_ctx: 1024 });
  t.is((await ask({ input: 'x'.repeat(tinyContext), dimensions: 64 })).status, 200, 'to the edge');
  t.is((await ask({ input: Array.from({ length: 2048 }, () => 'a') })).status, 200);
  const much = Array.from({ length: 300 }, () => Array.from({ length: 1001 }, () => 65));
  t.regex((await ask({ input: much })).body.error.message, /300300 tokens in all, the most are 300000/);
  t.like(await ask({ model: 'other', input: 'a' }), { status: 404, body: { error: { param: 'model' } } });
});

test('Ollama’s two forms give the same vectors', async (t) => {
  const { url, model } = await tinyServer(t);
  const expected = floats(await model.embed(texts));
  const all = await post(`${url}/api/embed`, { model: 'tiny', input: texts, keep_alive: '5m', options: {} });
  t.deepEqual(all.body.embeddings, expected);
  t.like(all.body, { model: 'tiny', prompt_eval_count: 11 + 10 + 18, load_duration: 0 });
  t.true(Number.isInteger(all.body.total_duration));
  const one = await post(`${url}/api/embed`, { model: 'tiny', input: texts[1] });
  t.deepEqual(one.body.embeddings, [expected[1]]);
  const older = await post(`${url}/api/embeddings`, { model: 'tiny', prompt: texts[1] });
  t.deepEqual(older.body, { embedding: expected[1] });
  // too long: refused, unless the client wants it cut
  const long = 'x'.repeat(2000);
  const refused = await post(`${url}/api/embed`, { model: 'tiny', input: ['a', long] });
  t.like(refused, { status: 400 });
  t.regex(refused.body.error, /^input\[1\] has 2,000 tokens, room 1,024/);
  const cut = await post(`${url}/api/embed`, { model: 'tiny', input: long, truncate: true });
  t.deepEqual(cut.body.embeddings, floats(await model.embed(['x'.repeat(tinyContext)])));
});

test('chats get their turn beside a long list, and whoever leaves frees the place', async (t) => {
  const { url, model } = await tinyServer(t, { limits: { parallel: 1, queue: 1 } });
  const alone = await model.generate('Hello there', { maxTokens: 20 }).text();
  const stop = new AbortController();
  const list = Array.from({ length: 2000 }, (_, n) => `text ${n} ${'x'.repeat(100)}`);
  const embedding = fetch(`${url}/v1/embeddings`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ input: list }),
    signal: stop.signal,
  });
  const over = embedding.then(
    () => 'answered',
    () => 'left',
  );
  const running = async () => /^axllm_requests_running 1$/m.test((await get(`${url}/metrics`)).text);
  while (!(await running()));
  for (let n = 0; n < 3; n++) {
    const chat = await post(`${url}/v1/chat/completions`, { messages: user('Hello there'), max_tokens: 20 });
    t.is(chat.body.choices[0].message.content, alone);
  }
  // the list is far from its end: the chats did not wait for it
  t.is(await Promise.race([over, Promise.resolve('under way')]), 'under way');
  stop.abort();
  t.is(await over, 'left');
  while (await running());
  const after = await post(`${url}/v1/embeddings`, { input: 'a' });
  t.is(after.status, 200);
});
