/** Conversations as files: the format of the terminal's `/save`, one alone or several in a list. */
import { fromJson, toJson } from '../../chat/conversation-file.js';
import { AxllmError } from '../../errors.js';
import type { Conversation } from '../../chat/conversation.js';
import type { Entry } from './library.js';

/** The text of a file with `entries`; the one of a single entry is read by `/load` too. */
export function exported(entries: readonly Entry[], model: string): string {
  const files = entries.map(({ conversation, updated }) => toJson(conversation, model, new Date(updated)));
  if (files.length === 1) return files[0]!;
  return `[\n${files.map((file) => file.trimEnd()).join(',\n')}\n]\n`;
}

/** The conversations in a file's text; all of them, or an error that names the first bad one. */
export function imported(text: string, where: string): Conversation[] {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (cause) {
    throw new AxllmError('bad_conversation', `${where} is not a JSON file`, { cause });
  }
  if (!Array.isArray(content)) return [fromJson(text, where)];
  return content.map((each, at) => fromJson(JSON.stringify(each), `conversation ${at + 1} of ${where}`));
}
