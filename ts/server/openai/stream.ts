/** A reply as OpenAI's server-sent events, for chats and for completions. */
import type { Chunk, ReplyResult } from '../../native.js';
import { generate, type Ask } from '../generation.js';
import { asHttpError, errorBody } from '../http-error.js';
import type { Call } from '../route.js';
import { StreamWriter } from '../stream-writer.js';
import { timingsOf, usageOf } from './wire.js';

/** What differs between the two. */
export interface Shape {
  /** The fields that every event begins with. */
  readonly envelope: object;
  /** The one choice of the event before all text, where there is one. */
  readonly opening?: object;
  choiceOf(chunk: Chunk): object;
  closing(result: ReplyResult): object;
}

/** What the client asked of the stream itself. */
export interface StreamWishes {
  readonly includeUsage: boolean;
  /** llama.cpp's `timings_per_token`. */
  readonly timings: boolean;
}

/** How long an error may still come as an answer of its own. */
const patienceMs = 1000;

/** Streams a reply. A reply that fails ends with an error event, never with `[DONE]`. */
export async function streamReply(call: Call, ask: Ask, shape: Shape, wishes: StreamWishes): Promise<void> {
  const { includeUsage, timings } = wishes;
  const { envelope } = shape;
  const pending = includeUsage ? { usage: null } : {};
  const event = (choice: object, more: object = {}) => ({
    ...envelope,
    choices: [choice],
    ...pending,
    ...more,
  });
  let writer: StreamWriter | undefined;
  // an error before the first event is an ordinary answer with a status of its own
  const open = () => {
    if (writer) return writer;
    writer = new StreamWriter(call.response, 'sse', call.server.limits['write-timeout']);
    if (shape.opening) void writer.send(event(shape.opening));
    return writer;
  };
  // a reply that is long in coming says so by its pings
  const slow = setTimeout(open, patienceMs);
  const onPosition = (position: number) => open().comment(`queued ${position}`);
  const started = performance.now();
  let tokens = 0;
  let firstAt = 0;
  const soFar = () => ({
    timings: {
      predicted_n: tokens,
      predicted_ms: performance.now() - firstAt,
      ttft_ms: firstAt - started,
    },
  });
  const reply = generate({ ...ask, onPosition });
  try {
    for (;;) {
      const step = await reply.next();
      clearTimeout(slow);
      if (step.done) {
        const writing = open();
        void writing.send(event(shape.closing(step.value), { timings: timingsOf(step.value) }));
        if (includeUsage) void writing.send({ ...envelope, choices: [], usage: usageOf(step.value) });
        return writing.end();
      }
      if (tokens === 0) firstAt = performance.now();
      tokens += step.value.tokens;
      const choice = shape.choiceOf(step.value);
      const written = open().send(event(choice, timings ? soFar() : {}));
      if (written) await written;
    }
  } catch (error) {
    clearTimeout(slow);
    const known = asHttpError(error, ask.ready.contextLength);
    if (!writer) throw known;
    if (known.status === 499 || call.response.destroyed) return writer.abandon();
    writer.fail(errorBody(known, 'openai'));
  } finally {
    // a client that does not read leaves the reply in its middle: its place must not be lost
    await reply.return(undefined as never);
  }
}
