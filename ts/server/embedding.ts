/** One request's vectors: its inputs group by group, each in a turn of its own, so that chats get theirs in between. */
import { groupsOf, type EmbedInput } from '../embed.js';
import { AxllmError } from '../errors.js';
import type { Identity } from './access.js';
import { HttpError, asHttpError } from './http-error.js';
import type { Metrics } from './metrics.js';
import type { Ready } from './served.js';

/** OpenAI's own limits of a request. */
export const mostInputs = 2048;
const mostTokens = 300_000;

/** Inputs that shall become vectors. */
export interface EmbedAsk {
  readonly ready: Ready;
  readonly inputs: readonly EmbedInput[];
  /** What the client calls the input with this index. */
  nameOf(index: number): string;
  /** Keep the beginning of what is longer than the context; default: it is refused. */
  readonly truncate?: boolean;
  /** How long the client thinks a vector is. */
  readonly dimensions?: number | null | undefined;
  readonly identity: Identity;
  readonly signal: AbortSignal;
  readonly metrics: Metrics;
}

/** The vectors of length 1, in the order of the inputs, and the tokens of all of them. */
export async function embedAll(ask: EmbedAsk): Promise<{ vectors: Float32Array[]; tokens: number }> {
  const { ready, identity, signal, metrics } = ask;
  const { scheduler } = ready;
  try {
    const { model } = scheduler.lanes[0]!;
    checkDimensions(ask, model.info.embeddingDim);
    const ids = await model.embeddingTokens(ask.inputs, { truncate: ask.truncate === true });
    const tokens = ids.reduce((sum, { length }) => sum + length, 0);
    if (tokens > mostTokens) throw wrong(`${tokens} tokens in all, the most are ${mostTokens}`, 'input');
    const vectors: Float32Array[] = [];
    for (const group of groupsOf(ids)) {
      // who was let in once is not turned away in the middle
      const place = await scheduler.acquire({ identity, signal, admitted: vectors.length > 0 });
      try {
        vectors.push(...(await place.model.embedTokens(group, { signal })));
      } finally {
        place.release();
      }
    }
    metrics.embedded(tokens);
    return { vectors, tokens };
  } catch (error) {
    throw named(error, ask);
  }
}

function checkDimensions({ dimensions }: EmbedAsk, own: number): void {
  if (dimensions === undefined || dimensions === null || dimensions === own) return;
  throw wrong(`this model's vectors have ${own} dimensions and are not cut`, 'dimensions');
}

/** The error with the parameter at fault: the model, or one of the inputs. */
function named(error: unknown, { ready, nameOf }: EmbedAsk): HttpError {
  const known = asHttpError(error, ready.contextLength);
  if (!(error instanceof AxllmError)) return known;
  const input = error.index === undefined ? undefined : nameOf(error.index);
  const param = error.code === 'embeddings_unsupported' ? 'model' : input;
  return param === undefined
    ? known
    : new HttpError(known.status, known.message, { ...known.details, param });
}

function wrong(message: string, param: string): HttpError {
  return new HttpError(400, `${param}: ${message}`, { code: 'invalid_value', param });
}
