/** Which model and which text a command line means: flags, words and stdin. */
import { fstatSync, type Stats } from 'node:fs';
import { text as readAll } from 'node:stream/consumers';
import type { Context } from '../context.js';
import { UsageError } from '../errors.js';
import type { OptionValues } from '../options.js';
import { defaultModel } from '../store/cards.js';

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

/** The prompt to answer once; `undefined` for a chat, which needs a terminal on both sides. */
export async function promptOf(text: string | undefined, context: Context): Promise<string | undefined> {
  const { stdin, stdout } = context;
  if (text === '-') return nonEmpty(await piped(context), 'stdin');
  if (text !== undefined) {
    const before = holdsText(stdin) ? await piped(context) : '';
    return before.trim() === '' ? nonEmpty(text, '--prompt') : `${before}\n\n${text}`;
  }
  if (stdin.isTTY && stdout.isTTY) return undefined;
  return nonEmpty(await piped(context), 'stdin');
}

async function piped({ stdin }: Context): Promise<string> {
  if (stats(stdin)?.isDirectory()) {
    throw new UsageError('stdin is a folder', 'give the text with --prompt');
  }
  return (await readAll(stdin)).replace(/\r?\n$/, '');
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
