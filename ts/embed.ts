/** Texts as vectors: {@link Model.embed}, and its parts for those who wait for a turn between groups of inputs. */
import { guard, type NativeModel } from './native.js';

/** What is to be embedded: a text, or token ids as they are. */
export type EmbedInput = string | readonly number[];

/** Tokens of inputs that go together: enough to fill some steps, few enough that others need not wait for long. */
const groupTokens = 512;

/** Inputs one after the other, as many as go together; one that is longer stands alone. */
export function* groupsOf(inputs: readonly Uint32Array[]): Generator<Uint32Array[]> {
  let group: Uint32Array[] = [];
  let tokens = 0;
  for (const input of inputs) {
    if (group.length > 0 && tokens + input.length > groupTokens) {
      yield group;
      group = [];
      tokens = 0;
    }
    group.push(input);
    tokens += input.length;
  }
  if (group.length > 0) yield group;
}

/** The token ids of each input, all of them checked; `truncate`: of what is too long, the beginning. */
export function embeddingTokens(
  native: NativeModel,
  inputs: readonly EmbedInput[],
  truncate: boolean,
): Promise<Uint32Array[]> {
  const given = inputs.map((input) => (typeof input === 'string' ? input : Uint32Array.from(input)));
  return guard(() => native.embeddingTokens(given, truncate));
}

/** A vector for each of some token ids; an aborted signal ends it within one step and throws its reason. */
export async function embedTokens(
  native: NativeModel,
  inputs: readonly Uint32Array[],
  signal: AbortSignal | undefined,
): Promise<Float32Array[]> {
  signal?.throwIfAborted();
  const embedding = guard(() => native.embed([...inputs]));
  const abort = () => embedding.cancel();
  signal?.addEventListener('abort', abort, { once: true });
  try {
    return await guard(() => embedding.vectors());
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', abort);
    // also keeps the object until here: once it is collected, nobody is there to be answered
    embedding.cancel();
  }
}
