import test from 'ava';
import { newConversation, withTurn } from '../ts/chat/conversation.js';
import { AxllmError } from '../ts/errors.js';
import { sanitise } from '../ts/sanitise.js';
import { clustersOf, textOf, widthOf } from '../ts/tui/cells.js';
import { view } from '../ts/tui/view.js';
import { shown } from './helpers/tui_cells.js';
import { hostile } from './helpers/tui_hostile.js';
import { asked, chatState, chunk, key, opened, play, result, text } from './helpers/tui_states.js';
import { helper, inTerminal } from './helpers/tui_terminal.js';

const squeezed = (words: string) => words.replace(/\s/g, '');
/** The end of what should be seen; the rest of a long text is above the view. */
const ending = (words: string) => squeezed(sanitise(words)).slice(-800);

for (const [name, words] of Object.entries(hostile)) {
  test(`${name}: the cells are the sanitised text`, async (t) => {
    const state = play(opened(80, 24), ...asked('go'), chunk(sanitise(words)), {
      kind: 'ended',
      conversation: withTurn(newConversation(), 'go', words),
      result,
    });
    const { lines, title, cell } = await shown(state);
    for (const [row, line] of view(state).lines.entries()) {
      t.true(widthOf(textOf(line)) <= 80);
      let column = 0;
      for (const [cluster, width] of clustersOf(textOf(line))) {
        if (width > 0) t.is(cell(row, column).getChars() || ' ', cluster, `row ${row}, column ${column}`);
        column += width;
      }
    }
    t.true(squeezed(lines.join('')).includes(ending(words)));
    t.is(title, '');
  });
}

test('hostile text everywhere else: question, notice, error, search, settings, device, prompt', async (t) => {
  const words = hostile['escape sequences']!;
  const wanted = squeezed(sanitise(words));
  const chat = chatState(newConversation(words));
  const named = { ...chat, modelName: words, info: { ...chat.info, device: words } };
  const start = play(opened(200, 30), { kind: 'opened', chat: named });
  const states = {
    question: play(start, ...asked(words)),
    notice: play(start, { kind: 'notice', text: words, error: false }),
    error: play(start, ...asked('go'), {
      kind: 'failed',
      conversation: newConversation(),
      error: new AxllmError('device_lost', words, { hint: words }),
    }),
    'part of a reply': play(start, ...asked('go'), chunk(words), {
      kind: 'failed',
      conversation: newConversation(),
      error: new AxllmError('device_lost', 'gone'),
    }),
    search: play(start, key('F4'), text(words)),
    setting: play(start, key('F3'), key('Enter')),
    settings: play(start, key('F3')),
    draft: play(start, text(words)),
    paste: play(start, { kind: 'paste', text: words }),
    header: start,
    loading: play(start, { kind: 'loading', text: words }),
  };
  for (const [name, state] of Object.entries(states)) {
    const { lines, title } = await shown(state);
    t.is(title, '', name);
    // a return in what is pasted is a new line
    const seen = squeezed(lines.join('')).replace(/\^M/g, '');
    t.true(seen.includes(wanted.replace(/\^M/g, '').slice(0, 60)), `${name}:\n${lines.join('\n')}`);
  }
});

test('links of a model lead nowhere but where a browser may go', async (t) => {
  const words =
    '[click](javascript:alert(1)) [x](https://a/\u0007b) [y](file:///etc/passwd) ![i](data:image/png;base64,AA==) [z](https://ok.example/)';
  const state = play(opened(120, 24), ...asked('go'), chunk(sanitise(words)), {
    kind: 'ended',
    conversation: withTurn(newConversation(), 'go', words),
    result,
  });
  const { bytes } = await shown(state);
  const addresses = bytes.split('\u001b]8;;').map((part) => part.split('\u001b')[0]);
  t.deepEqual(
    addresses.filter((address) => address?.includes(':')),
    ['https://a/^Gb', 'https://ok.example/'],
  );
});

for (const [what, size, taken] of [
  ['character by character', 1, (words: string) => words.length <= 1000],
  ['in large pieces', 997, () => true],
] as const) {
  test(`hostile text through a real terminal, ${what}`, async (t) => {
    const texts = Object.entries(hostile).filter(([, words]) => taken(words));
    const env = {
      SCRIPT: JSON.stringify({ text: texts.map(([, words]) => words), chunk: size, everyMs: 1 }),
    };
    const terminal = inTerminal(t, helper('tui_scripted.ts'), { env });
    await terminal.see(/Ask something/);
    const modes = terminal.modes();
    for (const [name, words] of texts) {
      terminal.press(`/clear\r${name}\r`);
      const wanted = ending(words);
      const screen = () => squeezed(terminal.lines().join('\n'));
      await terminal.until(name, () => screen().includes(wanted) && screen().includes('TTFT:0.57s'));
      t.deepEqual(terminal.modes(), modes, name);
      t.is(terminal.title(), '', name);
      t.false(terminal.bytes().includes('\u001b]52;'), name);
    }
    terminal.press('\u0004\u0004');
    await terminal.see(/left/);
    await terminal.restored(t);
  });
}
