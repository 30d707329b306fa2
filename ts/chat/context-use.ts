/** How the context is spent: counted as the engine's planner counts, the template's own tokens left out. */
import type { ModelInfo } from '../native.js';
import { branch, type Conversation, type Turn } from './conversation.js';

/** What a count needs of a model. */
export interface TokenCounter {
  readonly info: ModelInfo;
  /** Tokens kept free for the reply. */
  readonly responseSpace: number;
  countTokens(text: string): number;
}

/** Tokens of each part; `system + history + message + reserve` is at most `total` unless the message is too long. */
export interface ContextUse {
  readonly total: number;
  readonly system: number;
  /** Earlier turns that still fit. */
  readonly history: number;
  readonly message: number;
  /** Kept free for the reply. */
  readonly reserve: number;
  /** Earlier turns, the oldest, that the model will not see. */
  readonly droppedTurns: number;
}

/** A function that counts; it remembers the counts of turns, so that calling it on each key is cheap. */
export function contextMeter(model: TokenCounter) {
  const known = new WeakMap<Turn, number>();
  const tokensOf = (turn: Turn): number => {
    let tokens = known.get(turn);
    if (tokens === undefined) {
      tokens = model.countTokens(turn.user) + model.countTokens(turn.assistant);
      known.set(turn, tokens);
    }
    return tokens;
  };
  return (conversation: Conversation, draft = ''): ContextUse => {
    const total = model.info.contextLength;
    const reserve = model.responseSpace;
    const system = model.countTokens(conversation.system ?? '');
    const message = model.countTokens(draft);
    const turns = conversation.history ? branch(conversation) : [];
    const room = total - reserve - system - message;
    let history = 0;
    let seen = 0;
    for (const turn of turns.toReversed()) {
      const tokens = tokensOf(turn);
      if (history + tokens > room) break;
      history += tokens;
      seen += 1;
    }
    return { total, system, history, message, reserve, droppedTurns: turns.length - seen };
  };
}

/** The reference's rule: what a card says, else an eighth of the context, at least 32 and at most 128. */
export function responseSpace(contextLength: number, ofCard: number | undefined): number {
  return ofCard ?? Math.min(128, Math.max(32, Math.floor(contextLength / 8)));
}
