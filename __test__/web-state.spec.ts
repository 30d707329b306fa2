/** The page's state without a browser: events from bytes, the library of conversations, settings, files. */
import test from 'ava';
import * as fc from 'fast-check';
import { newConversation, withTurn, before } from '../ts/chat/conversation.js';
import { fromJson } from '../ts/chat/conversation-file.js';
import { readEvents, type Sent } from '../ts/web/sse.js';
import { initialState, meterOf, statusLine } from '../ts/web/state/app-state.js';
import { exported, imported } from '../ts/web/state/exchange.js';
import { byDay, matching, newEntry, titleOf, withEntry, type Entry } from '../ts/web/state/library.js';
import { noSettings, readKept, samplingText, settingRows, withSampling } from '../ts/web/state/settings.js';
import { readLibrary, readSettings, writeEntry, writeSettings } from '../ts/web/state/storage.js';

function stream(bytes: Uint8Array, sizes: readonly number[]): ReadableStream<Uint8Array> {
  let at = 0;
  let turn = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      const size = sizes[turn++ % sizes.length]!;
      controller.enqueue(bytes.slice(at, (at += size)));
    },
  });
}

async function read(text: string, sizes: readonly number[]): Promise<Sent[]> {
  const events: Sent[] = [];
  for await (const event of readEvents(stream(new TextEncoder().encode(text), sizes))) events.push(event);
  return events;
}

test('events do not depend on how the bytes were cut', async (t) => {
  const text =
    ': queued 2\n\ndata: {"a":"é🐢"}\r\n\r\nid: 3\ndata: one\ndata:two\n\ndata: [DONE]\n\ndata: cut off';
  const expected: Sent[] = [
    { kind: 'comment', text: 'queued 2' },
    { kind: 'data', data: '{"a":"é🐢"}' },
    { kind: 'data', data: 'one\ntwo' },
    { kind: 'data', data: '[DONE]' },
  ];
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), async (sizes) => {
      t.deepEqual(await read(text, sizes), expected);
    }),
    { numRuns: 100 },
  );
});

test('leaving early cancels the stream', async (t) => {
  let cancelled = false;
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new TextEncoder().encode('data: x\n\n')),
    cancel: () => void (cancelled = true),
  });
  for await (const event of readEvents(endless)) {
    t.deepEqual(event, { kind: 'data', data: 'x' });
    break;
  }
  t.true(cancelled);
});

const now = new Date(2026, 10, 24, 12).getTime();
const hour = 3_600_000;

function entry(id: string, updated: number, ...said: [string, string][]): Entry {
  const conversation = said.reduce((all, [user, reply]) => withTurn(all, user, reply), newConversation('s'));
  return { ...newEntry(id, updated), conversation };
}

test('the library: newest first, by day, found by what was said, named by its first line', (t) => {
  const old = entry('old', now - 60 * hour, ['What is a turtle?\nIn short.', 'An animal.']);
  const recent = entry('recent', now - 13 * hour, ['x'.repeat(80), 'A long one.']);
  const newest = entry('new', now - hour, ['Hi', 'Hello.']);
  const library = [old, newest, recent].reduce<readonly Entry[]>(withEntry, []);
  t.deepEqual(
    byDay(library, now).map(([heading, entries]) => [heading, entries.map(({ id }) => id)]),
    [
      ['Today', ['new']],
      ['Yesterday', ['recent']],
      ['Earlier', ['old']],
    ],
  );
  t.deepEqual(matching(library, 'ANIMAL'), [old]);
  t.is(titleOf(old), 'What is a turtle?');
  t.is(titleOf(recent), `${'x'.repeat(59)}…`);
  t.is(titleOf(newEntry('e', 0)), 'New chat');
});

class MemoryStore {
  private readonly items = new Map<string, string>();
  get length() {
    return this.items.size;
  }
  key = (at: number) => [...this.items.keys()][at] ?? null;
  getItem = (key: string) => this.items.get(key) ?? null;
  setItem = (key: string, value: string) => void this.items.set(key, value);
  removeItem = (key: string) => void this.items.delete(key);
}

test('what the browser keeps is read back, branches and figures too; what is damaged is passed over', (t) => {
  const store = new MemoryStore();
  const one = entry('a', 5, ['Hi', 'Hello.'], ['And?', 'Nothing.']);
  const branched = withTurn(before(one.conversation, 1), 'Or?', 'Something.');
  const stats = { 2: { tokens: 21, ttftMs: 573, tokensPerSecond: 9.95 } };
  const kept: Entry = { ...one, conversation: branched, stats };
  writeEntry(store, kept);
  store.setItem('axllm.chat.bad', '{"updated":1,"file":"{}"}');
  store.setItem('axllm.chat.worse', 'no JSON');
  store.setItem('other', 'x');
  t.deepEqual(readLibrary(store), [kept]);
  t.is(store.getItem('axllm.chat.worse'), 'no JSON');
});

test("files: one conversation is the terminal's format, several are a list of them", (t) => {
  const one = entry('a', 5, ['Hi', 'Hello.']);
  const two = entry('b', 6, ['Ho', 'Hello again.']);
  t.deepEqual(fromJson(exported([one], 'm'), 'f'), one.conversation);
  t.deepEqual(imported(exported([one], 'm'), 'f'), [one.conversation]);
  t.deepEqual(imported(exported([one, two], 'm'), 'f'), [one.conversation, two.conversation]);
  t.throws(() => imported('x', 'a.json'), { code: 'bad_conversation', message: 'a.json is not a JSON file' });
  t.throws(() => imported('[{}]', 'a.json'), { message: /^conversation 1 of a\.json is not a conversation/ });
});

test('settings: the rows of the table, checked as the command line checks them', (t) => {
  t.deepEqual(
    settingRows().map(([name]) => name),
    [
      'max-tokens',
      'stop',
      'top-k',
      'top-p',
      'min-p',
      'repeat-penalty',
      'presence-penalty',
      'frequency-penalty',
      'seed',
    ],
  );
  const some = withSampling(withSampling({}, 'top_p', '0.9'), 'stop', 'END\n\nSTOP');
  t.deepEqual(some, { top_p: 0.9, stop: ['END', 'STOP'] });
  t.is(samplingText(some, 'stop'), 'END\nSTOP');
  t.deepEqual(withSampling(some, 'top_p', ' '), { stop: ['END', 'STOP'] });
  t.throws(() => withSampling({}, 'top_k', '1.5'), { code: 'usage', message: /top-k is a whole number/ });
});

test('kept settings that do not hold any more are left out', (t) => {
  const store = new MemoryStore();
  writeSettings(store, { sampling: { temperature: 0.7, top_p: 7, gone: 1 }, theme: 'dark', system: 'S' });
  t.deepEqual(readKept(readSettings(store)), { sampling: { temperature: 0.7 }, theme: 'dark', system: 'S' });
  store.setItem('axllm.settings', '3');
  t.deepEqual(readKept(readSettings(store)), noSettings);
});

test('the status line and the context meter', (t) => {
  t.is(
    statusLine({ ttftMs: 573, tokensPerSecond: 9.954, tokens: 21 }),
    'TTFT: 0.57s | Tokens/sec: 9.95 | Tokens: 21',
  );
  const said = entry('a', 5, ['Hi', 'Hello.']);
  const stats = { tokens: 21, ttftMs: 1, tokensPerSecond: 1, promptTokens: 100, droppedTurns: 2 };
  const state = initialState([{ ...said, stats: { 0: stats } }], noSettings, 'n', now);
  t.is(meterOf(state), undefined);
  const server = {
    phase: 'ready',
    name: 'm',
    simple: false,
    defaults: {},
    history: true,
    info: { pipeline: 'transformers', device: 'cpu', contextLength: 1024 },
  } as const;
  t.deepEqual(meterOf({ ...state, server, draftTokens: 9 }), { used: 130, total: 1024, dropped: 2 });
});
