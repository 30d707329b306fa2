/** A model that says what it was told, in pieces; everything above the engine is real. */
import { AxllmError } from '../../ts/errors.js';
import { Model } from '../../ts/model.js';
import type { Message, NativeModel, NativeReply, NativeSession } from '../../ts/native.js';
import { result } from './tui_states.js';

interface Manner {
  readonly everyMs?: number;
  /** A device answers one request at a time. */
  readonly pipeline?: 'transformers' | 'transformers-aipu';
  /** Fails after so many pieces. */
  readonly failsAfter?: number;
}

export function echoModel(chunk: number, manner: Manner = {}): Model {
  const { everyMs = 0, pipeline = 'transformers', failsAfter = Infinity } = manner;
  const reply = (messages: readonly Message[]): NativeReply => {
    const text = messages.at(-1)?.content ?? '';
    let at = 0;
    let cancelled = false;
    return {
      async next() {
        if (cancelled || at >= text.length) return null;
        if (everyMs > 0) await new Promise((done) => setTimeout(done, everyMs));
        if (at >= failsAfter * chunk) throw new AxllmError('device_failed', 'The device stopped answering');
        const part = text.slice(at, at + chunk);
        at += chunk;
        return { text: part, tokens: 1 };
      },
      cancel: () => void (cancelled = true),
      result: () => ({ ...result, finishReason: cancelled ? 'cancelled' : 'stop' }),
    } as NativeReply;
  };
  const session = { reply, reset: () => undefined, dispose: () => undefined } as unknown as NativeSession;
  const native = {
    info: {
      pipeline,
      device: 'cpu',
      vocabSize: 256,
      embeddingDim: 8,
      contextLength: 1_000_000,
      isa: 'scalar',
      threads: 1,
      notes: [],
    },
    session: () => session,
    countTokens: (text: string) => text.length,
    tokenize: (text: string) => Array.from(text, (_, at) => at),
    dispose: () => undefined,
  } as unknown as NativeModel;
  return new Model(native, undefined);
}
