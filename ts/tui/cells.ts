/** What the view is made of: styled spans in lines, measured and wrapped by display width. Knows no terminal. */
import stringWidth from 'string-width';

/** What a piece of text is; the theme decides how it looks. */
export type Role =
  | 'text'
  | 'muted'
  | 'accent'
  | 'user'
  | 'heading'
  | 'link'
  | 'code'
  | 'error'
  | 'warning'
  | 'keyword'
  | 'string'
  | 'number'
  | 'comment'
  | 'name'
  | 'system'
  | 'history'
  | 'message'
  | 'reserve';

/** How a piece of text is shown. */
export interface Style {
  readonly role?: Role;
  /** What it stands on: a bubble, a code block, a bar. */
  readonly ground?: 'user' | 'code' | 'bar' | 'panel' | 'chosen' | undefined;
  readonly bold?: boolean;
  readonly italic?: boolean;
  readonly underline?: boolean;
  readonly strike?: boolean;
  readonly inverse?: boolean;
  /** Where a link leads. */
  readonly href?: string;
}

export interface Span {
  readonly text: string;
  readonly style: Style;
}

/** One row of the screen. */
export type Line = readonly Span[];

export const plain: Style = {};

export const span = (text: string, style: Style = plain): Span => ({ text, style });

/**
 * Text of which each UTF-16 unit is a character of one column: ASCII, Latin, dashes and quotes, box drawing and blocks,
 * braille. Most text is, and is spared the segmenter.
 */
export const isSimple = (text: string): boolean =>
  /^[\u0020-\u007e\u00a1-\u00ac\u00ae-\u02ff\u2010-\u2015\u2018-\u2027\u2500-\u259f\u2800-\u28ff]*$/.test(
    text,
  );
const segmenter = new Intl.Segmenter(undefined, { granularity: 'grapheme' });
const widths = new Map<string, number>();

/** Columns of one grapheme cluster: 0, 1 or 2. */
function clusterWidth(cluster: string): number {
  let width = widths.get(cluster);
  if (width === undefined) {
    width = Math.min(2, stringWidth(cluster));
    if (widths.size > 5000) widths.clear();
    widths.set(cluster, width);
  }
  return width;
}

/** Columns that `text` takes. */
export function widthOf(text: string): number {
  if (isSimple(text)) return text.length;
  let width = 0;
  for (const { segment } of segmenter.segment(text)) width += clusterWidth(segment);
  return width;
}

export const lineWidth = (line: Line): number => line.reduce((sum, { text }) => sum + widthOf(text), 0);

/** The grapheme clusters of `text` with their widths. */
export function* clustersOf(text: string): Generator<readonly [string, number]> {
  if (isSimple(text)) for (const character of text) yield [character, 1];
  else for (const { segment } of segmenter.segment(text)) yield [segment, clusterWidth(segment)];
}

/** The text of a line, without its styles. */
export const textOf = (line: Line): string => line.map(({ text }) => text).join('');

/** `line` cut to `width` columns; what was cut is marked. */
export function cut(line: Line, width: number, mark = '…'): Line {
  if (lineWidth(line) <= width) return line;
  const room = Math.max(0, width - widthOf(mark));
  const kept: Span[] = [];
  let used = 0;
  for (const { text, style } of line) {
    let part = '';
    for (const [cluster, columns] of clustersOf(text)) {
      if (used + columns > room) return width > 0 ? [...kept, span(part, style), span(mark, style)] : [];
      part += cluster;
      used += columns;
    }
    kept.push(span(part, style));
  }
  return kept;
}

/** `line` cut or filled with blanks of `style` to exactly `width` columns. */
export function fit(line: Line, width: number, style: Style = plain): Line {
  const shown = cut(line, width);
  const missing = width - lineWidth(shown);
  return missing > 0 ? [...shown, span(' '.repeat(missing), style)] : shown;
}

/** A line with `left` at its left end and `right` at its right end; `right` goes first where room is short. */
export function spread(left: Line, right: Line, width: number, style: Style = plain): Line {
  const used = lineWidth(right);
  if (lineWidth(left) + used + 1 > width) return fit(left, width, style);
  return [...fit(left, width - used, style), ...right];
}
