/** The lines of a growing Markdown text: finished blocks are laid out once, the open tail at each drawing. */
import remend from 'remend';
import type { Line } from '../cells.js';
import { grow, noBlocks, type Block, type Blocks } from './blocks.js';
import { markdownLines } from './layout.js';
import { settled } from './tail.js';

/** Blocks whose lines are kept; the others' are made again when they come into view. */
const keptBlocks = 200;

interface Placed {
  readonly width: number;
  readonly lines: readonly Line[];
}

const kept = new Map<Block, Placed>();
/** Rows of a block at the last width asked for: all that is remembered of what is out of view. */
const heights = new WeakMap<Block, { readonly width: number; readonly rows: number }>();
/** Texts whose blocks are kept; of others only the number of rows is, and their blocks are found again when seen. */
const keptDocuments = 50;
const documents = new Map<object, { text: string; blocks: Blocks }>();
const totals = new WeakMap<
  object,
  { readonly text: string; readonly width: number; readonly rows: number }
>();

function linesOfBlock(block: Block, width: number): readonly Line[] {
  const found = kept.get(block);
  if (found?.width === width) {
    kept.delete(block);
    kept.set(block, found);
    return found.lines;
  }
  const own = markdownLines(block.source, width);
  const lines = block.joined || own.length === 0 ? own : [[], ...own];
  kept.set(block, { width, lines });
  heights.set(block, { width, rows: lines.length });
  if (kept.size > keptBlocks) kept.delete(kept.keys().next().value!);
  return lines;
}

function rowsOfBlock(block: Block, width: number): number {
  const known = heights.get(block);
  return known?.width === width ? known.rows : linesOfBlock(block, width).length;
}

/** The blocks of `text`; `key` stands for the message, and what was done for its earlier text is used again. */
function blocksOf(key: object, text: string): Blocks {
  const known = documents.get(key);
  if (known?.text === text) return known.blocks;
  const start = known && text.startsWith(known.text) ? known : { text: '', blocks: noBlocks };
  const blocks = grow(start.blocks, text.slice(start.text.length));
  documents.delete(key);
  documents.set(key, { text, blocks });
  if (documents.size > keptDocuments) documents.delete(documents.keys().next().value!);
  return blocks;
}

/** Marks that are open are closed for the eye, and those that may become one wait: none shows and vanishes. */
function tailLines({ source, joined }: Block, width: number): readonly Line[] {
  const shown = settled(source);
  if (shown.trim() === '') return [];
  const own = markdownLines(remend(shown, { linkMode: 'text-only' }), width);
  return joined || own.length === 0 ? own : [[], ...own];
}

/** What is left of a text that does not grow any more is a block like the others. */
const closedLines = (tail: Block, width: number) =>
  tail.source.trim() === '' ? [] : linesOfBlock(tail, width);

/** A laid-out text: rows without lines, and lines where they are seen. */
export interface Document {
  readonly rows: number;
  /** Rows `from` to `to` (exclusive). */
  lines(from: number, to: number): Line[];
}

/** The text that grows, for a frame asks several times. */
let latest: { key: object; text: string; width: number; document: Document } | undefined;

/** Lays `text` out; `open` says that it still grows. `key` stands for the message. */
export function documentOf(key: object, text: string, width: number, open: boolean): Document {
  const known = totals.get(key);
  if (!open && known?.width === width && known.text === text) {
    return { rows: known.rows, lines: (from, to) => made(key, text, width, false).lines(from, to) };
  }
  if (open && latest?.key === key && latest.text === text && latest.width === width) return latest.document;
  const document = made(key, text, width, open);
  if (open) latest = { key, text, width, document };
  else totals.set(key, { text, width, rows: document.rows });
  return document;
}

function made(key: object, text: string, width: number, open: boolean): Document {
  const { finished, tail } = blocksOf(key, text);
  const last = open ? tailLines(tail, width) : closedLines(tail, width);
  // the first block has no blank line above it
  const parts: { rows: number; lines: () => readonly Line[] }[] = [
    ...finished.map((block) => ({
      rows: rowsOfBlock(block, width),
      lines: () => linesOfBlock(block, width),
    })),
    { rows: last.length, lines: () => last },
  ];
  const total = parts.reduce((sum, { rows }) => sum + rows, 0);
  const skip = total > 0 ? 1 : 0;
  return {
    rows: total - skip,
    lines(from, to) {
      const found: Line[] = [];
      let row = -skip;
      for (const part of parts) {
        if (row >= to) break;
        if (row + part.rows > from) {
          found.push(...part.lines().slice(Math.max(0, from - row), to - row));
        }
        row += part.rows;
      }
      return found;
    },
  };
}
