/** The public module, as a program uses it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import anyTest from 'ava';
import { AxllmError, load, listDevices, type Model } from '../ts/index.js';
import { provokePanic } from '../ts/native.js';
import { cleanEnv } from './helpers/cli.js';

const test = anyTest.serial;
const places = [
  ['CPU', { pipeline: 'transformers' }],
  ['simulated card', { device: 'sim' }],
] as const;

async function textOf(model: Model, prompt: string): Promise<string> {
  return model.generate(prompt, { maxTokens: 12 }).text();
}

for (const [place, options] of places) {
  test(`${place}: a reply is chunks, then a result`, async (t) => {
    using model = await load(undefined, options);
    t.is(model.info.vocabSize, 49152);
    const reply = model.generate('Who wrote Romeo and Juliet?', { maxTokens: 24 });
    let text = '';
    let tokens = 0;
    for await (const chunk of reply) {
      text += chunk.text;
      tokens += chunk.tokens;
    }
    t.regex(text, /Shakespeare/);
    const result = await reply.result;
    t.is(result.completionTokens, tokens);
    t.true(result.promptTokens > 5);
    t.regex(result.finishReason, /^(stop|length)$/);
    t.throws(() => reply[Symbol.asyncIterator](), { instanceOf: TypeError });
  });

  test(`${place}: no request sees another’s KV cache`, async (t) => {
    using model = await load(undefined, options);
    const alone = await textOf(model, 'a');
    await textOf(model, 'My name is Bob and I like the colour green.');
    t.is(await textOf(model, 'a'), alone);
    const raw = () => model.generate([{ role: 'user', content: 'x' }], { maxTokens: 6 }).text();
    const before = await raw();
    await textOf(model, 'Repeat after me: forty-two.');
    t.is(await raw(), before);
  });

  test(`${place}: break stops the reply, and the chat goes on`, async (t) => {
    using model = await load(undefined, options);
    using chat = model.chat();
    const reply = chat.send('Write a long story about the sea.');
    for await (const chunk of reply) {
      t.true(chunk.tokens > 0);
      break;
    }
    await t.throwsAsync(reply.result, { code: 'abandoned' });
    t.true((await chat.send('Hi', { maxTokens: 4 }).text()).length > 0);
  });

  test(`${place}: an aborted signal throws its reason, and what was said is kept`, async (t) => {
    using model = await load(undefined, options);
    using chat = model.chat();
    const stop = new AbortController();
    const reason = new Error('enough');
    const failed = (async () => {
      for await (const _ of chat.send('Write a long story about the sea.', { signal: stop.signal })) {
        stop.abort(reason);
      }
    })();
    t.is(await t.throwsAsync(failed), reason);
    t.is(chat.messages.length, 2);
  });

  test(`${place}: cancel ends a reply quietly`, async (t) => {
    using model = await load(undefined, options);
    const reply = model.generate('Write a long story about the sea.');
    for await (const _ of reply) reply.cancel();
    t.is((await reply.result).finishReason, 'cancelled');
  });

  test(`${place}: a chat remembers, reuses its cache, and forgets when cleared`, async (t) => {
    using model = await load(undefined, options);
    using chat = model.chat();
    // long: a card that reads prompts fast reads a short one again rather than append to it
    await chat.send('My name is Bob. '.repeat(100), { maxTokens: 8 }).text();
    const second = chat.send('What is my name?', { maxTokens: 8 });
    await second.text();
    t.true((await second.result).cachedTokens > 10);
    t.is(chat.messages.length, 4);
    chat.clear();
    t.deepEqual(chat.messages, []);
    const fresh = chat.send('Hi', { maxTokens: 2 });
    await fresh.text();
    t.true((await fresh.result).promptTokens < (await second.result).promptTokens);
  });

  test(`${place}: the process ends with a model loaded and a reply running`, async (t) => {
    const script = `
      const { load } = await import('./dist/index.js');
      const model = await load(undefined, ${JSON.stringify(options)});
      const reply = model.generate('Write a long story about the sea.');
      const chunks = reply[Symbol.asyncIterator]();
      await chunks.next();
      chunks.next();
      if (process.env.HOW === 'exit') process.exit(0);`;
    for (const how of ['exit', 'return']) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
        env: cleanEnv({ HOW: how }),
        stdio: 'inherit',
      });
      const [status, signal] = (await once(child, 'close')) as [number | null, string | null];
      t.deepEqual([status, signal], [0, null], how);
    }
  });
}

test('one chat answers one message at a time', async (t) => {
  using model = await load(undefined, { pipeline: 'transformers' });
  using chat = model.chat();
  const first = chat.send('Write a long story.')[Symbol.asyncIterator]();
  await first.next();
  await t.throwsAsync(chat.send('Hi').text(), { code: 'busy' });
  await first.return(undefined as never);
  t.true((await chat.send('Hi', { maxTokens: 2 }).text()).length > 0);
});

test('texts become vectors: alike where the texts are, the same whatever goes with them', async (t) => {
  using model = await load(undefined, { pipeline: 'transformers' });
  const texts = [
    'The cat sleeps on the sofa.',
    'A kitten is napping on the couch.',
    'Interest rates rose by 2 %.',
  ];
  const vectors = await model.embed(texts);
  t.deepEqual(
    vectors.map(({ length }) => length),
    texts.map(() => model.info.embeddingDim),
  );
  const likeness = (a: number, b: number) =>
    vectors[a]!.reduce((sum, value, at) => sum + value * vectors[b]![at]!, 0);
  t.true(Math.abs(likeness(0, 0) - 1) < 1e-5);
  t.true(likeness(0, 1) > likeness(0, 2) && likeness(0, 1) > likeness(1, 2));
  // a reply and other callers beside it
  const chat = model.generate('Hi', { maxTokens: 10 }).text();
  const again = await Promise.all(texts.map((text) => model.embed([text])));
  t.deepEqual(again.flat(), vectors);
  await chat;
  t.deepEqual(await model.embed([]), []);
});

test('embedding ends with its signal, and says which text is at fault', async (t) => {
  using model = await load(undefined, { pipeline: 'transformers' });
  const stop = new AbortController();
  const reason = new Error('enough');
  const long = 'Many words in a long text. '.repeat(800);
  const leaving = model.embed([long, long, long], { signal: stop.signal });
  setTimeout(() => stop.abort(reason), 100);
  t.is(await t.throwsAsync(leaving), reason);
  t.is(await t.throwsAsync(model.embed(['Hi'], { signal: stop.signal })), reason);
  t.like(await t.throwsAsync(model.embed(['Hi', ''])), { code: 'invalid_option', index: 1 });
  const much = long.repeat(20);
  t.like(await t.throwsAsync(model.embed([much])), { code: 'context_length_exceeded', index: 0 });
  t.is((await model.embed(['Hi'])).length, 1);
});

test('embedding on a device is an error that says why', async (t) => {
  using model = await load(undefined, { device: 'sim' });
  const error = await t.throwsAsync(model.embed(['Hi']), { code: 'embeddings_unsupported' });
  t.regex((error as AxllmError).hint!, /--pipeline transformers/);
});

test('the process ends while it embeds', async (t) => {
  const script = `
    const { load } = await import('./dist/index.js');
    const model = await load(undefined, { pipeline: 'transformers' });
    model.embed(['Many words in a long text. '.repeat(1000)]);
    setTimeout(() => process.exit(0), 200);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    env: cleanEnv(),
    stdio: 'inherit',
  });
  t.deepEqual(await once(child, 'close'), [0, null]);
});

test('errors carry a stable code and a hint', async (t) => {
  const error = await t.throwsAsync(load('no-such-model'), { code: 'unknown_model', name: 'AxllmError' });
  t.true('hint' in error!);
  await t.throwsAsync(load(undefined, { device: 'sim:9' }), { code: 'unknown_device' });
});

test('a fault of the native side is a rejected promise, and the process lives', async (t) => {
  await t.throwsAsync(provokePanic(), { code: 'internal', message: /panic\.rs.*provoked/ });
  using model = await load(undefined, { pipeline: 'transformers' });
  t.true((await textOf(model, 'Hi')).length > 0);
});

test('the simulated devices are listed', async (t) => {
  const [device] = await listDevices('sim');
  t.like(device, { index: 0, name: 'metis-sim:0', subdevices: 4, inUse: false });
});

test('works in worker threads, two at a time', async (t) => {
  const replies = [1, 2].map(async () => {
    const worker = new Worker(new URL('helpers/worker.mjs', import.meta.url));
    const [text] = (await once(worker, 'message')) as [string];
    await once(worker, 'exit');
    return text;
  });
  const [one, two] = await Promise.all(replies);
  t.true(one!.length > 0);
  t.is(one, two);
});

test('a worker that is terminated while answering takes nothing down', async (t) => {
  const worker = new Worker(new URL('helpers/worker.mjs', import.meta.url), {
    workerData: { endless: true },
  });
  await once(worker, 'message');
  await worker.terminate();
  using model = await load(undefined, { pipeline: 'transformers' });
  t.true((await textOf(model, 'Hi')).length > 0);
});

test('workers terminated in the middle of replies, one after the other, do not crash the process', async (t) => {
  const script = new URL('helpers/terminate.mjs', import.meta.url).pathname;
  const child = spawn(process.execPath, [script], { env: cleanEnv(), stdio: 'inherit' });
  t.deepEqual(await once(child, 'close'), [0, null]);
});

test('1,000 loads and disposes do not grow', async (t) => {
  const child = spawn(
    process.execPath,
    ['--expose-gc', new URL('helpers/leak.mjs', import.meta.url).pathname],
    {
      env: cleanEnv(),
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  let text = '';
  child.stdout.on('data', (part) => (text += String(part)));
  await once(child, 'close');
  const { growth, files } = JSON.parse(text) as { growth: number; files: number };
  t.true(growth < 32 * 2 ** 20, `resident memory grew by ${(growth / 2 ** 20).toFixed(1)} MiB`);
  t.true(files < 10, `${files} files left open`);
});
