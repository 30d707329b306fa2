/** The lines of a growing Markdown text: finished blocks are laid out once, the open tail at each drawing. */
import type { Line } from '../cells.js';
import { Blocks, type Block } from './blocks.js';
import { markdownLines } from './layout.js';
import { settled } from './tail.js';

/** Blocks whose lines are kept; the others' are made again when they come into view. */
const keptBlocks = 100;

interface Placed {
  readonly width: number;
  readonly lines: readonly Line[];
}

/** By the number of the text and that of the block in it. */
const kept = new Map<number, Placed>();
const mostBlocks = 2 ** 20;
let texts = 0;

/** A text in blocks, and the rows of each at the last width asked for; the text itself is its caller's alone. */
class Laid {
  readonly blocks = new Blocks();
  private readonly number = mostBlocks * (texts += 1);
  private rows: number[] = [];
  private width = 0;
  /** How much of the text is in the blocks. */
  length = 0;
  /** The open tail as it was drawn last: a frame asks several times. */
  private drawn: Placed & { readonly length: number } = { length: 0, width: 0, lines: [] };

  lines(index: number, text: string, width: number): readonly Line[] {
    const key = this.number + index;
    const found = kept.get(key);
    if (found?.width === width) {
      kept.delete(key);
      kept.set(key, found);
      return found.lines;
    }
    // after the last finished block, what is left of a text that does not grow any more
    const isTail = index === this.blocks.count;
    const block = isTail ? this.blocks.tail(text) : this.blocks.at(index, text);
    const lines = spaced(block, block.source, width);
    kept.set(key, { width, lines });
    if (kept.size > keptBlocks) kept.delete(kept.keys().next().value!);
    return lines;
  }

  height(index: number, text: string, width: number): number {
    if (width !== this.width) this.rows = [];
    this.width = width;
    return (this.rows[index] ??= this.lines(index, text, width).length);
  }

  /** Marks that are open are closed for the eye, and those that may become one wait: none shows and vanishes. */
  openTail(text: string, width: number): readonly Line[] {
    if (this.drawn.length !== text.length || this.drawn.width !== width) {
      const block = this.blocks.tail(text);
      this.drawn = { length: text.length, width, lines: spaced(block, settled(block.source), width) };
    }
    return this.drawn.lines;
  }
}

/** The lines of a block, with a blank one above where it begins anew. */
function spaced({ joined, reopened }: Block, source: string, width: number): readonly Line[] {
  if (source.trim() === '') return [];
  const lines = markdownLines(source, width);
  if (joined || lines.length === 0) return reopened ? lines.slice(1) : lines;
  return [[], ...lines];
}

/** Texts whose blocks are kept; those of others are found again when seen. */
const keptDocuments = 50;
const documents = new Map<object, Laid>();

/** `text` in blocks; `key` stands for the message, and what was done for its earlier text is used again. */
function laidOf(key: object, text: string): Laid {
  let laid = documents.get(key);
  if (!laid || text.length < laid.length) laid = new Laid();
  if (laid.length < text.length) laid.blocks.grow(text);
  laid.length = text.length;
  documents.delete(key);
  documents.set(key, laid);
  if (documents.size > keptDocuments) documents.delete(documents.keys().next().value!);
  return laid;
}

/** A laid-out text: rows without lines, and lines where they are seen. */
export interface Document {
  readonly rows: number;
  /** Rows `from` to `to` (exclusive). */
  lines(from: number, to: number): Line[];
}

/** Lays `text` out; `grows` says that more may come. `key` stands for the message, whose text changes only at its end. */
export function documentOf(key: object, text: string, width: number, grows: boolean): Document {
  const laid = laidOf(key, text);
  const { count } = laid.blocks;
  const tail = grows ? laid.openTail(text, width) : undefined;
  const height = (index: number) => (index === count && tail ? tail.length : laid.height(index, text, width));
  let total = 0;
  for (let index = 0; index <= count; index += 1) total += height(index);
  // the first block has no blank line above it
  const skip = total > 0 ? 1 : 0;
  return {
    rows: total - skip,
    lines(from, to) {
      const found: Line[] = [];
      let row = -skip;
      for (let index = 0; index <= count && row < to; index += 1) {
        const rows = height(index);
        if (row + rows > from) {
          const lines = index === count && tail ? tail : laid.lines(index, text, width);
          found.push(...lines.slice(Math.max(0, from - row), to - row));
        }
        row += rows;
      }
      return found;
    },
  };
}
