/** One reply as an async iterable: pulled chunk by chunk, so a reader that stops also stops the device. */
import { AxllmError } from './errors.js';
import { longer } from './growing-text.js';
import { guard, type Chunk, type NativeReply, type ReplyResult } from './native.js';

export type { Chunk, ReplyResult } from './native.js';

/** What a reply needs from whoever starts it. */
export interface ReplySource {
  /** Starts the native reply; called when the first chunk is asked for. */
  start(): NativeReply;
  /** Called once, with the text so far; `result` is missing when the reply failed or was abandoned. */
  finish?(text: string, result: ReplyResult | undefined): void;
  signal?: AbortSignal | undefined;
  /** The device's temperature, for those that do not tell it themselves. */
  temperature?(): Promise<number | undefined> | undefined;
}

/**
 * A reply under way. Iterate it once, for `{ text, tokens }` chunks; leaving the loop early or aborting the
 * signal stops the device within one step. An aborted signal throws its reason; {@link cancel} ends the reply
 * quietly, with `finishReason: 'cancelled'`.
 */
export class ReplyStream implements AsyncIterable<Chunk> {
  private native: NativeReply | undefined;
  private started = false;
  private cancelled = false;
  private whole = '';
  private settle!: (result: ReplyResult) => void;
  private fail!: (reason: unknown) => void;

  /** Finish reason, token counts and timings; settles when the iteration ends: iterate, or call {@link text}. */
  readonly result: Promise<ReplyResult>;

  constructor(private readonly source: ReplySource) {
    this.result = new Promise((resolve, reject) => {
      this.settle = resolve;
      this.fail = reject;
    });
    this.result.catch(() => undefined);
  }

  /** The text so far. */
  get said(): string {
    return this.whole;
  }

  /** Reads the whole reply. */
  async text(): Promise<string> {
    for await (const _ of this);
    return this.whole;
  }

  /** Ends the reply within one step; what was said so far stays. */
  cancel(): void {
    this.cancelled = true;
    this.native?.cancel();
  }

  [Symbol.asyncIterator](): AsyncGenerator<Chunk, ReplyResult, void> {
    if (this.started) throw new TypeError('a reply can be iterated only once');
    this.started = true;
    return this.iterate();
  }

  private async *iterate(): AsyncGenerator<Chunk, ReplyResult, void> {
    const { source } = this;
    const { signal } = source;
    const abort = () => this.native?.cancel();
    let result: ReplyResult | undefined;
    let failure: unknown;
    try {
      signal?.throwIfAborted();
      signal?.addEventListener('abort', abort, { once: true });
      this.native = guard(() => source.start());
      if (this.cancelled) this.native.cancel();
      const native = this.native;
      for (;;) {
        const chunk = await guard(() => native.next());
        signal?.throwIfAborted();
        if (chunk === null) break;
        this.whole = longer(this.whole, chunk.text);
        yield chunk;
      }
      const ended = guard(() => native.result());
      const coreTemperature = ended.coreTemperature ?? (await source.temperature?.());
      result = coreTemperature === undefined ? ended : { ...ended, coreTemperature };
      return result;
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
      if (!result && this.native) await stopped(this.native);
      source.finish?.(this.whole, result);
      if (result) this.settle(result);
      else this.fail(failure ?? new AxllmError('abandoned', 'The reply was left before its end'));
    }
  }
}

/** Cancels, and waits until the device has stopped: whoever goes on finds the conversation free. */
async function stopped(native: NativeReply): Promise<void> {
  native.cancel();
  try {
    while (await native.next());
  } catch {
    // how a reply ends that nobody reads is of no interest
  }
}
