/** A model that says what it was told, in pieces. */
import { AxllmError } from '../../ts/errors.js';
import { Model } from '../../ts/model.js';
import type { NativeModel } from '../../ts/native.js';
import { scriptedSession } from './scripted.js';

interface Manner {
  readonly everyMs?: number;
  /** A device answers one request at a time. */
  readonly pipeline?: 'transformers' | 'transformers-aipu';
  /** Fails after so many pieces. */
  readonly failsAfter?: number;
}

export function echoModel(chunk: number, manner: Manner = {}): Model {
  const { everyMs = 0, pipeline = 'transformers', failsAfter = Infinity } = manner;
  const session = scriptedSession((messages) => messages.at(-1)?.content ?? '', {
    chunk,
    everyMs,
    onPiece(piece) {
      if (piece > failsAfter) throw new AxllmError('device_failed', 'The device stopped answering');
    },
  });
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
