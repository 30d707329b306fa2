/** The bytes that terminals send, as the keys of the table. */
import test from 'ava';
import { createDecoder, type Answer, type Input } from '../ts/tui/decode.js';
import { keyTable } from '../ts/tui/keys.js';

const escape = '\u001b';

/** What xterm and those that follow it send. */
const usual: Readonly<Record<string, string>> = {
  Enter: '\r',
  Tab: '\t',
  Escape: escape,
  Backspace: '\u007f',
  Delete: `${escape}[3~`,
  Up: `${escape}[A`,
  Down: `${escape}[B`,
  Right: `${escape}[C`,
  Left: `${escape}[D`,
  Home: `${escape}[H`,
  End: `${escape}[F`,
  PageUp: `${escape}[5~`,
  PageDown: `${escape}[6~`,
  F1: `${escape}OP`,
  F2: `${escape}OQ`,
  F3: `${escape}OR`,
  F4: `${escape}OS`,
  F6: `${escape}[17~`,
};
const modifiers = { Shift: 2, Alt: 3, Ctrl: 5 } as const;
const codes: Readonly<Record<string, number>> = { Enter: 13, Tab: 9, Escape: 27, Backspace: 127 };

/** A key name as bytes, in the old way; `undefined` where there is none. */
function legacy(name: string): string | undefined {
  const [, modifier, key = ''] = /^(?:(Shift|Alt|Ctrl)-)?(.+)$/.exec(name)!;
  if (modifier === undefined) return usual[key];
  const moved = /^\u001b\[([A-DHF])$/.exec(usual[key] ?? '')?.[1]; // oxlint-disable-line no-control-regex
  if (moved) return `${escape}[1;${modifiers[modifier as 'Alt']}${moved}`;
  if (modifier === 'Alt') return escape + (usual[key] ?? key.toLowerCase());
  if (modifier === 'Ctrl') return String.fromCharCode(key.charCodeAt(0) - 64);
  return undefined;
}

/** The same by the kitty protocol, which the screen asks for. */
function kitty(name: string): string | undefined {
  const [, modifier, key = ''] = /^(?:(Shift|Alt|Ctrl)-)?(.+)$/.exec(name)!;
  const code = codes[key] ?? (key.length === 1 ? key.toLowerCase().charCodeAt(0) : undefined);
  if (code === undefined || (modifier === undefined && key !== 'Escape')) return undefined;
  return `${escape}[${code}${modifier ? `;${modifiers[modifier as 'Alt']}` : ''}u`;
}

function read(bytes: string, size = bytes.length): (Input | Answer)[] {
  const decoder = createDecoder();
  const buffer = Buffer.from(bytes);
  const inputs: (Input | Answer)[] = [];
  for (let at = 0; at < buffer.length; at += size)
    inputs.push(...decoder.push(buffer.subarray(at, at + size)));
  return [...inputs, ...decoder.flush()];
}

test('each key of the table comes out of the bytes that terminals send for it', (t) => {
  for (const name of keyTable.flatMap(({ keys }) => keys)) {
    const forms = [legacy(name), kitty(name)].filter((form) => form !== undefined);
    t.true(forms.length > 0, name);
    for (const form of forms) {
      for (const size of [1, form.length])
        t.deepEqual(read(form, size), [{ kind: 'key', key: name }], `${name} as ${JSON.stringify(form)}`);
    }
  }
});

const others: readonly (readonly [string, string, readonly (Input | Answer)[]])[] = [
  ['rxvt and the Linux console: Home', `${escape}[1~`, [{ kind: 'key', key: 'Home' }]],
  ['rxvt: End', `${escape}[8~`, [{ kind: 'key', key: 'End' }]],
  ['rxvt: F1', `${escape}[11~`, [{ kind: 'key', key: 'F1' }]],
  ['the Linux console: F2', `${escape}[[B`, [{ kind: 'key', key: 'F2' }]],
  ['modifyOtherKeys: Shift-Enter', `${escape}[27;2;13~`, [{ kind: 'key', key: 'Shift-Enter' }]],
  [
    'kitty: the keypad',
    `${escape}[57400u${escape}[57414u${escape}[57419u`,
    [
      { kind: 'text', text: '1' },
      { kind: 'key', key: 'Enter' },
      { kind: 'key', key: 'Up' },
    ],
  ],
  ['kitty: a key without text (Caps Lock) is not typed', `${escape}[57358u`, []],
  ['the wheel', `${escape}[<65;3;4M`, [{ kind: 'wheel', step: 1 }]],
  ['a click does nothing', `${escape}[<0;3;4M${escape}[<0;3;4m`, []],
  [
    'an answer: light',
    `${escape}]11;rgb:ffff/ffff/ffff${escape}\\x`,
    [
      { kind: 'background', light: true },
      { kind: 'text', text: 'x' },
    ],
  ],
  ['an answer: dark', `${escape}]11;rgb:1a/1b/1e\u0007`, [{ kind: 'background', light: false }]],
  ['an answer to what was not asked', `${escape}]4;1;rgb:1a/1b/1e\u0007a`, [{ kind: 'text', text: 'a' }]],
  ['an answer that never ends is not typed', `${escape}]11;rgb:1a`, []],
  ['Alt-]', `${escape}]`, [{ kind: 'key', key: 'Alt-]' }]],
  [
    'Alt-] before text',
    `${escape}]ab`,
    [
      { kind: 'key', key: 'Alt-]' },
      { kind: 'text', text: 'ab' },
    ],
  ],
  [
    'two Escapes',
    `${escape}${escape}`,
    [
      { kind: 'key', key: 'Escape' },
      { kind: 'key', key: 'Escape' },
    ],
  ],
];

for (const [name, bytes, wanted] of others) {
  test(`input: ${name}`, (t) => {
    for (const size of [1, 2, 3, bytes.length]) {
      const inputs = read(bytes, size);
      // a text that arrives in pieces is typed in pieces
      const joined = inputs.reduce<(Input | Answer)[]>((found, input) => {
        const last = found.at(-1);
        if (input.kind !== 'text' || last?.kind !== 'text') return [...found, input];
        return [...found.slice(0, -1), { kind: 'text', text: last.text + input.text }];
      }, []);
      t.deepEqual(joined, wanted, `pieces of ${size}`);
    }
  });
}
