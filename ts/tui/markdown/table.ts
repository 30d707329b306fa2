/** Tables: columns as wide as their text, narrowed in turn where the screen is too small. */
import type { Tokens } from 'marked';
import { fit, lineWidth, span, type Line, type Span, type Style } from '../cells.js';
import { wrap } from '../wrap.js';
import { tokenSpans } from './inline.js';

const least = 3;
const edge: Style = { role: 'muted' };

/** The rows of a table within `width`; where not even narrow columns fit, one cell a line. */
export function tableLines(table: Tokens.Table, width: number, style: Style): Line[] {
  const head = table.header.map((cell) => tokenSpans(cell.tokens, { ...style, bold: true }));
  const rows = table.rows.map((row) => row.map((cell) => tokenSpans(cell.tokens, style)));
  const columns = columnWidths([head, ...rows], width);
  if (!columns) return listed(head, rows, width);
  const line = (cells: readonly (readonly Span[])[]) => rowLines(cells, columns, table.align);
  const rule = columns.map((size) => '─'.repeat(size + 2)).join('┼');
  return [...line(head), [span(rule, edge)], ...rows.flatMap(line)];
}

/** Takes from the widest column until all fit; `undefined` when they can't. */
function columnWidths(rows: readonly (readonly Span[][])[], width: number): number[] | undefined {
  const count = rows[0]?.length ?? 0;
  const sizes = Array.from({ length: count }, (_, column) =>
    Math.max(1, ...rows.map((row) => lineWidth(row[column] ?? []))),
  );
  const room = width - 3 * count + 1;
  if (room < count * least && sizes.reduce((sum, size) => sum + size, 0) > room) return undefined;
  for (let total = sizes.reduce((sum, size) => sum + size, 0); total > room;) {
    const widest = Math.max(...sizes);
    const second = Math.max(least, ...sizes.filter((size) => size < widest));
    const same = sizes.filter((size) => size === widest).length;
    const take = Math.max(1, Math.min(widest - second, Math.ceil((total - room) / same)));
    for (let i = 0; i < count && total > room; i += 1) {
      if (sizes[i] !== widest) continue;
      const taken = Math.min(take, total - room);
      sizes[i]! -= taken;
      total -= taken;
    }
  }
  return sizes;
}

function rowLines(
  cells: readonly (readonly Span[])[],
  widths: readonly number[],
  align: Tokens.Table['align'],
): Line[] {
  const wrapped = widths.map((size, column) => wrap(cells[column] ?? [], size));
  const height = Math.max(...wrapped.map((lines) => lines.length));
  return Array.from({ length: height }, (_, row) =>
    widths.flatMap((size, column) => {
      const text = aligned(wrapped[column]![row] ?? [], size, align[column] ?? null);
      return [span(column === 0 ? ' ' : '│ ', edge), ...text, span(' ', edge)];
    }),
  );
}

function aligned(line: Line, size: number, align: 'center' | 'left' | 'right' | null): Line {
  const missing = Math.max(0, size - lineWidth(line));
  const before = align === 'right' ? missing : align === 'center' ? Math.floor(missing / 2) : 0;
  return fit(before > 0 ? [span(' '.repeat(before)), ...line] : line, size);
}

function listed(head: Span[][], rows: Span[][][], width: number): Line[] {
  return rows.flatMap((row) => [
    ...row.flatMap((cell, column) => wrap([...(head[column] ?? []), span(': ', edge), ...cell], width)),
    [span('─'.repeat(Math.max(1, width)), edge)],
  ]);
}
