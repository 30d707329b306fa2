/** The terminal's bytes as keys, pastes, wheel turns and answers: what blessed does not know included. */
import { StringDecoder } from 'node:string_decoder';

/** What a person did. `key` is a name of the key table, or what was typed. */
export type Input =
  | { readonly kind: 'key'; readonly key: string }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'paste'; readonly text: string }
  | { readonly kind: 'wheel'; readonly step: 1 | -1 };

/** What the terminal tells when asked: the colour that text stands on. */
export interface Answer {
  readonly kind: 'background';
  readonly light: boolean;
}

const escape = '\u001b';
const pasteEnd = '\u001b[201~';
/** A paste whose end never comes must not fill the memory. */
const longestPaste = 4_000_000;

const letters: Record<string, string> = {
  A: 'Up',
  B: 'Down',
  C: 'Right',
  D: 'Left',
  H: 'Home',
  F: 'End',
  P: 'F1',
  Q: 'F2',
  R: 'F3',
  S: 'F4',
};
const numbers: Record<string, string> = {
  1: 'Home',
  2: 'Insert',
  3: 'Delete',
  4: 'End',
  5: 'PageUp',
  6: 'PageDown',
  7: 'Home',
  8: 'End',
  11: 'F1',
  12: 'F2',
  13: 'F3',
  14: 'F4',
  15: 'F5',
  17: 'F6',
  18: 'F7',
  19: 'F8',
  20: 'F9',
};
/** Keys that the kitty protocol and modifyOtherKeys give by code point. */
const codes: Record<string, string> = { 9: 'Tab', 13: 'Enter', 27: 'Escape', 127: 'Backspace' };
/** The kitty protocol's numbers for the keypad begin here. */
const keypad = 57_399;
const keypadKeys =
  '0 1 2 3 4 5 6 7 8 9 . / * - + Enter = , Left Right Up Down PageUp PageDown Home End Insert Delete'.split(
    ' ',
  );

/** A decoder of input that may be cut anywhere. */
export interface Decoder {
  push(bytes: Buffer): (Input | Answer)[];
  /** A lone Escape is waiting: nothing came after it, so it was the key. */
  flush(): (Input | Answer)[];
  readonly waiting: boolean;
}

export function createDecoder(): Decoder {
  const utf8 = new StringDecoder('utf8');
  let held = '';
  let pasted: string | undefined;
  const take = (final: boolean): (Input | Answer)[] => {
    const found: (Input | Answer)[] = [];
    while (held !== '') {
      if (pasted !== undefined) {
        const end = held.indexOf(pasteEnd);
        if (end < 0) {
          const safe = held.length - (pasteEnd.length - 1);
          if (safe > 0 && pasted.length < longestPaste) pasted += held.slice(0, safe);
          if (safe > 0) held = held.slice(safe);
          break;
        }
        found.push({ kind: 'paste', text: pasted + held.slice(0, end) });
        held = held.slice(end + pasteEnd.length);
        pasted = undefined;
        continue;
      }
      const [used, input] = first(held, final);
      if (used === 0) break;
      held = held.slice(used);
      if (input === 'paste') pasted = '';
      else if (input) found.push(input);
    }
    return found;
  };
  return {
    push(bytes) {
      held += utf8.write(bytes);
      return take(false);
    },
    flush: () => (pasted === undefined ? take(true) : []),
    get waiting() {
      return held !== '' && pasted === undefined;
    },
  };
}

type Found = readonly [used: number, input: Input | Answer | 'paste' | undefined];
const incomplete: Found = [0, undefined];
const key = (name: string): Input => ({ kind: 'key', key: name });

/** The first input in `text`; uses nothing while more may belong to it. */
function first(text: string, final: boolean): Found {
  if (text[0] !== escape) return typed(text);
  if (text.length === 1) return final ? [1, key('Escape')] : incomplete;
  if (text[1] === '[' || text[1] === 'O') {
    // the Linux console's F1 to F5
    if (text[2] === '[') return text.length < 4 && !final ? incomplete : console5(text);
    // oxlint-disable-next-line no-control-regex -- the terminal's own sequences are the subject
    const found = /^\u001b(?:\[([<?=>]?)([\d;:]*)([@-~])|O()()([A-Za-z]))/.exec(text);
    if (found) return sequence(found);
    if (text.length === 2) return final ? [2, key(`Alt-${text[1]}`)] : incomplete;
    // neither a sequence nor the start of one
    const started = /^\u001b\[[<?=>]?[\d;:]*$/.test(text); // oxlint-disable-line no-control-regex
    return started && !final && text.length < 64 ? incomplete : [text.length, undefined];
  }
  if (text[1] === ']' && text.length > 2) {
    const found = answer(text, final);
    if (found) return found;
  }
  // of Alt and ] or an answer, the next byte tells
  if (text === `${escape}]` && !final) return incomplete;
  if (text[1] === escape) return [1, key('Escape')];
  const [used, inner] = typed(text.slice(1));
  if (inner.kind === 'text') {
    const [character = ''] = inner.text;
    return [1 + character.length, key(`Alt-${character.toUpperCase()}`)];
  }
  return [1 + used, inner.kind === 'key' ? key(`Alt-${inner.key}`) : undefined];
}

function typed(text: string): readonly [number, Exclude<Input, { kind: 'paste' }>] {
  // oxlint-disable-next-line no-control-regex -- up to the next control character is what was typed
  const run = /^[^\u0000-\u001f\u007f]+/.exec(text)?.[0];
  if (run) return [run.length, { kind: 'text', text: run }];
  const code = text.charCodeAt(0);
  const named = { 9: 'Tab', 10: 'Ctrl-J', 13: 'Enter', 8: 'Backspace', 127: 'Backspace', 0: 'Ctrl-Space' }[
    code
  ];
  const name = named ?? `Ctrl-${String.fromCharCode(code + 64)}`;
  return [1, { kind: 'key', key: name }];
}

function sequence(found: RegExpExecArray): Found {
  const used = found[0].length;
  const [, mark, parameters = '', final = found[6]!] = found;
  if (mark === '<') return [used, wheel(parameters, final)];
  if (mark) return [used, undefined];
  const [number = '', modifier = '1', code = ''] = parameters.split(';').map((part) => part.split(':')[0]!);
  if (final === '~' && number === '200') return [used, 'paste'];
  if (final === 'Z') return [used, key('Shift-Tab')];
  if (final === 'u') return [used, byCode(number, modifier)];
  if (final === '~' && number === '27') return [used, byCode(code, modifier)];
  const name = final === '~' ? numbers[number] : letters[final];
  return [used, name ? key(prefix(modifier) + name) : undefined];
}

function console5(text: string): Found {
  const at = 'ABCDE'.indexOf(text[3] ?? ' ');
  return [Math.min(4, text.length), at < 0 ? undefined : key(`F${at + 1}`)];
}

/** An answer to a query, `ESC ] NUMBER ; TEXT` and BEL or ESC \; what was not asked for is left out. */
function answer(text: string, final: boolean): Found | undefined {
  // oxlint-disable-next-line no-control-regex -- the terminal's own sequences are the subject
  const found = /^\u001b\](\d+);([^\u0007\u001b]{0,200})(?:\u0007|\u001b\\)/.exec(text);
  if (found) return [found[0].length, found[1] === '11' ? background(found[2]!) : undefined];
  // oxlint-disable-next-line no-control-regex -- as above
  if (!/^\u001b\]\d+(?:;[^\u0007\u001b]{0,200}\u001b?)?$/.test(text)) return undefined;
  return final ? [text.length, undefined] : incomplete;
}

/** `rgb:1a1a/1b1b/1e1e`, one to four hexadecimal digits each. */
function background(colour: string): Answer | undefined {
  const parts = /^rgba?:([\da-f]{1,4})\/([\da-f]{1,4})\/([\da-f]{1,4})/i.exec(colour);
  if (!parts) return undefined;
  const [red, green, blue] = parts
    .slice(1)
    .map((part) => Number.parseInt(part, 16) / (16 ** part.length - 1));
  // the weights of sRGB's luminance; its curve does not matter for telling day from night
  return { kind: 'background', light: 0.2126 * red! + 0.7152 * green! + 0.0722 * blue! > 0.5 };
}

function byCode(number: string, modifier: string): Input | undefined {
  const code = Number(number);
  const named = codes[number] ?? keypadKeys[code - keypad];
  // what is left of the private area stands for keys that have no text
  const textual = code >= 32 && code < 0x110000 && !(code >= 0xe000 && code <= 0xf8ff);
  const name = named ?? (textual ? String.fromCodePoint(code) : undefined);
  if (name === undefined) return undefined;
  const before = prefix(modifier);
  const isText = [...name].length === 1;
  if (isText && (before === '' || before === 'Shift-')) return { kind: 'text', text: name };
  return key(before + (isText ? name.toUpperCase() : name));
}

/** The modifier parameter is one more than its bits: 1 Shift, 2 Alt, 4 Ctrl. */
function prefix(modifier: string): string {
  const bits = Number(modifier || '1') - 1;
  return `${bits & 4 ? 'Ctrl-' : ''}${bits & 2 ? 'Alt-' : ''}${bits & 1 ? 'Shift-' : ''}`;
}

function wheel(parameters: string, final: string): Input | undefined {
  const button = Number(parameters.split(';')[0]);
  if (final !== 'M' || (button & 64) === 0) return undefined;
  return { kind: 'wheel', step: (button & 3) === 0 ? -1 : 1 };
}
