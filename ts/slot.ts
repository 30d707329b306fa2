/** A KV cache on its own, without a conversation. */
import type { Thermometer } from './core-temperature.js';
import { guard, type GenerateOptions, type Message, type NativeSession } from './native.js';
import { ReplyStream } from './stream.js';

/** One call's parameters. */
export interface ReplyOptions extends GenerateOptions {
  /** What to do when earlier turns no longer fit: drop the oldest (default), or fail. */
  onOverflow?: 'drop' | 'error';
  /** Stops the device within one step; the iteration then throws the signal's reason. */
  signal?: AbortSignal;
}

/** A KV cache that answers one prompt after another, whatever conversation each belongs to. */
export class Slot {
  constructor(
    private readonly session: NativeSession,
    private readonly thermometer?: Thermometer,
  ) {}

  /** Answers messages as they are given, or goes on with a text as it stands. */
  reply(
    prompt: { text: string } | { messages: readonly Message[] },
    options: ReplyOptions = {},
  ): ReplyStream {
    const { signal, ...parameters } = options;
    return new ReplyStream({
      signal,
      start: () =>
        'text' in prompt
          ? this.session.complete(prompt.text, parameters)
          : this.session.reply([...prompt.messages], parameters),
      temperature: () => this.thermometer?.latest(),
    });
  }

  /** Forgets what was read. */
  reset(): void {
    guard(() => this.session.reset());
  }

  dispose(): void {
    this.session.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
