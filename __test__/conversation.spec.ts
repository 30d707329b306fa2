/** Conversations as values, their files, and what is kept beside them. */
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import * as fc from 'fast-check';
import { copy, osc52 } from '../ts/chat/clipboard.js';
import { contextMeter, responseSpace } from '../ts/chat/context-use.js';
import { fromJson, toJson, toMarkdown } from '../ts/chat/conversation-file.js';
import { ConversationStore } from '../ts/chat/conversation-store.js';
import {
  before,
  branch,
  cleared,
  messagesFor,
  newConversation,
  spoken,
  switchTo,
  versions,
  withSystem,
  withTurn,
  withoutLast,
  type Conversation,
} from '../ts/chat/conversation.js';
import { InputHistory } from '../ts/chat/input-history.js';
import { temporary } from './helpers/folder.js';

const two = withTurn(withTurn(newConversation('be brief'), 'a', 'A'), 'b', 'B');
const users = (conversation: Conversation) =>
  branch(conversation)
    .map(({ user }) => user)
    .join('');

const sent = (conversation: Conversation) =>
  messagesFor(conversation, 'c').map(({ role, content }) => `${role}: ${content}`);

test('it sends system prompt, turns and message; with history off only the message', (t) => {
  t.deepEqual(sent(withoutLast(two)), ['system: be brief', 'user: a', 'assistant: A', 'user: c']);
  t.deepEqual(sent({ ...two, history: false }), ['system: be brief', 'user: c']);
  t.deepEqual(sent(withSystem(cleared(two), undefined)), ['user: c']);
  t.is(spoken({ ...two, history: false }).length, 4, 'the turns are kept all the same');
});

test('an edited message starts a branch, and both stay', (t) => {
  const edited = withTurn(withTurn(before(two, 0), 'x', 'X'), 'y', 'Y');
  t.is(users(edited), 'xy');
  t.deepEqual(
    versions(edited, 2).map(({ user }) => user),
    ['a', 'x'],
  );
  t.is(users(switchTo(edited, 0)), 'ab');
  t.is(users(switchTo(edited, 2)), 'xy');
  t.is(users(withoutLast(edited)), 'x');
  t.is(users(before(edited, 99)), 'xy', 'a turn that is not there');
  t.is(withTurn(two, 'c', ''), two, 'an empty reply was never said');
});

const anyConversation = fc
  .array(
    fc.oneof(
      fc.record({ say: fc.string({ unit: 'grapheme' }), reply: fc.string({ minLength: 1 }) }),
      fc.record({ back: fc.nat(9) }),
      fc.record({ to: fc.nat(9) }),
    ),
  )
  .map((steps) =>
    steps.reduce<Conversation>((conversation, step) => {
      if ('back' in step) return before(conversation, step.back);
      if ('to' in step) return switchTo(conversation, step.to);
      return withTurn(conversation, step.say, step.reply);
    }, newConversation('s')),
  );

test('whatever is done: a branch is a chain from the beginning, and a file gives back what was saved', (t) => {
  fc.assert(
    fc.property(anyConversation, (conversation) => {
      const path = branch(conversation);
      path.forEach((turn, at) => {
        if (turn.parent !== (path[at - 1]?.id ?? null)) throw new Error('broken chain');
      });
      t.deepEqual(fromJson(toJson(conversation, 'm'), 'f'), conversation);
    }),
    { numRuns: 300 },
  );
});

const damaged: [string, (file: Record<string, unknown>) => unknown][] = [
  ['no object', () => null],
  ['another version', (file) => ({ ...file, version: 2 })],
  ['a head that is no turn', (file) => ({ ...file, head: 7 })],
  [
    'a parent that comes later',
    (file) => ({ ...file, turns: [{ id: 0, parent: 0, user: 'a', assistant: 'b' }] }),
  ],
  ['a text that is none', (file) => ({ ...file, system: 3 })],
  ['a field that nobody knows', (file) => ({ ...file, title: 'x' })],
  ['a date that is none', (file) => ({ ...file, saved: 'yesterday' })],
  ['turns that are no list', (file) => ({ ...file, turns: {} })],
  [
    'a turn with more in it',
    (file) => ({ ...file, turns: [{ id: 0, parent: null, user: 'a', assistant: 'b', role: 'x' }] }),
  ],
];
for (const [name, damage] of damaged) {
  test(`a file is refused: ${name}`, (t) => {
    const text = JSON.stringify(damage(JSON.parse(toJson(two, 'm')) as Record<string, unknown>));
    t.throws(() => fromJson(text, 'the file'), { code: 'bad_conversation', message: /^the file is not/ });
  });
}

test('Markdown for people', (t) => {
  t.is(
    toMarkdown(two, 'm'),
    '# Conversation with m\n\n> be brief\n\n## User\n\na\n\n## Assistant\n\nA\n\n## User\n\nb\n\n## Assistant\n\nB\n',
  );
});

test('saved conversations are private files, listed and loaded by name', async (t) => {
  const store = new ConversationStore({ XDG_DATA_HOME: temporary(t) });
  t.deepEqual(await store.list(), []);
  const path = await store.save(two, 'm', 'first');
  t.is(statSync(path).mode & 0o777, 0o600);
  t.is(statSync(store.folder).mode & 0o777, 0o700);
  t.deepEqual(await store.load('first'), two);
  await store.save(two, 'm');
  t.is((await store.list()).length, 2);
  await t.throwsAsync(store.load('frist'), { code: 'no_conversation' });
  const error = await t.throwsAsync(store.load('frist'));
  t.is((error as { hint?: string } | undefined)?.hint, 'did you mean first?');
  for (const name of ['', '../x', 'a/b', '.hidden', 'x'.repeat(101), 'a\n']) {
    await t.throwsAsync(store.save(two, 'm', name), { code: 'bad_name' }, JSON.stringify(name));
  }
});

test('the context: what each part takes, and which turns no longer fit', (t) => {
  const info = { contextLength: 100 } as never;
  const model = { info, responseSpace: 32, countTokens: (text: string) => text.length };
  const meter = contextMeter(model);
  t.deepEqual(meter(two, 'draft'), {
    total: 100,
    system: 8,
    history: 4,
    message: 5,
    reserve: 32,
    droppedTurns: 0,
  });
  const long = withTurn(two, 'c'.repeat(30), 'd'.repeat(28));
  t.like(meter(long), { history: 60, droppedTurns: 1 });
  t.like(meter(long, 'xx'), { history: 58, droppedTurns: 2 });
  t.like(meter({ ...long, history: false }), { history: 0, droppedTurns: 0 });
  t.deepEqual(
    [responseSpace(1024, undefined), responseSpace(100, undefined), responseSpace(9, 7)],
    [128, 32, 7],
  );
});

test('OSC 52 holds the text, wrapped for tmux, and is left out when too long', (t) => {
  t.is(osc52('hi', {}), '\u001b]52;c;aGk=\u0007');
  t.is(osc52('hi', { TMUX: 'x' }), '\u001bPtmux;\u001b\u001b]52;c;aGk=\u0007\u001b\\');
  t.is(osc52('x'.repeat(60_000), {}), undefined);
});

test('a desktop tool takes what is too long for the terminal', async (t) => {
  const folder = temporary(t);
  writeFileSync(join(folder, 'xclip'), `#!/bin/sh\ncat > '${folder}/taken'\n`);
  chmodSync(join(folder, 'xclip'), 0o755);
  const path = process.env.PATH;
  process.env.PATH = `${folder}:${path}`;
  t.teardown(() => void (process.env.PATH = path));
  let bytes = '';
  const text = 'x'.repeat(60_000);
  t.deepEqual(await copy(text, { DISPLAY: ':0' }, (each) => (bytes += each)), ['xclip']);
  t.is(readFileSync(join(folder, 'taken'), 'utf8'), text);
  t.is(bytes, '');
  t.deepEqual(await copy('hi', {}, (each) => (bytes += each)), ['the terminal']);
});

test('typed lines are kept, privately, many-lined ones too; damage and repeats are skipped', async (t) => {
  const env = { XDG_STATE_HOME: temporary(t) };
  const file = join(env.XDG_STATE_HOME, 'axllm', 'history');
  const first = new InputHistory(env, true);
  await first.load();
  for (const text of ['one', 'two\nlines', 'two\nlines', '  ']) await first.add(text);
  t.is(statSync(file).mode & 0o777, 0o600);
  writeFileSync(file, 'damaged\n{}\n', { flag: 'a' });
  const second = new InputHistory(env, true);
  await second.load();
  t.deepEqual(second.entries, ['one', 'two\nlines']);
  writeFileSync(file, Array.from({ length: 2500 }, (_, at) => `"${at}"\n`).join(''));
  const third = new InputHistory(env, true);
  await third.load();
  t.is(third.entries.length, 1000);
  t.is(third.entries.at(-1), '2499');
  t.is(readFileSync(file, 'utf8').split('\n').length, 1001, 'the file is cut as well');
});

test('--no-save writes nothing, and a history that cannot be written is no failure', async (t) => {
  const folder = temporary(t);
  const off = new InputHistory({ XDG_STATE_HOME: folder }, false);
  await off.load();
  await off.add('secret');
  t.deepEqual(off.entries, ['secret']);
  t.throws(() => statSync(join(folder, 'axllm')));
  mkdirSync(join(folder, 'axllm', 'history'), { recursive: true });
  const blocked = new InputHistory({ XDG_STATE_HOME: folder }, true);
  await blocked.load();
  await blocked.add('x');
  t.deepEqual(blocked.entries, ['x']);
});
