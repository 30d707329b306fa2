/** The HTTP interface, field by field, against the library and OpenAI's own schemas. */
import { readFileSync } from 'node:fs';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import test, { type ExecutionContext } from 'ava';
import { load } from '../ts/index.js';
import { routeTable } from '../ts/server/routes.js';
import { startServer } from '../ts/server/start.js';
import { temporary } from './helpers/folder.js';
import { tinyContext, writeTinyModel } from './helpers/tiny-model.js';
import { events, get, post, tinyServer, user } from './helpers/tiny-server.js';

const published = JSON.parse(
  readFileSync(new URL('fixtures/openai-schemas.json', import.meta.url), 'utf8'),
) as object;
const ajv = new Ajv2020({ strict: false, formats: { unixtime: true, date: true, uri: true } });
ajv.addSchema(published, 'openai');

function conforms(t: ExecutionContext, name: string, value: unknown): void {
  const check = ajv.getSchema(`openai#/components/schemas/${name}`)!;
  t.true(check(value), `${name}: ${ajv.errorsText(check.errors)}`);
}

test('a chat is what the library answers, with usage and timings', async (t) => {
  const { url, model } = await tinyServer(t);
  const expected = model.generate('Hello there', { maxTokens: 40 });
  const text = await expected.text();
  const { status, body } = await post(`${url}/v1/chat/completions`, {
    model: 'tiny',
    messages: user('Hello there'),
    max_tokens: 40,
  });
  t.is(status, 200);
  conforms(t, 'CreateChatCompletionResponse', body);
  const { promptTokens, completionTokens } = await expected.result;
  t.like(body, {
    object: 'chat.completion',
    model: 'tiny',
    choices: [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: 'length' }],
    usage: {
      prompt_tokens: promptTokens,
      completion_tokens: completionTokens,
      total_tokens: promptTokens + completionTokens,
      prompt_tokens_details: { cached_tokens: 0 },
    },
    timings: { cache_n: 0, prompt_n: promptTokens, predicted_n: completionTokens },
  });
  t.regex(body.id, /^chatcmpl-/);
});

test('a stream is the same text in events of one id, usage only where it is asked for', async (t) => {
  const { url, model } = await tinyServer(t);
  const text = await model.generate('Hello there', { maxTokens: 40 }).text();
  for (const asked of [false, true]) {
    const answer = await post(`${url}/v1/chat/completions`, {
      messages: user('Hello there'),
      max_tokens: 40,
      stream: true,
      stream_options: { include_usage: asked },
    });
    t.is(answer.headers.get('content-type'), 'text/event-stream; charset=utf-8');
    t.is(answer.headers.get('x-accel-buffering'), 'no');
    const all = events(answer.text);
    t.is(all.pop(), 'DONE');
    for (const each of all) {
      conforms(t, 'CreateChatCompletionStreamResponse', each);
      t.true(Array.isArray(each.choices));
      t.deepEqual([each.id, each.created], [all[0].id, all[0].created]);
    }
    const last = asked ? all.pop() : undefined;
    t.deepEqual(all[0].choices[0].delta, { role: 'assistant', content: '' });
    t.is(all.map((each) => each.choices[0].delta.content ?? '').join(''), text);
    t.is(all.at(-1).choices[0].finish_reason, 'length');
    if (asked) t.like(last, { choices: [], usage: { completion_tokens: 40 } });
    t.true(all.every((each) => ('usage' in each ? asked && each.usage === null : !asked)));
  }
});

test('every sampling field reaches the engine', async (t) => {
  const { url, model } = await tinyServer(t);
  const text = async (extra: object) => {
    const { body } = await post(`${url}/v1/chat/completions`, {
      messages: user('Tell me'),
      max_tokens: 24,
      ...extra,
    });
    return body.choices[0].message.content as string;
  };
  const warm = { temperature: 1.5, seed: 7 };
  const pairs: [object, Parameters<typeof model.generate>[1]][] = [
    [{}, {}],
    [warm, { temperature: 1.5, seed: 7 }],
    [
      { ...warm, top_k: 3 },
      { temperature: 1.5, seed: 7, topK: 3 },
    ],
    [
      { ...warm, top_p: 0.5 },
      { temperature: 1.5, seed: 7, topP: 0.5 },
    ],
    [
      { ...warm, min_p: 0.4 },
      { temperature: 1.5, seed: 7, minP: 0.4 },
    ],
    [{ repeat_penalty: 1.8 }, { repeatPenalty: 1.8 }],
    [{ repetition_penalty: 1.8 }, { repeatPenalty: 1.8 }],
    [{ presence_penalty: 1.5 }, { presencePenalty: 1.5 }],
    [{ frequency_penalty: 0.7 }, { frequencyPenalty: 0.7 }],
    [{ logit_bias: { 101: 100 } }, { logitBias: { 101: 100 } }],
    [{ stop: 'l' }, { stop: ['l'] }],
    [{ stop: ['zzz', 'r'] }, { stop: ['zzz', 'r'] }],
    [{ max_completion_tokens: 5, max_tokens: null }, { maxTokens: 5 }],
  ];
  const plain = await text({});
  let different = 0;
  for (const [fields, options] of pairs) {
    const got = await text(fields);
    t.is(got, await model.generate('Tell me', { maxTokens: 24, ...options }).text(), JSON.stringify(fields));
    different += Number(got !== plain);
  }
  t.true(different >= pairs.length - 2, `only ${different} of them change anything`);
  t.is(await text({ logit_bias: { 101: 100 } }), 'e'.repeat(24));
});

test('log-probabilities are those of the tokens said, the likeliest first', async (t) => {
  const { url } = await tinyServer(t);
  const ask = { messages: user('Hello there'), max_tokens: 12, logprobs: true, top_logprobs: 3 };
  const { body } = await post(`${url}/v1/chat/completions`, ask);
  conforms(t, 'CreateChatCompletionResponse', body);
  const { message, logprobs } = body.choices[0];
  t.is(logprobs.content.length, 12);
  t.is(logprobs.content.map(({ token }: { token: string }) => token).join(''), message.content);
  for (const { token, logprob, bytes, top_logprobs: top } of logprobs.content) {
    t.deepEqual(bytes, [...Buffer.from(token)]);
    t.is(top.length, 3);
    // greedy: what was said is the likeliest
    t.deepEqual([top[0].token, top[0].logprob], [token, logprob]);
    t.true(logprob < 0 && top[1].logprob <= logprob && top[2].logprob <= top[1].logprob);
  }
  const streamed = events((await post(`${url}/v1/chat/completions`, { ...ask, stream: true })).text);
  const parts = streamed.flatMap((each) => each.choices?.[0].logprobs?.content ?? []);
  t.deepEqual(parts, logprobs.content);
});

test('a text is gone on with as it stands', async (t) => {
  const { url, model } = await tinyServer(t);
  using slot = model.slot();
  const text = await slot.reply({ text: 'Once upon' }, { maxTokens: 16 }).text();
  const { body } = await post(`${url}/v1/completions`, { prompt: 'Once upon', logprobs: 2 });
  conforms(t, 'CreateCompletionResponse', body);
  t.like(body, { object: 'text_completion', usage: { prompt_tokens: 9, completion_tokens: 16 } });
  t.is(body.choices[0].text, text);
  t.is(body.choices[0].logprobs.tokens.join(''), text);
  t.is(body.choices[0].logprobs.text_offset[0], 9);
  const stream = events((await post(`${url}/v1/completions`, { prompt: ['Once upon'], stream: true })).text);
  t.is(stream.pop(), 'DONE');
  t.is(stream.map((each) => each.choices[0].text).join(''), text);
});

test('a chat that grows is not read again, and nobody builds on another’s', async (t) => {
  const { url } = await tinyServer(t);
  const messages: { role: string; content: string }[] = user('A first question of some length');
  const ask = async () => {
    const { body } = await post(`${url}/v1/chat/completions`, { messages, max_tokens: 8 });
    return { text: body.choices[0].message.content, cached: body.usage.prompt_tokens_details.cached_tokens };
  };
  // others in between take caches of their own
  const first = await ask();
  t.is(first.cached, 0);
  for (let n = 0; n < 5; n++) {
    await post(`${url}/v1/chat/completions`, { messages: user(`Something else ${n}`), max_tokens: 4 });
  }
  messages.push({ role: 'assistant', content: first.text }, ...user('And a second one'));
  const second = await ask();
  t.true(second.cached > 'A first question of some length'.length, `${second.cached} tokens`);
  const metrics = await get(`${url}/metrics`);
  t.regex(metrics.text, /^axllm_cache_hits_total [1-9]/m);
});

test('what is known but not supported is 400 and names the parameter', async (t) => {
  const { url } = await tinyServer(t);
  const good = { messages: user('Hi'), max_tokens: 1 };
  const bad: [string, unknown][] = [
    ['n', 2],
    ['n', 1e9],
    ['tools', [{ type: 'function', function: { name: 'f' } }]],
    ['tool_choice', 'required'],
    ['functions', [{ name: 'f' }]],
    ['function_call', { name: 'f' }],
    ['response_format', { type: 'json_object' }],
    ['response_format', { type: 'json_schema', json_schema: { name: 'x', schema: {} } }],
    ['grammar', 'root ::= "a"'],
    ['modalities', ['text', 'audio']],
    ['audio', { voice: 'alloy', format: 'wav' }],
    ['prediction', { type: 'content', content: 'x' }],
    ['web_search_options', {}],
    ['max_tokens', -1],
    ['max_tokens', 1.5],
    ['temperature', 'hot'],
    ['temperature', -1],
    ['top_p', 2],
    ['seed', 1.5],
    ['stop', ['a', 'b', 'c', 'd', 'e']],
    ['stop', 'x'.repeat(257)],
    ['logit_bias', { 1: 1000 }],
    ['top_logprobs', 5],
    ['stream', 'yes'],
    ['messages', []],
    ['messages', 'Hi'],
  ];
  for (const [param, value] of bad) {
    const { status, body } = await post(`${url}/v1/chat/completions`, { ...good, [param]: value });
    t.is(status, 400, `${param}: ${JSON.stringify(value)}`);
    conforms(t, 'ErrorResponse', body);
    t.is(body.error.type, 'invalid_request_error');
    t.true(String(body.error.param).startsWith(param), `${param}: ${JSON.stringify(body)}`);
  }
  const image = [
    { role: 'user', content: [{ type: 'image_url', image_url: { url: 'http://127.0.0.1/x' } }] },
  ];
  const refused = await post(`${url}/v1/chat/completions`, { messages: image });
  t.like(refused, { status: 400, body: { error: { param: 'messages[0].content' } } });
  const unasked = await post(`${url}/v1/chat/completions`, {
    messages: [{ role: 'assistant', content: 'Hi' }],
  });
  t.like(unasked, { status: 400, body: { error: { param: 'messages', code: 'invalid_messages' } } });
  const harmless = { n: 1, tools: [], tool_choice: 'none', response_format: { type: 'text' }, unknown: 1 };
  t.is(
    (await post(`${url}/v1/chat/completions`, { ...good, ...harmless, user: 'u', metadata: {} })).status,
    200,
  );
  const parts = [{ role: 'developer', content: [{ type: 'text', text: 'Be brief' }] }, ...user('Hi')];
  t.is((await post(`${url}/v1/chat/completions`, { messages: parts, max_tokens: 1 })).status, 200);
});

test('a prompt that is too long is refused with both counts, in every interface', async (t) => {
  const { url } = await tinyServer(t);
  const messages = user('x'.repeat(2000));
  for (const stream of [false, true]) {
    const { status, body } = await post(`${url}/v1/chat/completions`, { messages, stream });
    t.is(status, 400);
    t.like(body.error, {
      code: 'context_length_exceeded',
      n_ctx: tinyContext,
      type: 'invalid_request_error',
    });
    t.true(body.error.n_prompt_tokens > 2000);
  }
  const ollama = await post(`${url}/api/chat`, { model: 'tiny', messages });
  t.is(ollama.status, 400);
  t.regex(ollama.body.error, /^prompt 2,\d+ tokens, room 896/);
  // a long conversation is refused too, unless the client wants its beginning dropped
  const turns = Array.from({ length: 9 }, (_, n) => [
    { role: 'user', content: `${n}`.repeat(100) },
    { role: 'assistant', content: 'y'.repeat(100) },
  ]).flat();
  const long = { messages: [...turns, ...user('Hi')], max_tokens: 2 };
  t.is((await post(`${url}/v1/chat/completions`, long)).body.error.code, 'context_length_exceeded');
  t.is((await post(`${url}/v1/chat/completions`, { ...long, on_overflow: 'drop' })).status, 200);
});

test('models are listed and named; one that is not there is 404', async (t) => {
  const { url } = await tinyServer(t);
  const { body } = await get(`${url}/v1/models`);
  conforms(t, 'ListModelsResponse', body);
  t.like(body.data[0], { id: 'tiny', meta: { n_ctx: tinyContext } });
  const wrong = await post(`${url}/v1/chat/completions`, { model: 'gpt-4o', messages: user('Hi') });
  conforms(t, 'ErrorResponse', wrong.body);
  t.like(wrong, { status: 404, body: { error: { code: 'model_not_found', param: 'model' } } });
});

test('tokens, texts and prompts', async (t) => {
  const { url } = await tinyServer(t);
  const { body } = await post(`${url}/tokenize`, { content: 'Hé <|im_end|>' });
  t.is(
    body.tokens.length,
    Buffer.byteLength('Hé <|im_end|>'),
    'a control token in a text is so many characters',
  );
  const back = await post(`${url}/detokenize`, { tokens: [...body.tokens, 258] });
  t.is(back.body.content, 'Hé <|im_end|><|im_end|>');
  const unknown = await post(`${url}/detokenize`, { tokens: [99_999] });
  t.like(unknown, { status: 400, body: { error: { code: 'unknown_token' } } });
  const prompt = await post(`${url}/apply-template`, { messages: user('Hi') });
  t.is(prompt.body.prompt, '<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n');
});

test('Ollama’s endpoints', async (t) => {
  const { url, model } = await tinyServer(t);
  const text = await model.generate('Hello there', { maxTokens: 20 }).text();
  const options = { num_predict: 20, num_ctx: 4096, temperature: 0 };
  const chat = { model: 'tiny:latest', messages: user('Hello there'), options, keep_alive: '5m' };
  const streamed = await post(`${url}/api/chat`, chat);
  t.is(streamed.headers.get('content-type'), 'application/x-ndjson');
  const lines = streamed.text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  t.is(lines.map((line) => line.message.content).join(''), text);
  t.like(lines.at(-1), { done: true, done_reason: 'length', eval_count: 20 });
  t.true(Number.isInteger(lines.at(-1).total_duration));
  t.true(lines.slice(0, -1).every(({ done }) => done === false));
  const whole = await post(`${url}/api/generate`, {
    model: 'tiny',
    prompt: 'Hello there',
    options,
    stream: false,
  });
  t.like(whole.body, { response: text, done: true });
  const raw = await post(`${url}/api/generate`, {
    model: 'tiny',
    prompt: 'Hi',
    raw: true,
    options,
    stream: false,
  });
  t.is(raw.body.prompt_eval_count, 2);
  t.like((await post(`${url}/api/generate`, { model: 'tiny' })).body, { done: true, done_reason: 'load' });
  t.like((await get(`${url}/api/tags`)).body.models[0], { name: 'tiny', model: 'tiny' });
  t.like((await get(`${url}/api/ps`)).body.models[0], { name: 'tiny', context_length: tinyContext });
  t.like((await post(`${url}/api/show`, { model: 'tiny' })).body, { capabilities: ['completion'] });
  t.regex((await get(`${url}/api/version`)).body.version, /^\d+\.\d+/);
  const other = await post(`${url}/api/show`, { model: 'other' });
  t.is(other.status, 404);
  t.regex(other.body.error, /other/);
  const format = await post(`${url}/api/chat`, { ...chat, format: 'json' });
  t.is(format.status, 400);
  t.regex(format.body.error, /^format/);
});

test('the OpenAPI document describes every route, from the schemas that check', async (t) => {
  const { url } = await tinyServer(t);
  const { body } = await get(`${url}/openapi.json`);
  t.is(body.openapi, '3.1.0');
  for (const { method, path, input } of routeTable(new Map())) {
    const operation = body.paths[path]?.[method.toLowerCase()];
    t.truthy(operation, `${method} ${path}`);
    t.is(operation.requestBody === undefined, input === undefined, path);
  }
  const { valid, errors } = await new Validator().validate(body);
  t.true(valid, JSON.stringify(errors));
  const chats = { $ref: '#/components/schemas/ChatRequest', components: body.components };
  t.deepEqual(body.paths['/v1/chat/completions'].post.requestBody.content['application/json'].schema, {
    $ref: chats.$ref,
  });
  const check = new Ajv2020({ strict: false }).compile(chats);
  t.true(check({ messages: user('Hi'), temperature: 1 }));
  t.false(check({ messages: [] }));
  t.false(check({ messages: user('Hi'), temperature: -1 }));
});

test('a value of another kind is 400 and names its field, whichever field it is', async (t) => {
  const { url } = await tinyServer(t);
  const kinds = { string: 'a text', number: 1, boolean: true, array: [1], object: { a: 1 } };
  type Kind = keyof typeof kinds;
  const text: Kind[] = ['string'];
  const number: Kind[] = ['number'];
  const flag: Kind[] = ['boolean'];
  const either: Kind[] = ['string', 'array'];
  // what each may be; `{}` and `[]` of the right kind are other tests' business
  const sampling = {
    temperature: number,
    top_p: number,
    top_k: number,
    min_p: number,
    seed: number,
    presence_penalty: number,
    frequency_penalty: number,
    repeat_penalty: number,
  };
  const common = {
    ...sampling,
    repetition_penalty: number,
    model: text,
    stream: flag,
    stream_options: ['object'] as Kind[],
    timings_per_token: flag,
    n: number,
    stop: either,
    logit_bias: ['object'] as Kind[],
    user: text,
    metadata: ['object'] as Kind[],
    grammar: [] as Kind[],
    max_tokens: number,
  };
  const chat = {
    ...common,
    messages: ['array'] as Kind[],
    max_completion_tokens: number,
    logprobs: flag,
    on_overflow: text,
    ...Object.fromEntries(
      ['response_format', 'tools', 'tool_choice', 'functions', 'function_call', 'modalities', 'audio']
        .concat(['prediction', 'web_search_options'])
        .map((name) => [name, [] as Kind[]]),
    ),
  };
  const ollama = { model: text, stream: flag, options: ['object'] as Kind[], format: [] as Kind[] };
  const routes: [string, object, Record<string, Kind[]>][] = [
    ['/v1/chat/completions', { messages: user('Hi'), max_tokens: 1 }, chat],
    ['/v1/completions', { prompt: 'Hi', max_tokens: 1 }, { ...common, prompt: either, logprobs: number }],
    ['/v1/embeddings', { input: 'Hi' }, { model: text, input: either, dimensions: number, user: text }],
    ['/api/chat', { model: 'tiny', messages: user('Hi') }, { ...ollama, messages: ['array'], tools: [] }],
    ['/api/generate', { model: 'tiny' }, { ...ollama, prompt: text, system: text, raw: flag, images: [] }],
    ['/api/embed', { model: 'tiny', input: 'Hi' }, { model: text, input: either, truncate: flag }],
    ['/api/embeddings', { model: 'tiny', prompt: 'Hi' }, { model: text, prompt: text }],
    ['/tokenize', { content: 'Hi' }, { content: text, model: text }],
    ['/detokenize', { tokens: [1] }, { tokens: ['array'], model: text }],
    ['/apply-template', { messages: user('Hi') }, { messages: ['array'], model: text }],
  ];
  for (const [path, good, fields] of routes) {
    for (const [field, right] of Object.entries(fields)) {
      for (const [kind, value] of Object.entries(kinds)) {
        if (right.includes(kind as Kind)) continue;
        const { status, body } = await post(url + path, { ...good, [field]: value });
        const said = `${path} ${field} ${kind}: ${JSON.stringify(body)}`;
        t.is(status, 400, said);
        if (path.startsWith('/api/')) t.true(body.error.startsWith(`${field}: `), said);
        else t.true(body.error.param === field && body.error.message.startsWith(`${field}: `), said);
      }
    }
  }
});

test('figures for Prometheus', async (t) => {
  const { url } = await tinyServer(t);
  await post(`${url}/v1/chat/completions`, { messages: user('Hi'), max_tokens: 3 });
  const { text } = await get(`${url}/metrics`);
  t.regex(text, /^axllm_requests_total\{path="\/v1\/chat\/completions",status="200"\} 1$/m);
  t.regex(text, /^axllm_completion_tokens_total 3$/m);
  t.regex(text, /^axllm_time_to_first_token_seconds_count 1$/m);
  t.regex(text, /^axllm_time_per_token_seconds_bucket\{le="\+Inf"\} 2$/m);
  for (const line of text.trimEnd().split('\n')) {
    t.regex(line, /^(# (HELP|TYPE) \w+ .+|\w+(\{[^}]*\})? -?[\d.e+-]+)$/);
  }
});

test('while the model is loading, and after it has failed, requests are told so', async (t) => {
  let finish!: (models: never[]) => void;
  const models = new Promise<never[]>((resolve) => (finish = resolve));
  const server = await startServer({ models: [{ id: 'slow', models, progress: () => '40 %' }] });
  t.teardown(() => server.close());
  const ask = { messages: user('Hi') };
  const loading = await post(`${server.url}/v1/chat/completions`, ask);
  t.like(loading, { status: 503, body: { error: { code: 'loading', message: 'Loading model: 40 %' } } });
  t.is((await get(`${server.url}/health`)).status, 503);
  t.like((await get(`${server.url}/props`)).body.models[0], { state: 'loading', progress: '40 %' });
  finish([]);
  await t.throwsAsync(server.ready);
  t.is((await get(`${server.url}/props`)).body.models[0].state, 'failed');
});

test('a server’s own settings are what a request does not say', async (t) => {
  const model = await load(writeTinyModel(temporary(t)), { pipeline: 'transformers' });
  const served = { id: 'tiny', models: [model], defaults: { maxTokens: 3 }, systemPrompt: 'Be brief' };
  const server = await startServer({ models: [served] });
  t.teardown(() => server.close());
  const { body } = await post(`${server.url}/v1/chat/completions`, { messages: user('Hi') });
  const expected = model.generate([{ role: 'system', content: 'Be brief' }, ...user('Hi')], { maxTokens: 3 });
  t.is(body.choices[0].message.content, await expected.text());
  t.is(body.usage.completion_tokens, (await expected.result).completionTokens);
});
