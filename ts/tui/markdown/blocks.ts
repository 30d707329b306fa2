/** Cuts Markdown that is still growing into blocks that are finished and one open tail. */
import { blockTokensOf } from './lexer.js';

/** A piece of Markdown. */
export interface Block {
  readonly source: string;
  /** Goes on where the block before it was cut for its length: no blank line between. */
  readonly joined: boolean;
  /** A code block that goes on: it has its label already. */
  readonly reopened: boolean;
}

/** A tail longer than this is cut, so that one endless paragraph cannot make drawing slow. */
const longestTail = 6000;

/** `text` with memory of its own: a slice would keep the whole alive that it was cut from, for as long as a line of it. */
const copy = (text: string) => ` ${text}`.slice(1);

/** What surrounds a part of a code block that was cut for its length. */
interface Fence {
  readonly before: string;
  readonly after: string;
}

const noFence: Fence = { before: '', after: '' };

/**
 * The blocks of one text that only grows. Of each finished block its end in the text is kept, a number, and not a
 * string: that would be as much as the text itself, and keep alive what it was cut from.
 */
export class Blocks {
  /** Ends, twice, and one more where the block is joined. */
  private readonly ends: number[] = [];
  private readonly fences = new Map<number, Fence>();
  private tailFence = '';
  private tailJoined = false;
  private length = 0;

  /** How many are finished. */
  get count(): number {
    return this.ends.length;
  }

  /** A finished block of `text`, which is what was given to `grow` last. */
  at(index: number, text: string): Block {
    const { before, after } = this.fences.get(index) ?? noFence;
    const source = copy(before + text.slice(this.end(index - 1), this.end(index)) + after);
    return { source, joined: (this.ends[index]! & 1) === 1, reopened: before !== '' };
  }

  /** What is left of `text`. */
  tail(text: string): Block {
    const source = copy(this.tailFence + text.slice(this.end(this.count - 1)));
    return { source, joined: this.tailJoined, reopened: this.tailFence !== '' };
  }

  /** `text` begins with what was given before. A block is finished once the first line of the next one is complete. */
  grow(text: string): void {
    const hasNewline = text.includes('\n', this.length);
    this.length = text.length;
    // a newline among what was there has been looked at already
    if (hasNewline) this.finish(text);
    for (let { source } = this.tail(text); source.length > longestTail; { source } = this.tail(text)) {
      const [at, open, close] = split(source);
      this.fences.set(this.count, { before: this.tailFence, after: close });
      this.add(this.end(this.count - 1) + at - this.tailFence.length);
      this.tailFence = open;
      this.tailJoined = true;
    }
  }

  private end(index: number): number {
    return index < 0 ? 0 : Math.floor(this.ends[index]! / 2);
  }

  private add(end: number): void {
    this.ends.push(2 * end + (this.tailJoined ? 1 : 0));
  }

  private finish(text: string): void {
    const { source } = this.tail(text);
    const tokens = blockTokensOf(source.slice(0, source.lastIndexOf('\n') + 1));
    while (tokens.at(-1)?.type === 'space') tokens.pop();
    let end = this.end(this.count - 1) - this.tailFence.length;
    for (const token of tokens.slice(0, -1)) {
      end += token.raw.length;
      if (token.type === 'space') continue;
      if (this.tailFence !== '') this.fences.set(this.count, { before: this.tailFence, after: '' });
      this.add(end);
      this.tailFence = '';
      this.tailJoined = false;
    }
  }
}

/** Where to cut a long tail: at a newline or a space where there is one; a code block is closed and opened again. */
function split(source: string): [at: number, open: string, close: string] {
  const fence = /^\s*? {0,3}(`{3,}|~{3,})[^\n]*\n/.exec(source);
  const half = longestTail / 2;
  const candidates = [source.lastIndexOf('\n', half), source.lastIndexOf(' ', half), half - 1];
  const least = (fence?.[0].length ?? 0) + 1;
  let at = (candidates.find((place) => place >= least) ?? half - 1) + 1;
  // never between the halves of a surrogate pair
  if (/[\ud800-\udbff]/.test(source[at - 1]!)) at -= 1;
  if (!fence) return [at, '', ''];
  return [at, fence[0].trimStart(), `${source[at - 1] === '\n' ? '' : '\n'}${fence[1]!}`];
}
