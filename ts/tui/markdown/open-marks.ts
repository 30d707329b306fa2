/**
 * What of a paragraph that still grows can be shown: up to the first mark whose meaning what follows may yet decide, with
 * the emphasis and the code closed that are open there.
 */
import { insideWord } from './lexer.js';

interface Opener {
  readonly mark: string;
  count: number;
  readonly at: number;
  readonly end: number;
  readonly both: boolean;
}

const isSpace = (character: string) => /^\s?$/.test(character);
const isSign = (character: string) => /^[\p{P}\p{S}]$/u.test(character);

/** Where marks stand: after `at`, everything of `text` is open. */
interface Found {
  readonly at: number;
  readonly openers: Opener[];
  /** Backticks that close an open code span. */
  readonly code: string;
}

/** The part of `text`, the inline source of one paragraph, cell or item, that is certain, closed. */
export function closed(text: string): string {
  const { at, openers, code } = scan(text);
  let shown = text.slice(0, at);
  let end = shown.trimEnd().length;
  // what opens before nothing waits
  for (let last = openers.at(-1); last && last.end >= end; last = openers.at(-1)) {
    openers.pop();
    shown = shown.slice(0, last.at);
    end = shown.trimEnd().length;
  }
  const behind = code + closers(openers);
  return behind === '' ? shown : shown.slice(0, end) + behind;
}

const closers = (openers: readonly Opener[]) =>
  openers
    .toReversed()
    .map(({ mark, count }) => mark.repeat(count))
    .join('');

function scan(text: string): Found {
  const openers: Opener[] = [];
  const found = (at: number, code = ''): Found => ({ at, openers, code });
  for (let at = nextMark(text, 0); at < text.length; at = nextMark(text, at)) {
    const rest = text.slice(at);
    const [run] = /^([*_~`])\1*/.exec(rest) ?? [''];
    const end = at + run.length;
    if (run !== '' && end === text.length) return found(at);
    if (run[0] === '`') {
      const behind = codeEnd(text, end, run);
      if (behind < 0) return openCode(text, at, run, found);
      at = behind;
    } else if (run !== '') {
      if (!place(text, at, run, openers)) return found(at);
      at = end;
    } else {
      const length = skipped(rest, text[at - 1] ?? '');
      if (length === 0) return found(at);
      at += length;
    }
  }
  return found(text.length);
}

/** Where the next thing is that means more than itself. */
function nextMark(text: string, from: number): number {
  const found = /[*_~`\\&<![]|https?:\/\/|www\./gi;
  found.lastIndex = from;
  return found.exec(text)?.index ?? text.length;
}

/** A code span that is open shows what is in it, but for backticks at its end: they may be those that close it. */
function openCode(text: string, at: number, run: string, found: (at: number, code?: string) => Found): Found {
  const end = text.length - /`*\s*$/.exec(text)![0].length;
  return text.slice(at + run.length, end).trim() === '' ? found(at) : found(end, run);
}

/** Behind the code span that `run` opens, or -1. */
function codeEnd(text: string, from: number, run: string): number {
  for (const { 0: other, index } of text.slice(from).matchAll(/`+/g)) {
    if (other.length === run.length && from + index + run.length < text.length)
      return from + index + run.length;
  }
  return -1;
}

/** Opens or closes emphasis by CommonMark's rules; `false`: what follows decides. */
function place(text: string, at: number, run: string, openers: Opener[]): boolean {
  const mark = run[0]!;
  const end = at + run.length;
  const before = Array.from(text.slice(Math.max(0, at - 2), at)).at(-1) ?? '';
  const after = String.fromCodePoint(text.codePointAt(end)!);
  const left = !isSpace(after) && (!isSign(after) || isSpace(before) || isSign(before));
  const right = !isSpace(before) && (!isSign(before) || isSpace(after) || isSign(after));
  let canOpen = mark === '_' ? left && (!right || isSign(before)) : left;
  const canClose = mark === '_' ? right && (!left || isSign(after)) : right;
  if (mark === '~' && run.length !== 2) return true;
  const count = canClose ? close(openers, run, canOpen) : run.length;
  if (count === 0) return true;
  if (canOpen && mark === '*' && insideWord(before)) {
    const word = /^\S*/.exec(text.slice(end))![0];
    if (end + word.length === text.length) return false;
    canOpen = word.includes(run);
  }
  if (canOpen) openers.push({ mark, count, at, end, both: canClose });
  return true;
}

/** Closes what `run` can close; how many of its marks are left. `both`: it could open as well. */
function close(openers: Opener[], run: string, both: boolean): number {
  let count = run.length;
  for (let n = openers.length - 1; n >= 0 && count > 0; n -= 1) {
    const opener = openers[n]!;
    if (opener.mark !== run[0] || !pairs(opener, run.length, both)) continue;
    openers.length = n + 1;
    const used = Math.min(opener.count, count);
    opener.count -= used;
    count -= used;
    if (opener.count === 0) openers.pop();
  }
  return count;
}

/** CommonMark's rule of three. */
const pairs = (opener: Opener, length: number, both: boolean) =>
  !(
    (opener.both || both) &&
    (opener.count + length) % 3 === 0 &&
    (opener.count % 3 !== 0 || length % 3 !== 0)
  );

/** How much of `rest` is one thing that holds no marks, at least a character; 0: what follows decides. */
function skipped(rest: string, before: string): number {
  if (rest[0] === '\\') return rest.length > 1 ? 2 : 0;
  if (rest[0] === '&') return /^&#?\w{0,10}$/.test(rest) ? 0 : 1;
  if (rest[0] === '<') return /^<[^\s<>]*$/.test(rest) ? 0 : (/^<[a-z/][^<>]*>/i.exec(rest)?.[0].length ?? 1);
  if (rest === '!') return 0;
  if (rest[0] === '[') return link(rest);
  if (rest.startsWith('![')) return link(rest.slice(1)) === 0 ? 0 : 1;
  const address = insideWord(before) ? null : /^(?:https?:\/\/|www\.)[^\s<]*/i.exec(rest);
  return address?.[0].replace(/[?!.,:;*_'"~()&`]+$/, '').length || 1;
}

/** The length of what is in brackets at the start of `rest`; 0 where they don't close. */
function bracketed(rest: string): number {
  let depth = 0;
  for (const { 0: part, index } of rest.matchAll(/\\[^]|(`+)(?!`)[^]*?(?<!`)\1(?!`)|[[\]]/g)) {
    if (part === '[') depth += 1;
    if (part === ']') depth -= 1;
    if (depth === 0) return index + 1;
  }
  return 0;
}

/** An address that has begun and may yet be one. */
const openAddress = /^\(\s*(?:<[^<>\n]*|[^\s<]*)(?:\s+(?:"[^"]*"?|'[^']*'?|\([^)]*\)?)?)?\s*$/;
const address = /^\(\s*(?:<[^<>\n]*>|(?:[^\s()]|\([^\s()]*\))*)(?:\s+(?:"[^"]*"|'[^']*'|\([^)]*\)))?\s*\)/;

/** The length of the link at the start of `rest`, 1 where a bracket is a bracket, 0 where that is open. */
function link(rest: string): number {
  const length = bracketed(rest);
  const behind = rest.slice(length);
  if (length === 0 || behind === '') return 0;
  if (behind[0] !== '(') return 1;
  const whole = address.exec(behind);
  if (whole) return length + whole[0].length;
  return openAddress.test(behind) ? 0 : 1;
}
