/** A model that says what it was told, in pieces; everything above the engine is real. */
import { Model } from '../../ts/model.js';
import type { Message, NativeModel, NativeReply, NativeSession } from '../../ts/native.js';
import { result } from './tui_states.js';

export function echoModel(chunk: number, everyMs = 0): Model {
  const reply = (messages: readonly Message[]): NativeReply => {
    const text = messages.at(-1)?.content ?? '';
    let at = 0;
    let cancelled = false;
    return {
      async next() {
        if (cancelled || at >= text.length) return null;
        if (everyMs > 0) await new Promise((done) => setTimeout(done, everyMs));
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
      pipeline: 'transformers',
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
