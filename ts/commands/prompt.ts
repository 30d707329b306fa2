/** Which model and which text a command line means: flags, words and stdin. */
import { isUtf8 } from 'node:buffer';
import { fstatSync, type Stats } from 'node:fs';
import type { Context } from '../context.js';
import { AxllmError, UsageError } from '../errors.js';
import type { OptionValues } from '../options.js';
import { defaultModel } from '../store/cards.js';
import type { Log } from '../terminal.js';

/** What the words after `axllm` say; `text` is `-` where stdin is meant. */
export interface Wanted {
  readonly model: string;
  readonly text: string | undefined;
}

/** The first word is the model, unless `--model` names it; the others are the prompt, unless `--prompt` is. */
export function readWords(words: readonly string[], values: OptionValues, modelIsFlag: boolean): Wanted {
  const [first, ...others] = words;
  const model = modelIsFlag ? values.model : (first ?? values.model);
  const rest = modelIsFlag ? words : others;
  if (rest.length > 0 && values.prompt !== undefined) {
    throw new UsageError(
      `both --prompt and ${JSON.stringify(rest.join(' '))} are prompts`,
      'give one of the two; a prompt of several words needs quotes',
    );
  }
  return { model: model ?? defaultModel, text: rest.length > 0 ? rest.join(' ') : values.prompt };
}

/** More than any context holds, and few enough to hold in memory. */
const longest = 4 * 2 ** 20;

/**
 * The prompt to answer once; `undefined` for a chat, which needs a terminal on both sides; empty where nobody said
 * anything: a chat that ends before it begins.
 */
export async function promptOf(
  text: string | undefined,
  context: Context,
  log: Log,
): Promise<string | undefined> {
  const { stdin, stdout } = context;
  if (text === '-') return nonEmpty(await piped(context, log), 'stdin');
  if (text !== undefined) {
    const before = holdsText(stdin) ? await piped(context, log) : '';
    return before.trim() === '' ? nonEmpty(text, '--prompt') : `${before}\n\n${text}`;
  }
  if (stdin.isTTY && stdout.isTTY) return undefined;
  const said = await piped(context, log);
  return said.trim() === '' ? '' : said;
}

async function piped({ stdin }: Context, log: Log): Promise<string> {
  if (stats(stdin)?.isDirectory()) {
    throw new UsageError('stdin is a folder', 'give the text with --prompt');
  }
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of stdin as AsyncIterable<Buffer>) {
    pieces.push(piece);
    length += piece.length;
    if (length > longest) {
      throw new AxllmError('prompt_too_long', `stdin holds more than ${longest} bytes`, {
        hint: 'no model reads that much at once: give it a part',
      });
    }
  }
  const bytes = Buffer.concat(pieces);
  if (!isUtf8(bytes)) log.warning('stdin is not UTF-8: what is not text became U+FFFD');
  return new TextDecoder().decode(bytes).replace(/\r?\n$/, '');
}

/**
 * Whether stdin goes before a prompt that is given. Only a pipe or a file of a shell does: a program that
 * starts this one may leave a socket or a device open for ever.
 */
function holdsText(stdin: NodeJS.ReadStream): boolean {
  const kind = stats(stdin);
  return kind !== undefined && (kind.isFIFO() || kind.isFile());
}

function stats(stdin: NodeJS.ReadStream): Stats | undefined {
  try {
    return fstatSync((stdin as { fd?: number }).fd ?? 0);
  } catch {
    return undefined;
  }
}

function nonEmpty(text: string, where: string): string {
  if (text.trim() !== '') return text;
  throw new UsageError(
    `${where} holds no prompt`,
    'give one with --prompt TEXT, or start a chat in a terminal',
  );
}
