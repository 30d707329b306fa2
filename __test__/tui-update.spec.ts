import test from 'ava';
import { before, newConversation, spoken, withTurn } from '../ts/chat/conversation.js';
import { settingNames, withSetting, type SettingName } from '../ts/chat/settings.js';
import { say } from '../ts/chat/slash/types.js';
import { AxllmError } from '../ts/errors.js';
import { textOf, widthOf } from '../ts/tui/cells.js';
import { createDecoder, type Answer, type Input } from '../ts/tui/decode.js';
import { expanded } from '../ts/tui/editor.js';
import { geometryOf } from '../ts/tui/geometry.js';
import { keyTable, type Action } from '../ts/tui/keys.js';
import { helpLines } from '../ts/tui/help.js';
import type { Effect, State } from '../ts/tui/state.js';
import { update } from '../ts/tui/update.js';
import { view } from '../ts/tui/view.js';
import { asked, chunk, key, opened, play, result, scenarios, sizes, text } from './helpers/tui_states.js';

const said = withTurn(withTurn(newConversation(), 'One?', 'First.'), 'Two?', 'Second.\n\n```js\nlet a;\n```');
const talked = () => play(opened(80, 24, said), { kind: 'prompts', prompts: ['One?', 'Two?'] });
const long = () => scenarios.scrolled!(80, 24);
const typed = (words: string) => play(talked(), text(words));
const screenOf = (state: State) => view(state).lines.map(textOf).join('\n');
const kinds = (effects: readonly Effect[]) => effects.map(({ kind }) => kind);

/** For each action of the table: where to press it, and what must come of it. */
const expectations: Record<Action, [() => State, (state: State, effects: readonly Effect[]) => boolean]> = {
  send: [
    () => typed('hi'),
    (state, effects) => state.pending?.user === 'hi' && kinds(effects).includes('reply'),
  ],
  newline: [() => typed('a'), ({ input }) => input.text === 'a\n'],
  previous: [talked, ({ input }) => input.text === 'Two?'],
  next: [() => play(talked(), key('Up'), key('Up')), ({ input }) => input.text === 'Two?'],
  complete: [() => typed('/reg'), ({ input }) => input.text === '/regen '],
  editor: [() => typed('abc'), (_, effects) => effects.some((e) => e.kind === 'editor' && e.text === 'abc')],
  'line-start': [() => typed('a b'), ({ input }) => input.at === 0],
  'line-end': [() => play(typed('a b'), key('Home')), ({ input }) => input.at === 3],
  left: [() => typed('a👩‍👩‍👧'), ({ input }) => input.at === 1],
  right: [() => play(typed('é!'), key('Home')), ({ input }) => input.at === 1],
  'word-left': [() => typed('one two'), ({ input }) => input.at === 4],
  'word-right': [() => play(typed('one two'), key('Home')), ({ input }) => input.at === 3],
  backspace: [() => typed('a👩‍👩‍👧'), ({ input }) => input.text === 'a'],
  delete: [() => play(typed('ab'), key('Home')), ({ input }) => input.text === 'b'],
  'erase-word': [() => typed('one two'), ({ input }) => input.text === 'one '],
  'erase-to-start': [() => typed('one two'), ({ input }) => input.text === ''],
  'erase-to-end': [() => play(typed('one'), key('Home')), ({ input }) => input.text === ''],
  stop: [
    () => play(talked(), ...asked('go')),
    (state, effects) => !!state.pending?.stopping && kinds(effects).includes('cancel'),
  ],
  regenerate: [
    talked,
    (state, effects) => state.pending?.user === 'Two?' && kinds(effects).includes('reply'),
  ],
  'edit-last': [talked, ({ input, replaces }) => input.text === 'Two?' && replaces === 1],
  'copy-reply': [talked, (_, effects) => JSON.stringify(effects).includes('Second.')],
  'copy-code': [talked, (_, effects) => JSON.stringify(effects).includes('"let a;"')],
  'page-up': [() => play(long(), key('Ctrl-End')), ({ anchor }) => anchor !== undefined],
  'page-down': [() => play(long(), key('Ctrl-Home')), ({ anchor }) => (anchor?.item ?? 0) > 0],
  'line-up': [() => play(long(), key('Ctrl-End')), ({ anchor }) => anchor !== undefined],
  'line-down': [() => play(long(), key('Ctrl-Home')), ({ anchor }) => anchor?.item === 1 && anchor.row === 2],
  top: [long, ({ anchor }) => anchor?.item === 0 && anchor.row === 0],
  bottom: [long, ({ anchor }) => anchor === undefined],
  search: [talked, ({ panel }) => panel?.kind === 'search'],
  help: [talked, ({ panel }) => panel?.kind === 'help'],
  stats: [talked, ({ chat }) => chat?.settings['show-stats'] === true],
  settings: [talked, ({ panel }) => panel?.kind === 'settings'],
  mouse: [talked, (state, effects) => !state.mouse && kinds(effects).includes('mouse')],
  redraw: [talked, (_, effects) => kinds(effects).includes('redraw')],
  suspend: [talked, (_, effects) => kinds(effects).includes('suspend')],
  interrupt: [() => play(talked(), key('Ctrl-C')), (_, effects) => kinds(effects).includes('leave')],
  end: [() => play(talked(), key('Ctrl-D')), (_, effects) => kinds(effects).includes('leave')],
};

for (const { action, keys, help } of keyTable) {
  for (const name of keys) {
    // a second press is what these two wait for: of the same key
    test(`${name}: ${help}`, (t) => {
      const [from, holds] = expectations[action];
      const [state, effects] = update(from(), key(name));
      t.true(holds(state, effects));
      t.is(view(state).lines.length, 24);
    });
  }
}

test('the help screen holds every key of the table and every slash command', (t) => {
  const shown = helpLines(120).map(textOf).join('\n');
  for (const { keys, help } of keyTable)
    for (const part of [...keys, help]) t.true(shown.includes(part), part);
  for (const command of ['/regen', '/save', '/system', '/undo']) t.true(shown.includes(command));
});

test('in a narrow window too, what goes on in another row of the help stands below its beginning', (t) => {
  for (const line of helpLines(40)) {
    t.regex(textOf(line), /^( |$)/);
    t.true(widthOf(textOf(line)) <= 40);
  }
});

test('Ctrl-C clears the message, then stops the reply, then leaves when pressed twice', (t) => {
  let state = play(talked(), ...asked('go'), text('draft'), key('Ctrl-C'));
  t.is(state.input.text, '');
  t.false(state.pending!.stopping);
  state = play(state, key('Ctrl-C'));
  t.true(state.pending!.stopping);
  const [armed, nothing] = update(talked(), key('Ctrl-C'));
  t.deepEqual(nothing, []);
  const later = { ...armed, now: armed.now + 10_000 };
  t.deepEqual(update(later, key('Ctrl-C'))[1], []);
});

test('a long paste is one folded piece that is sent whole; lines of it never send themselves', (t) => {
  const pasted = Array.from({ length: 40 }, (_, n) => `line ${n}`).join('\r\n');
  const [state, effects] = update(talked(), { kind: 'paste', text: pasted });
  t.is(state.input.text, '[pasted 40 lines]');
  t.false(kinds(effects).includes('reply'));
  t.is(expanded(state.input), pasted.replaceAll('\r\n', '\n'));
  t.is(play(state, key('Backspace')).input.text, '');
  const sent = update(state, key('Enter'))[1].find((effect) => effect.kind === 'reply');
  t.is(sent?.kind === 'reply' ? sent.text.split('\n').length : 0, 40);
});

test('an edited message branches: the old turn stays, the new one takes its place', (t) => {
  const state = play(talked(), key('Alt-E'), key('Alt-E'));
  t.is(state.input.text, 'One?');
  const [sent] = update(state, key('Enter'));
  t.deepEqual(spoken(sent.chat!.conversation), []);
  t.is(sent.chat!.conversation.turns.length, 2);
});

test('the versions of an edited message say which they are, and /version goes from one to the other', (t) => {
  const edited = withTurn(before(said, 1), 'TWO', 'Other.');
  const state = play(opened(80, 24, edited));
  t.regex(screenOf(state), /❯ TWO *\n +version 2 of 2, \/version *\n/);
  const back = play(state, ...asked('/version'));
  t.regex(screenOf(back), /❯ Two\? *\n +version 1 of 2/);
  t.regex(screenOf(back), /Message 2: version 1 of 2/);
});

test('Esc leaves the editing of an earlier message at once', (t) => {
  const editing = play(talked(), key('Alt-E'));
  t.regex(screenOf(editing), /✎ Two\?/);
  const left = play(editing, key('Escape'));
  t.is(left.input.text, '');
  t.is(left.replaces, undefined);
});

test('new text does not pull a scrolled view down, and is announced', (t) => {
  const begun = 'a\n\n'.repeat(30);
  const up = play(long(), key('Ctrl-End'), ...asked('more'), chunk(begun), key('PageUp'));
  const after = play(up, chunk(begun + 'and more\n\n'.repeat(30)));
  t.deepEqual(view(after).lines.slice(0, 15).map(textOf), view(up).lines.slice(0, 15).map(textOf));
  t.regex(view(after).lines.map(textOf).join('\n'), /↓ new/);
  t.notRegex(
    view(play(after, key('Ctrl-End')))
      .lines.map(textOf)
      .join('\n'),
    /↓ new/,
  );
});

test('what a command answers comes into view, wherever the view was; so does another version', (t) => {
  const up = play(long(), key('Ctrl-Home'));
  t.regex(screenOf(play(up, ...asked('/copy 70'))), /There is no message "70"/);
  t.regex(screenOf(play(up, ...asked('/nosuch'))), /nosuch/);
  const many = Array.from({ length: 30 }, (_, n) => `line ${n}`).join('\n\n');
  const first = withTurn(newConversation(), 'One?', many);
  const both = play(opened(80, 24, withTurn(before(first, 0), 'One?', 'Short.')), ...asked('/version'));
  const other = play(both, key('PageUp'), ...asked('/version'));
  t.is(other.anchor, undefined);
  t.regex(screenOf(other), /Short\./);
});

test('a reply that fails while the view is elsewhere is announced there', (t) => {
  const up = play(long(), ...asked('go'), key('PageUp'));
  const failed = play(up, {
    kind: 'failed',
    conversation: up.chat!.conversation,
    error: new AxllmError('device_lost', 'the device is gone'),
  });
  t.deepEqual(failed.anchor, up.anchor);
  t.regex(screenOf(failed), /↓ new/);
});

const rowsOf = (state: State) => view(state).lines.slice(1, 21).map(textOf);

test('a row that is found has rows above and below it, at the end too', (t) => {
  const last = play(long(), key('Ctrl-Home'), key('Ctrl-R'), text('question 40?'));
  t.deepEqual(rowsOf(last), rowsOf(play(last, key('Escape'), key('Ctrl-End'))));
  const middle = play(long(), key('Ctrl-R'), text('question 20?'));
  const at = rowsOf(middle).findIndex((line) => line.includes('Question 20?'));
  t.true(at > 3 && at < 12, `${at}`);
});

test('figures in a narrow window are parted between two of them', (t) => {
  const state = play(scenarios.finished!(40, 24), key('F2'));
  const rows = view(state).lines.map(textOf);
  const from = rows.findIndex((line) => line.startsWith('  Tokenization'));
  t.deepEqual(
    rows.slice(from, from + 4).map((line) => line.trimEnd()),
    [
      '  Tokenization: 0.4ms | Prefill: 3.1us',
      '  TTFT: 0.573s | Gen: 2.111s',
      '  Tokens/sec: 9.95 | Tokens: 21',
      '  CPU %: 1.8%',
    ],
  );
});

test('the meter counts the reply as it comes', (t) => {
  const asking = play(opened(80, 24), ...asked('go'));
  t.regex(screenOf(play(asking, chunk('a', 60))), / 372\+128\/1024 /);
  t.regex(screenOf(play(asking, chunk('a', 300))), / 372\+300\/1024 /);
});

test('a message typed while the model loads is sent when it is there', (t) => {
  const early = play(scenarios.loading!(80, 24), ...asked('first'));
  t.is(early.queued, 'first');
  const [ready, effects] = update(early, { kind: 'opened', chat: opened(80, 24).chat! });
  t.is(ready.pending?.user, 'first');
  t.true(kinds(effects).includes('reply'));
});

test('a copy that outlasts the reply does not put the conversation back', (t) => {
  const [copying, effects] = update(talked(), key('Alt-C'));
  t.true(kinds(effects).includes('perform'));
  const asking = play(copying, ...asked('Three?'), chunk('Third.'));
  const third = withTurn(said, 'Three?', 'Third.');
  const ended = play(asking, { kind: 'ended', conversation: third, result });
  const after = play(ended, { kind: 'performed', effects: [say('Copied the last reply')] });
  t.deepEqual(spoken(after.chat!.conversation), spoken(third));
  t.regex(screenOf(after), /Copied the last reply/);
});

test('a saved conversation takes the place of this one, unless a reply has begun meanwhile', (t) => {
  const saved = withTurn(newConversation('Be kind.'), 'Saved?', 'Yes.');
  const message = { kind: 'performed', loaded: saved, effects: [say('Loaded x: 1 turn')] } as const;
  const loaded = play(talked(), message);
  t.is(loaded.chat!.conversation, saved);
  t.regex(screenOf(loaded), /Loaded x/);
  const busy = play(talked(), ...asked('go'), message);
  t.deepEqual(spoken(busy.chat!.conversation), spoken(said));
  t.regex(screenOf(busy), /a reply has begun meanwhile/);
});

test('a reply stopped before its first word leaves the turn before as it was, and gives the message back', (t) => {
  const asking = play(talked(), ...asked('Three?'), key('Escape'));
  const cancelled = { ...result, finishReason: 'cancelled', completionTokens: 0 } as const;
  const ended = play(asking, { kind: 'ended', conversation: said, result: cancelled });
  t.is(ended.input.text, 'Three?');
  t.notRegex(screenOf(ended), /stopped/);
  t.regex(screenOf(ended), /❯ Two\?/);
  const half = play(asking, {
    kind: 'ended',
    conversation: withTurn(said, 'Three?', 'Thi'),
    result: cancelled,
  });
  t.regex(screenOf(half), /Thi\n+ *stopped/);
  t.is(half.input.text, '');
});

test('a system prompt changed while a reply runs stays changed', (t) => {
  const asking = play(talked(), ...asked('Three?'), ...asked('/system Be kind.'));
  const ended = play(asking, { kind: 'ended', conversation: withTurn(said, 'Three?', 'Third.'), result });
  t.is(ended.chat!.conversation.system, 'Be kind.');
  t.is(ended.chat!.conversation.turns.length, 3);
});

test('while a reply runs nothing else is sent, and what was typed stays', (t) => {
  const asking = play(talked(), ...asked('go'));
  for (const words of ['more', '/regen', '/clear']) {
    const [state, effects] = update(play(asking, text(words)), key('Enter'));
    t.false(kinds(effects).includes('reply'), words);
    t.is(state.chat!.conversation, asking.chat!.conversation, words);
    t.regex(screenOf(state), /still answering; Esc stops the reply/, words);
  }
  t.is(play(asking, ...asked('more')).input.text, 'more');
});

test('a new conversation shows nothing of the old one', (t) => {
  const failed = play(talked(), ...asked('/copy 7'));
  t.regex(screenOf(failed), /There is no message "7"/);
  const anew = play(failed, ...asked('/new'));
  t.regex(screenOf(anew), /Ask something/);
  const again = play(anew, ...asked('Hi'), chunk('Ho'), {
    kind: 'ended',
    conversation: withTurn(withTurn(newConversation(), 'Hi', 'Ho'), 'Hi', 'Ho'),
    result,
  });
  t.notRegex(screenOf(again), /There is no message/);
});

test('what a key says of being pressed again goes when that is over', (t) => {
  const armed = play(talked(), key('Ctrl-D'));
  t.regex(screenOf(armed), /Ctrl-D again leaves/);
  const later = play(armed, { kind: 'tick', now: armed.now + 3001 });
  t.notRegex(screenOf(later), /again/);
  t.is(later.armed, undefined);
});

test('help scrolls by keys and wheel to its end and no further; the transcript stays where it was', (t) => {
  const help = play(long(), key('Ctrl-End'), key('F1'));
  const pages = Array.from({ length: 30 }, () => key('PageDown'));
  const end = play(help, ...pages);
  t.regex(screenOf(end), /sends a slash/);
  t.is(
    view(end)
      .lines.slice(1, 21)
      .filter((line) => textOf(line).trim() !== '').length > 10,
    true,
  );
  t.notDeepEqual(view(play(end, { kind: 'wheel', step: -1 })).lines, view(end).lines);
  t.is(play(end, { kind: 'wheel', step: -1 }).anchor, undefined);
  t.is(play(end, key('Escape')).panel, undefined);
});

const foundAt = ({ panel }: State) => (panel?.kind === 'search' ? panel.at?.item : undefined);

test('search goes from match to match, marks them, takes a paste, and says when there is none', (t) => {
  const query = play(
    long(),
    key('Ctrl-R'),
    text('answer 7, f'),
    { kind: 'paste', text: 'irst\n' },
    key('Backspace'),
  );
  t.regex(screenOf(query), /● Answer 7, first line/);
  const marked = view(query).lines.flatMap((line) => line.filter(({ style }) => style.inverse));
  t.is(marked.map(({ text: shown }) => shown).join(''), 'Answer 7, first');
  const every = play(long(), key('F4'), text('first line'));
  t.is(foundAt(every), 40);
  t.is(foundAt(play(every, key('Enter'), key('Up'))), 38);
  t.is(foundAt(play(every, key('Enter'), key('Up'), key('Down'))), 39);
  t.is(foundAt(play(every, key('Down'))), 1, 'it goes round');
  t.regex(screenOf(play(long(), key('F4'), text('nowhere'))), /not found/);
});

test('search finds what rows show and the source does not: marks in words, entities, numbers of a list', (t) => {
  const source =
    'A **half**way &lt;tag&gt;\n\n1. one\n1. two\n1. three\n\n| a | bee |\n|---|---|\n| c | dee |';
  const state = play(opened(80, 24, withTurn(newConversation(), 'Who?', source)), key('F4'));
  for (const query of ['halfway', '<tag>', '3. three', 'c │ dee'])
    t.regex(screenOf(play(state, text(query))), /Enter: earlier/, query);
});

test('search marks a place beside emoji without moving anything', (t) => {
  const line = 'A 👩‍👩‍👧 family é 日本 here';
  const state = play(opened(80, 24, withTurn(newConversation(), 'Who?', line)), key('F4'), text('here'));
  t.true(screenOf(state).includes(line));
});

test('every setting can be changed by the panel and by /set, as far as the command line takes it', (t) => {
  const values: Readonly<Record<SettingName, string>> = {
    temperature: '0.7',
    'top-k': '40',
    'top-p': '0.9',
    'min-p': '0.05',
    'repeat-penalty': '1.1',
    'presence-penalty': '0.5',
    'frequency-penalty': '0.25',
    seed: '7',
    'max-tokens': '99',
    stop: 'END',
    'on-overflow': 'error',
    'show-stats': 'true',
    'show-cpu-usage': 'true',
    'show-temp': 'true',
  };
  t.deepEqual(Object.keys(values), [...settingNames]);
  for (const [at, name] of settingNames.entries()) {
    const downs = Array.from({ length: at + 1 }, () => key('Down'));
    const open = play(talked(), key('F3'), ...downs, key('Enter'));
    const edited = open.panel?.kind === 'settings' && open.panel.value;
    const byPanel = edited ? play(open, key('Ctrl-U'), text(values[name]), key('Enter')) : open;
    const wanted = withSetting(talked().chat!.settings, name, values[name]);
    t.deepEqual(byPanel.chat!.settings, wanted, name);
    t.notDeepEqual(wanted, talked().chat!.settings, name);
    t.deepEqual(play(talked(), ...asked(`/set ${name} ${values[name]}`)).chat!.settings, wanted, name);
    const [sent, effects] = update(play(byPanel, key('Escape'), text('go')), key('Enter'));
    t.is(sent.pending?.user, 'go');
    t.true(
      effects.some((effect) => effect.kind === 'reply' && effect.chat.settings === byPanel.chat!.settings),
    );
  }
});

test('a system prompt pasted into the settings is taken whole', (t) => {
  const prompt = Array.from({ length: 40 }, (_, n) => `rule ${n}`).join('\n');
  const state = play(talked(), key('F3'), key('Enter'), { kind: 'paste', text: prompt }, key('Enter'));
  t.is(state.chat!.conversation.system, prompt);
  t.is(play(state, key('Enter'), key('Ctrl-U'), key('Escape')).chat!.conversation.system, prompt);
});

test('an editor grows to a third of the screen and then scrolls around its cursor', (t) => {
  for (const [columns, rows] of sizes) {
    const lines = Array.from({ length: 60 }, (_, n) => `line ${n}`);
    const state = play(opened(columns, rows), ...lines.flatMap((line) => [text(line), key('Ctrl-J')]));
    const { input } = geometryOf(state);
    t.is(input.lines.length, Math.floor(rows / 3));
    t.regex(screenOf(state), /line 59/);
    const back = play(state, ...Array.from({ length: 60 }, () => key('Up')));
    t.regex(screenOf(back), /❯ line 0/);
  }
});

test('Esc twice clears the message, and Ctrl-D does not leave one behind', (t) => {
  const once = play(typed('draft'), key('Escape'));
  t.is(once.input.text, 'draft');
  t.is(play(once, key('Escape')).input.text, '');
  t.deepEqual(update(play(typed('ab'), key('Home')), key('Ctrl-D'))[0].input.text, 'b');
});

test('earlier prompts come back with what was being typed, and stay when moved among', (t) => {
  const state = play(typed('draft'), key('Up'), key('Up'), key('Up'));
  t.is(state.input.text, 'One?');
  t.is(play(state, key('Down'), key('Down')).input.text, 'draft');
  t.is(play(talked(), ...asked('Two?')).prompts.length, 2, 'the same twice is kept once');
});

test('settings refuse what the command line refuses, and keep what it takes', (t) => {
  const open = play(talked(), key('F3'), key('Down'), key('Enter'), key('Ctrl-U'));
  const refused = play(open, text('lots'), key('Enter'));
  t.is(refused.chat!.settings.temperature, 0);
  t.regex(view(refused).lines.map(textOf).join('\n'), /temperature is a number/);
  t.is(play(open, text('0.7'), key('Enter')).chat!.settings.temperature, 0.7);
});

test('keys, pastes and the wheel are read however the bytes are cut', (t) => {
  const bytes = Buffer.from(
    'é\u001b[1;5A\u001b\r\u001br\u001b[13;2u\u001b[200~a\nb\u001b[201~\u001b[<64;3;4M\u001bOP\u0003',
  );
  const wanted: Input[] = [
    { kind: 'text', text: 'é' },
    ...['Ctrl-Up', 'Alt-Enter', 'Alt-R', 'Shift-Enter'].map((name): Input => ({ kind: 'key', key: name })),
    { kind: 'paste', text: 'a\nb' },
    { kind: 'wheel', step: -1 },
    { kind: 'key', key: 'F1' },
    { kind: 'key', key: 'Ctrl-C' },
  ];
  for (const size of [1, 2, 3, 5, 7, bytes.length]) {
    const decoder = createDecoder();
    const inputs: (Input | Answer)[] = [];
    for (let at = 0; at < bytes.length; at += size)
      inputs.push(...decoder.push(bytes.subarray(at, at + size)));
    t.deepEqual(inputs, wanted, `pieces of ${size}`);
  }
  const alone = createDecoder();
  t.deepEqual(alone.push(Buffer.from('\u001b')), []);
  t.deepEqual(alone.flush(), [{ kind: 'key', key: 'Escape' }]);
});

test('every size down to 1x1 draws, with a cursor inside', (t) => {
  for (const make of Object.values(scenarios)) {
    for (const [columns, rows] of [
      [1, 1],
      [2, 2],
      [3, 5],
      [300, 2],
      [1, 60],
      [9, 9],
    ] as const) {
      const { lines, cursor } = view(make(columns, rows));
      t.true(lines.length <= rows);
      for (const line of lines) t.true(widthOf(textOf(line)) <= columns, textOf(line));
      if (cursor) t.true(cursor.x < columns && cursor.y < rows);
    }
  }
});
