/** A text and a cursor, as a value. The cursor counts UTF-16 units and always lies between two graphemes. */

export interface Draft {
  readonly text: string;
  readonly cursor: number;
}

/** A text with the cursor at its end. */
export const bufferOf = (text: string): Draft => ({ text, cursor: text.length });

const segmenter = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** The graphemes of a text: what a person calls its characters. */
export function graphemes(text: string): string[] {
  return Array.from(segmenter.segment(text), ({ segment }) => segment);
}

export function insert({ text, cursor }: Draft, added: string): Draft {
  const joined = text.slice(0, cursor) + added + text.slice(cursor);
  return snapped({ text: joined, cursor: cursor + added.length });
}

export const left = (buffer: Draft): Draft => ({ ...buffer, cursor: previous(buffer) });
export const right = (buffer: Draft): Draft => ({ ...buffer, cursor: next(buffer) });
export const home = (buffer: Draft): Draft => ({ ...buffer, cursor: lineStart(buffer) });
export const end = (buffer: Draft): Draft => ({ ...buffer, cursor: lineEnd(buffer) });
export const wordLeft = (buffer: Draft): Draft => ({ ...buffer, cursor: wordStart(buffer) });
export const wordRight = (buffer: Draft): Draft => ({ ...buffer, cursor: wordEnd(buffer) });

/** Takes text away; the second value is what was taken, for Ctrl-Y. */
export type Cut = readonly [Draft, string];

export const backspace = (buffer: Draft): Cut => cut(buffer, previous(buffer), buffer.cursor);
export const deleteNext = (buffer: Draft): Cut => cut(buffer, buffer.cursor, next(buffer));
export const killToStart = (buffer: Draft): Cut => cut(buffer, lineStart(buffer), buffer.cursor);
export const killWordLeft = (buffer: Draft): Cut => cut(buffer, wordStart(buffer), buffer.cursor);
export const killWordRight = (buffer: Draft): Cut => cut(buffer, buffer.cursor, wordEnd(buffer));

/** To the end of the line; at its end the newline goes. */
export function killToEnd(buffer: Draft): Cut {
  const to = lineEnd(buffer);
  return cut(buffer, buffer.cursor, to === buffer.cursor ? next(buffer) : to);
}

/** Back to the last blank, as Ctrl-W in a shell. */
export function killBlankLeft(buffer: Draft): Cut {
  const [word = ''] = /\S*\s*$/.exec(buffer.text.slice(0, buffer.cursor)) ?? [];
  return cut(buffer, buffer.cursor - word.length, buffer.cursor);
}

/** One line up or down at the same place; `undefined` where there is none. */
export function vertical(buffer: Draft, by: -1 | 1): Draft | undefined {
  const { text } = buffer;
  const start = lineStart(buffer);
  const at = by === -1 ? start - 1 : lineEnd(buffer) + 1;
  if (at < 0 || at > text.length) return undefined;
  const target = { text, cursor: at };
  const from = lineStart(target);
  const column = Math.min(from + buffer.cursor - start, lineEnd(target));
  return snapped({ text, cursor: column });
}

function cut({ text }: Draft, from: number, to: number): Cut {
  return [snapped({ text: text.slice(0, from) + text.slice(to), cursor: from }), text.slice(from, to)];
}

/** Joined parts may form one grapheme: the cursor then goes behind it. */
function snapped({ text, cursor }: Draft): Draft {
  if (cursor <= 0 || cursor >= text.length) return { text, cursor };
  const here = segmenter.segment(text).containing(cursor)!;
  return { text, cursor: here.index === cursor ? cursor : here.index + here.segment.length };
}

function previous({ text, cursor }: Draft): number {
  return cursor === 0 ? 0 : segmenter.segment(text).containing(cursor - 1)!.index;
}

function next({ text, cursor }: Draft): number {
  return cursor >= text.length ? cursor : cursor + segmenter.segment(text).containing(cursor)!.segment.length;
}

function lineStart({ text, cursor }: Draft): number {
  return cursor === 0 ? 0 : text.lastIndexOf('\n', cursor - 1) + 1;
}

function lineEnd({ text, cursor }: Draft): number {
  const at = text.indexOf('\n', cursor);
  return at === -1 ? text.length : at;
}

function wordStart({ text, cursor }: Draft): number {
  const [word = ''] = /[\p{L}\p{N}\p{M}_]*[^\p{L}\p{N}\p{M}_]*$/u.exec(text.slice(0, cursor)) ?? [];
  // a word may begin inside a grapheme, with a mark on an emoji
  return segmenter.segment(text).containing(cursor - word.length)?.index ?? cursor;
}

function wordEnd({ text, cursor }: Draft): number {
  const [word = ''] = /^[^\p{L}\p{N}\p{M}_]*[\p{L}\p{N}\p{M}_]*/u.exec(text.slice(cursor)) ?? [];
  return snapped({ text, cursor: cursor + word.length }).cursor;
}
