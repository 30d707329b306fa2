/** Many clients at once, many arrivals at a full queue: on the loopback, bounded. */
import { channel } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { request, type IncomingMessage, type ServerResponse } from 'node:http';
import { text as readAll } from 'node:stream/consumers';
import anyTest from 'ava';
import { load, type Message } from '../ts/index.js';
import { temporary } from './helpers/folder.js';
import { writeTinyModel } from './helpers/tiny-model.js';
import { events, get, tinyServer } from './helpers/tiny-server.js';

const test = anyTest.serial;
const clients = 64;
const each = 16;
const endless = { max_tokens: 300, logit_bias: { 258: -100 } };

interface Exchange {
  readonly response: ServerResponse;
}

/** What client `c` asks in its request `r`: conversations of up to three turns, like no other client's. */
function question(c: number, r: number): string {
  return `client ${c} asks ${(c * 31 + r * 17) % 97} of ${r}`;
}

test('64 clients × 16 requests: each its own oracle to the byte, a quarter aborted, nothing lost', async (t) => {
  const { url, model } = await tinyServer(t, { layers: 4, limits: { queue: 4096 } });
  const oracle = await load(writeTinyModel(temporary(t), 4), { pipeline: 'transformers' });
  t.teardown(() => oracle.dispose());
  using slot = oracle.slot();
  const expected = async (messages: Message[], options: object) => {
    slot.reset();
    return slot.reply({ messages }, options).text();
  };

  // what everybody will ask, and what has to come
  const plans = [];
  for (let c = 0; c < clients; c++) {
    const plan = [];
    let messages: Message[] = [];
    for (let r = 0; r < each; r++) {
      messages = [...(r % 3 === 0 ? [] : messages), { role: 'user', content: question(c, r) }];
      const abort = (c + r) % 4 === 3;
      const options = abort ? { maxTokens: 300, logitBias: { 258: -100 } } : { maxTokens: 24 };
      const text = await expected(messages, options);
      plan.push({ messages, abort, text });
      messages = [...messages, { role: 'assistant', content: abort ? text.slice(0, 20) : text }];
    }
    plans.push(plan);
  }

  let aborted = 0;
  let complete = 0;
  await Promise.all(
    plans.map(async (plan) => {
      for (const { messages, abort, text } of plan) {
        const stop = new AbortController();
        const wish = abort ? endless : { max_tokens: 24 };
        const response = await fetch(`${url}/v1/chat/completions`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ messages, stream: true, ...wish }),
          signal: stop.signal,
        });
        t.is(response.status, 200);
        let seen = '';
        try {
          for await (const part of response.body!) {
            seen += Buffer.from(part).toString();
            if (!abort || !/"content":"[^"]/.test(seen)) continue;
            stop.abort();
            // Node's fetch may wait for ever for what comes after an abort
            break;
          }
        } catch (error) {
          t.true(abort, String(error));
        }
        const whole = seen.slice(0, seen.lastIndexOf('\n\n') + 2);
        const said = events(whole).map((event) => event.choices?.[0]?.delta.content ?? '');
        if (abort) t.true(text.startsWith(said.join('')), `${said.join('')} of ${text}`);
        else t.is(said.join(''), text);
        if (abort) aborted += 1;
        else complete += Number(whole.endsWith('data: [DONE]\n\n'));
      }
    }),
  );
  const last = performance.now();
  t.deepEqual([aborted, complete], [(clients * each) / 4, (clients * each * 3) / 4]);
  for (;;) {
    const { text } = await get(`${url}/metrics`);
    if (/^axllm_requests_running 0$/m.test(text) && /^axllm_requests_queued 0$/m.test(text)) break;
    t.true(performance.now() - last < 10_000, 'the model is still busy');
  }
  t.log(`idle ${(performance.now() - last).toFixed(0)} ms after the last`);
  const { text } = await get(`${url}/metrics`);
  t.log(/^axllm_cache_hits_total .*/m.exec(text)?.[0]);
  t.is(
    await model.generate('Hi', { maxTokens: 9 }).text(),
    await oracle.generate('Hi', { maxTokens: 9 }).text(),
  );
});

test('2,000 arrivals at a full queue: each is answered 200 or 429, none is reset', async (t) => {
  const limits = { parallel: 2, queue: 16, 'max-sockets': 4096 };
  const { url } = await tinyServer(t, { layers: 8, limits });
  const body = JSON.stringify({ messages: [{ role: 'user', content: 'Hello' }], ...endless });
  const arrivals = 2000;
  // on the server's side, from the request to the end of its refusal
  let slowest = 0;
  const came = new WeakMap<object, number>();
  const onStart = (message: unknown) => came.set((message as Exchange).response, performance.now());
  const onFinish = (message: unknown) => {
    const { response } = message as Exchange;
    if (response.statusCode !== 429) return;
    slowest = Math.max(slowest, performance.now() - came.get(response)!);
  };
  channel('http.server.request.start').subscribe(onStart);
  channel('http.server.response.finish').subscribe(onFinish);
  t.teardown(() => {
    channel('http.server.request.start').unsubscribe(onStart);
    channel('http.server.response.finish').unsubscribe(onFinish);
  });
  const ask = async (): Promise<number> => {
    const outgoing = request(`${url}/v1/chat/completions`, {
      method: 'POST',
      agent: false,
      headers: { 'content-type': 'application/json', 'content-length': body.length },
    });
    outgoing.end(body);
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
    await readAll(response);
    if (response.statusCode === 429) t.is(response.headers['retry-after'], '1');
    return response.statusCode!;
  };
  const statuses = await Promise.all(Array.from({ length: arrivals }, ask));
  const count = (status: number) => statuses.filter((each_) => each_ === status).length;
  t.is(count(200) + count(429), arrivals);
  t.true(count(200) >= 18 && count(429) > 0, `${count(200)} answered, ${count(429)} refused`);
  t.log(`${count(200)} answered, ${count(429)} refused, the slowest within ${slowest.toFixed(0)} ms`);
  t.true(slowest < 1000);
});

test('more connections than are served get an answer too', async (t) => {
  const { url } = await tinyServer(t, { limits: { 'max-sockets': 8 } });
  const statuses = await Promise.all(
    Array.from({ length: 40 }, async () => {
      const outgoing = request(`${url}/health`, { agent: false }).end();
      const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
      await readAll(response);
      return response.statusCode;
    }),
  );
  t.true(statuses.every((status) => status === 200 || status === 429));
  t.true(statuses.includes(200));
});
