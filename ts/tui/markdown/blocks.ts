/** Cuts Markdown that is still growing into blocks that are finished and one open tail. */
import { Lexer, type Token } from 'marked';

/** A piece of Markdown that will not change any more. */
export interface Block {
  readonly source: string;
  /** Goes on where the block before it was cut for its length: no blank line between. */
  readonly joined: boolean;
}

/** Finished blocks and the rest. */
export interface Blocks {
  readonly finished: readonly Block[];
  readonly tail: Block;
  /** Characters of the text that have been looked at. */
  readonly length: number;
}

/** A tail longer than this is cut, so that one endless paragraph cannot make drawing slow. */
const longestTail = 6000;

export const noBlocks: Blocks = { finished: [], tail: { source: '', joined: false }, length: 0 };

/** The block tokens of `source`; their inline parts are not looked at. */
function tokensOf(source: string): Token[] {
  return new Lexer({ gfm: true }).blockTokens(source, []);
}

/** `blocks` with `more` after it. A block is finished once the first line of the next one is complete. */
export function grow(blocks: Blocks, more: string): Blocks {
  const length = blocks.length + more.length;
  const finished = [...blocks.finished];
  let { source, joined } = blocks.tail;
  source += more;
  const newline = source.lastIndexOf('\n');
  // a newline among what was there has been looked at already
  if (newline >= source.length - more.length) {
    const tokens = tokensOf(source.slice(0, newline + 1));
    while (tokens.at(-1)?.type === 'space') tokens.pop();
    for (const token of tokens.slice(0, -1)) {
      if (token.type !== 'space') finished.push({ source: token.raw, joined });
      joined = token.type === 'space' ? joined : false;
      source = source.slice(token.raw.length);
    }
  }
  while (source.length > longestTail) {
    const [head, rest] = split(source);
    finished.push({ source: head, joined });
    source = rest;
    joined = true;
  }
  return { finished, tail: { source, joined }, length };
}

/** Cuts a long tail: at a newline or a space where there is one; a code block is closed and opened again. */
function split(source: string): [string, string] {
  const fence = /^ {0,3}(`{3,}|~{3,})[^\n]*\n/.exec(source);
  const half = longestTail / 2;
  const candidates = [source.lastIndexOf('\n', half), source.lastIndexOf(' ', half), half - 1];
  const least = (fence?.[0].length ?? 0) + 1;
  let at = (candidates.find((place) => place >= least) ?? half - 1) + 1;
  // never between the halves of a surrogate pair
  if (/[\ud800-\udbff]/.test(source[at - 1]!)) at -= 1;
  const head = source.slice(0, at);
  const rest = source.slice(at);
  return fence ? [`${head.replace(/\n$/, '')}\n${fence[1]!}`, fence[0] + rest] : [head, rest];
}
