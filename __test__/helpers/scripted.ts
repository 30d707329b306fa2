/** A session whose replies are known beforehand, in pieces; everything above the engine is real. */
import type { Message, NativeReply, NativeSession } from '../../ts/native.js';
import { result } from './tui_states.js';

export interface Manner {
  /** Characters in a piece, which counts as a token. */
  readonly chunk: number;
  /** A piece comes so often, by the clock; what a timer comes late does not add up. */
  readonly everyMs?: number;
  /** Called before each piece, with its number; what it throws ends the reply. */
  readonly onPiece?: (piece: number) => void;
}

/** `answer` says what is replied to the messages. */
export function scriptedSession(
  answer: (messages: readonly Message[]) => string,
  { chunk, everyMs = 0, onPiece }: Manner,
): NativeSession {
  const reply = (messages: readonly Message[]): NativeReply => {
    const text = answer(messages);
    let piece = 0;
    let cancelled = false;
    let started: number | undefined;
    return {
      async next() {
        const at = piece * chunk;
        if (cancelled || at >= text.length) return null;
        piece += 1;
        if (everyMs > 0) {
          started ??= performance.now();
          const wait = Math.max(0, started + piece * everyMs - performance.now());
          await new Promise((done) => setTimeout(done, wait));
        }
        onPiece?.(piece);
        return { text: text.slice(at, at + chunk), tokens: 1 };
      },
      cancel: () => void (cancelled = true),
      result: () => ({ ...result, finishReason: cancelled ? 'cancelled' : 'stop' }),
    } as NativeReply;
  };
  return { reply, reset: () => undefined, dispose: () => undefined } as unknown as NativeSession;
}
