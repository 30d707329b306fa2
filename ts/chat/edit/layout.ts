/** From an editor's state to the rows of a terminal: wrapped by display width, hostile text made visible. */
import stringWidth from 'string-width';
import { sanitise } from '../../sanitise.js';
import { graphemes } from './buffer.js';
import { found, type EditorState } from './editor.js';

export interface Prompt {
  readonly text: string;
  /** `text` as it is written, with its colour. */
  readonly painted: string;
}

/** What to draw, and where the cursor goes. */
export interface Layout {
  readonly rows: readonly string[];
  /** Columns that each row takes. */
  readonly widths: readonly number[];
  readonly row: number;
  readonly column: number;
}

/** The whole input on a screen of `columns`; a row is never wider than that. */
export function layOut(state: EditorState, prompt: Prompt, columns: number): Layout {
  const shown = state.search ? searchView(state) : { prompt, ...state.draft };
  const rows = [shown.prompt.painted];
  const widths = [stringWidth(shown.prompt.text)];
  let offset = 0;
  let cursor = { row: 0, column: widths[0]! };
  const wrap = () => {
    rows.push('');
    widths.push(0);
  };
  for (const grapheme of graphemes(shown.text)) {
    if (offset === shown.cursor) cursor = { row: rows.length - 1, column: widths.at(-1)! };
    offset += grapheme.length;
    if (grapheme === '\n' || grapheme === '\r\n') {
      wrap();
      continue;
    }
    // a mark such as <U+202E> may be wider than what is left, so it goes piece by piece
    for (const piece of graphemes(grapheme === '\t' ? '    ' : sanitise(grapheme))) {
      const width = stringWidth(piece);
      if (widths.at(-1)! + width > columns) wrap();
      rows[rows.length - 1] += piece;
      widths[widths.length - 1]! += width;
    }
  }
  if (offset <= shown.cursor) cursor = { row: rows.length - 1, column: widths.at(-1)! };
  if (cursor.column >= columns) {
    if (cursor.row === rows.length - 1) wrap();
    cursor = { row: cursor.row + 1, column: 0 };
  }
  return { rows, widths, ...cursor };
}

/** The part of a layout that fits on a screen of `height` rows: the rows around the cursor. */
export function visible(layout: Layout, height: number): Layout {
  const { rows, widths, row, column } = layout;
  if (rows.length <= height) return layout;
  const first = Math.max(0, Math.min(row - Math.floor(height / 2), rows.length - height));
  const part = [first, first + height] as const;
  return { rows: rows.slice(...part), widths: widths.slice(...part), row: row - first, column };
}

/** What stays on the screen of an input that was sent: a long one is folded. */
export function folded(layout: Layout, height: number): Layout {
  const { rows, widths } = layout;
  const kept = Math.min(height, 12);
  if (rows.length <= kept) return { ...layout, row: rows.length - 1, column: widths.at(-1)! };
  const head = Math.max(1, kept - 2);
  const note = `[… ${rows.length - head} more rows]`;
  return {
    rows: [...rows.slice(0, head), note],
    widths: [...widths.slice(0, head), stringWidth(note)],
    row: head,
    column: stringWidth(note),
  };
}

function searchView(state: EditorState) {
  const { query } = state.search!;
  const match = found(state);
  const text = `(${match === undefined && query !== '' ? 'not found' : 'search'}) ${sanitise(query)}: `;
  const entry = match ?? '';
  const at = entry.indexOf(query);
  return { prompt: { text, painted: text }, text: entry, cursor: at === -1 ? 0 : at };
}
