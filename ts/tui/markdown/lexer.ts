/**
 * Markdown as it is read here, in the terminal and on the page. Where CommonMark lets what comes much later change the
 * meaning of a mark, that mark is a character: text that streams could not be shown before its end.
 */
import { Lexer, Tokenizer, type Token, type Tokens } from 'marked';

/**
 * Deeper than anybody writes: marks of quotes, lists, emphasis and links nested deeper are characters. How deep a parser
 * can go otherwise depends on how much stack is left, which differs from one drawing of the same text to the next.
 */
export const deepest = 12;

class Reader extends Tokenizer {
  private depth = 0;

  override blockquote(src: string): Tokens.Blockquote | undefined {
    return this.nested(() => super.blockquote(src));
  }

  override list(src: string): Tokens.List | undefined {
    return this.nested(() => super.list(src));
  }

  override link(src: string): Tokens.Link | Tokens.Image | undefined {
    return this.nested(() => super.link(src));
  }

  /** `*` inside a word is a mark only where it closes before the word ends: `re*write*`, not `2*3 and 4*5`. */
  override emStrong(src: string, masked: string, before = ''): Tokens.Em | Tokens.Strong | undefined {
    const token = this.nested(() => super.emStrong(src, masked, before));
    const [run] = /^\*+/.exec(src) ?? [];
    if (run === undefined || !insideWord(before) || (token && !/\s/.test(token.raw))) return token;
    // the whole run, or the second of two asterisks would be looked at alone
    return { type: 'text', raw: run, text: run } as Tokens.Text as never;
  }

  /** Two tildes strike out; one is about. */
  override del(src: string, masked: string, before?: string): Tokens.Del | undefined {
    return src.startsWith('~~') ? this.nested(() => super.del(src, masked, before)) : undefined;
  }

  /** Addresses that are told somewhere else are looked up nowhere. */
  override reflink(src: string): Tokens.Link | Tokens.Image | Tokens.Text | undefined {
    return super.reflink(src, {});
  }

  /** What `read` takes apart, unless that is inside too many others. */
  private nested<T>(read: () => T | undefined): T | undefined {
    if (this.depth === deepest) return undefined;
    this.depth += 1;
    try {
      return read();
    } finally {
      this.depth -= 1;
    }
  }
}

const settings = { gfm: true, tokenizer: new Reader() };

/** Whether what follows `before` goes on in the middle of a word. */
export const insideWord = (before: string): boolean => /[\p{L}\p{N}]$/u.test(before);

/** The tokens of a whole text. */
export const tokensOf = (source: string): Token[] => new Lexer(settings).lex(source);

/** Its block tokens; their inline parts are not looked at. */
export const blockTokensOf = (source: string): Token[] => new Lexer(settings).blockTokens(source, []);
