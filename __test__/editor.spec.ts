/** The line editor as a function, without a terminal. */
import { EventEmitter } from 'node:events';
import { emitKeypressEvents } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import * as fc from 'fast-check';
import stringWidth from 'string-width';
import { graphemes } from '../ts/chat/edit/buffer.js';
import { editorState, press, type EditorEvent, type EditorState, type Key } from '../ts/chat/edit/editor.js';
import { KeyReader } from '../ts/chat/edit/key-reader.js';
import { folded, layOut, visible } from '../ts/chat/edit/layout.js';
import { keys } from './helpers/terminal.js';

const escape = '\u001b';
const named: Record<string, string> = {
  ...keys,
  'Ctrl-B': '\u0002',
  'Ctrl-F': '\u0006',
  'Ctrl-H': '\b',
  'Ctrl-Y': '\u0019',
  'Alt-B': `${escape}b`,
  'Alt-F': `${escape}f`,
  'Alt-D': `${escape}d`,
  'Alt-Backspace': `${escape}\u007f`,
  Backspace: '\u007f',
  Delete: `${escape}[3~`,
  Home: `${escape}[H`,
  End: `${escape}[F`,
  Right: `${escape}[C`,
};

/** Text with `<Key>` names, as the bytes that a terminal sends. */
const bytes = (text: string) =>
  text.replace(/<([A-Z][\w-]*)>/g, (whole, name: string) => named[name] ?? whole);

function decode(text: string): Key[] {
  const found: Key[] = [];
  const decoder = new EventEmitter();
  emitKeypressEvents(decoder as unknown as NodeJS.ReadableStream);
  decoder.on('keypress', (_, key: Key) => found.push(key));
  decoder.emit('data', Buffer.from(text));
  return found;
}

function play(text: string, past: readonly string[] = []) {
  let state = editorState(past);
  const events: EditorEvent[] = [];
  for (const key of decode(bytes(text))) {
    const [next, event] = press(state, key);
    state = next;
    if (event) events.push(event);
  }
  const { text: typed, cursor } = state.draft;
  return { state, events, shown: `${typed.slice(0, cursor)}|${typed.slice(cursor)}` };
}

for (const [typed, wanted] of [
  ['hello', 'hello|'],
  ['hello<Ctrl-A>x', 'x|hello'],
  ['hello<Ctrl-B><Ctrl-B>x', 'helx|lo'],
  ['hello<Home><Right><Ctrl-F>x', 'hex|llo'],
  ['hello<Ctrl-A><Ctrl-E>x', 'hellox|'],
  ['one two<Ctrl-W>', 'one |'],
  ['one two.three<Alt-Backspace>', 'one two.|'],
  ['one two<Alt-B>x', 'one x|two'],
  ['one two<Ctrl-A><Alt-F>x', 'onex| two'],
  ['one two<Ctrl-A><Alt-D>', '| two'],
  ['one two<Left><Ctrl-U>', '|o'],
  ['one two<Ctrl-A><Ctrl-K>', '|'],
  ['one two<Alt-B><Ctrl-K><Ctrl-A><Ctrl-Y>', 'two|one '],
  ['ab<Backspace><Ctrl-H>', '|'],
  ['ab<Ctrl-A><Delete><Ctrl-D>', '|'],
  ['a👩‍👩‍👧b<Left><Left>x', 'ax|👩‍👩‍👧b'],
  ['a👩‍👩‍👧<Backspace>', 'a|'],
  ['日本<Left>x', '日x|本'],
  ['one<Ctrl-J>two<Up>x', 'onex|\ntwo'],
  ['one<Alt-Enter>two<Home>x', 'one\nx|two'],
  ['long line<Ctrl-J>x<Ctrl-J>third<Up><Up><Down><Down>!', 'long line\nx\nt!|hird'],
  ['a<Ctrl-C>', '|'],
  ['<Tab>', '|'],
] as const) {
  test(`keys: ${typed}`, (t) => {
    t.is(play(typed).shown, wanted);
  });
}

const past = ['first message', 'second', 'third message'];
for (const [typed, wanted] of [
  ['<Up>', 'third message|'],
  ['<Up><Up><Up><Up>', 'first message|'],
  ['own<Up><Down>', 'own|'],
  ['own<Up><Up><Down><Down><Down>', 'own|'],
  ['<Ctrl-R>mess<Ctrl-E>', 'third message|'],
  ['<Ctrl-R>mess<Ctrl-R><Ctrl-E>', 'first message|'],
  ['<Ctrl-R>mess<Ctrl-R><Ctrl-R><Ctrl-E>', 'first message|'],
  ['<Ctrl-R>first<Ctrl-A>x', 'xfirst message|'.replace('x', 'x|').replace('message|', 'message')],
  ['<Ctrl-R>secx<Backspace><Ctrl-E>', 'second|'],
  ['own<Ctrl-R>nothing<Ctrl-E>', 'own|'],
  ['own<Ctrl-R>first<Ctrl-G>', 'own|'],
] as const) {
  test(`history: ${typed}`, (t) => {
    t.is(play(typed, past).shown, wanted);
  });
}

for (const [typed, wanted] of [
  ['hello<Enter>', [{ kind: 'submit', text: 'hello' }]],
  ['"""<Enter>one<Enter>two<Enter>"""<Enter>', [{ kind: 'submit', text: 'one\ntwo' }]],
  ['"""one"""<Enter>', [{ kind: 'submit', text: 'one' }]],
  ['a<Ctrl-J>b<Enter>', [{ kind: 'submit', text: 'a\nb' }]],
  ['<Ctrl-C>', [{ kind: 'interrupt' }]],
  ['<Ctrl-D>', [{ kind: 'end' }]],
  ['a<Ctrl-C><Ctrl-C>', [{ kind: 'interrupt' }]],
  [
    '<Ctrl-L><Ctrl-G><Ctrl-Z><Tab>',
    ['clear-screen', 'open-editor', 'suspend', 'complete'].map((kind) => ({ kind })),
  ],
  ['<Ctrl-R>first<Enter>', [{ kind: 'submit', text: 'first message' }]],
  [
    `${escape}[200~one\rtwo\r\nthree\n<Ctrl-C>${escape}[201~<Enter>`,
    [{ kind: 'submit', text: 'one\ntwo\nthree\n\u0003' }],
  ],
] as const) {
  test(`events: ${JSON.stringify(typed)}`, (t) => {
    t.deepEqual(play(typed, past).events, wanted as unknown as EditorEvent[]);
  });
}

test('a paste without marks is one message, in however many pieces it arrives', async (t) => {
  const lines = Array.from({ length: 200 }, (_, at) => `line ${at}`);
  for (const size of [7, 64, 4096]) {
    let state: EditorState = editorState([]);
    const sent: string[] = [];
    const reader = new KeyReader((key, pasted) => {
      const [next, event] = press(state, key, pasted);
      state = next;
      if (event?.kind !== 'submit') return;
      sent.push(event.text);
      state = editorState([]);
    });
    const all = `${lines.join('\r')}\r`;
    for (let at = 0; at < all.length; at += size) reader.push(Buffer.from(all.slice(at, at + size)));
    await sleep(100);
    t.deepEqual(sent, [lines.join('\n')], `in pieces of ${size}`);
  }
});

const anyKey = fc.oneof(
  fc.constantFrom(...Object.values(named), '"""', `${escape}[200~`, `${escape}[201~`),
  fc.string({ unit: 'grapheme', maxLength: 4 }),
  fc.constantFrom('👩‍👩‍👧', '日本', 'e\u0301', '\u0301', '\u202e', '\u200d', '한', '🐢'),
);
const session = fc.array(anyKey, { maxLength: 40 });

test('whatever is typed: no throw, and the cursor lies between two graphemes', (t) => {
  fc.assert(
    fc.property(session, (typed) => {
      const { text, cursor } = play(typed.join(''), past).state.draft;
      const ends = new Set([0]);
      let at = 0;
      for (const grapheme of graphemes(text)) ends.add((at += grapheme.length));
      return ends.has(cursor);
    }),
    { numRuns: 3000 },
  );
  t.pass();
});

const prompt = { text: 'User: ', painted: 'User: ' };

test('whatever is shown: rows fit the columns, the cursor is inside, and nothing drives the terminal', (t) => {
  fc.assert(
    fc.property(
      session,
      fc.integer({ min: 8, max: 60 }),
      fc.integer({ min: 1, max: 20 }),
      (typed, columns, height) => {
        const { state } = play(typed.join(''), past);
        const whole = layOut(state, state.search ? { text: '', painted: '' } : prompt, columns);
        if (state.search) return true; // its prompt is as long as what is looked for
        for (const layout of [whole, visible(whole, height)]) {
          t.true(layout.row >= 0 && layout.row < layout.rows.length);
          t.true(layout.column < columns);
          for (const [at, row] of layout.rows.entries()) {
            t.true(layout.widths[at]! <= columns, row);
            // oxlint-disable-next-line no-control-regex -- looking for them is the purpose
            t.notRegex(row, /[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/);
          }
        }
        t.true(visible(whole, height).rows.length <= height);
        t.true(folded(whole, height).rows.length <= Math.max(2, height));
        return true;
      },
    ),
    { numRuns: 1000 },
  );
});

test('wide characters wrap whole, and the cursor is where the terminal shows it', (t) => {
  const state = play('日本語日本語').state;
  const layout = layOut(state, prompt, 9);
  t.deepEqual(layout.rows, ['User: 日', '本語日本', '語']);
  t.is(stringWidth(layout.rows[1]!), 8);
  t.deepEqual([layout.row, layout.column], [2, 2]);
  const exact = layOut(play('abc').state, prompt, 9);
  t.deepEqual([exact.rows, exact.row, exact.column], [['User: abc', ''], 1, 0]);
});
