/** One message and its reply: from a conversation to the conversation with one turn more. */
import { messagesFor, withTurn } from '../chat/conversation.js';
import { ApiError, streamReply, type Progress } from './api.js';
import type { Reply } from './state/app-state.js';
import type { Entry, TurnStats } from './state/library.js';
import type { PageSettings } from './state/settings.js';

export interface Message {
  readonly entry: Entry;
  readonly text: string;
  readonly settings: PageSettings;
  /** Off: every message stands alone. */
  readonly history: boolean;
  /** Aborting it ends the reply; what was said until then counts as said. */
  readonly signal: AbortSignal;
}

/** The reply as it grows, and at last the entry that holds it; throws when it fails. */
export async function* converse(message: Message): AsyncGenerator<Reply | { readonly done: Entry }> {
  const { entry, text, settings, history, signal } = message;
  const start = performance.now();
  let first: number | undefined;
  let reply: Reply = {
    entry,
    user: text,
    text: '',
    stats: { tokens: 0, ttftMs: 0, tokensPerSecond: 0 },
    queued: 0,
    started: false,
  };
  yield reply;
  try {
    const messages = messagesFor({ ...entry.conversation, history }, text);
    for await (const progress of streamReply(messages, settings.sampling, signal)) {
      if (progress.text !== '') first ??= performance.now();
      reply = { ...reply, text: progress.text, queued: progress.queued ?? 0, started: first !== undefined };
      if (first !== undefined) reply = { ...reply, stats: statsOf(progress, first - start, start) };
      yield reply;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  if (reply.text === '') {
    if (signal.aborted) return;
    throw new ApiError('The model ended its reply before it said anything', 200, 'empty_reply', emptyHint);
  }
  yield { done: withReply(signal.aborted ? stopped(reply) : reply) };
}

const emptyHint = 'try again with a higher temperature, or change the message';

/** The reply with a mark that it is not whole. */
export function stopped(reply: Reply): Reply {
  return { ...reply, stats: { ...reply.stats, stopped: true } };
}

/** The entry with the reply as far as it has come. */
export function withReply({ entry, user, text, stats }: Reply): Entry {
  const conversation = withTurn(entry.conversation, user, text);
  const turn = conversation.head ?? -1;
  return { ...entry, updated: Date.now(), conversation, stats: { ...entry.stats, [turn]: stats } };
}

/** The server's figures; until they come, the page's own clock. */
function statsOf(progress: Progress, ttftMs: number, start: number): TurnStats {
  const { tokens, promptTokens, droppedTurns } = progress;
  const seconds = (performance.now() - start) / 1000;
  return {
    tokens,
    ttftMs: progress.ttftMs ?? ttftMs,
    tokensPerSecond: progress.tokensPerSecond ?? (seconds > 0 ? tokens / seconds : 0),
    ...(promptTokens === undefined ? {} : { promptTokens }),
    ...(droppedTurns === undefined ? {} : { droppedTurns }),
  };
}
