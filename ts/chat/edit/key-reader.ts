/** From a terminal's bytes to keys, by Node's own decoder; and the guard against pastes without marks. */
import { EventEmitter } from 'node:events';
import { emitKeypressEvents } from 'node:readline';
import type { Key } from './editor.js';

/** How long more may follow before a Return at the end of a burst counts as typed. */
const burstMs = 15;
const escapeMs = 50;

/** Told each key; `pasted`: a Return in the middle of a burst, which no person types. */
export type OnKey = (key: Key, pasted: boolean) => void;

export class KeyReader {
  private readonly decoder = new EventEmitter();
  private burst: Key[] | undefined;
  private held: { keys: Key[]; timer: NodeJS.Timeout } | undefined;
  private inPaste = false;

  constructor(private readonly onKey: OnKey) {
    // the decoder asks no more of a stream than its 'data' events
    emitKeypressEvents(
      this.decoder as unknown as NodeJS.ReadableStream,
      { escapeCodeTimeout: escapeMs } as never,
    );
    this.decoder.on('keypress', (_, key: Key) => {
      if (this.burst) this.burst.push(key);
      else onKey(key, false);
    });
  }

  /** What the terminal sent in one piece. */
  push(chunk: Buffer): void {
    const keys: Key[] = (this.burst = this.release());
    this.decoder.emit('data', chunk);
    this.burst = undefined;
    const last = keys.at(-1);
    const marked = this.inPaste || keys.some(({ name }) => name === 'paste-end');
    if (keys.length > 1 && !marked && last?.name === 'return') {
      this.held = { keys, timer: setTimeout(() => this.tell(this.release()), burstMs) };
    } else this.tell(keys);
  }

  private release(): Key[] {
    const { held } = this;
    this.held = undefined;
    clearTimeout(held?.timer);
    return held?.keys ?? [];
  }

  private tell(keys: readonly Key[]): void {
    const lastText = keys.findLastIndex(
      ({ sequence, ctrl, meta }) => /^\P{Cc}/u.test(sequence ?? '') && !ctrl && !meta,
    );
    keys.forEach((key, at) => {
      if (key.name === 'paste-start') this.inPaste = true;
      if (key.name === 'paste-end') this.inPaste = false;
      this.onKey(key, at < lastText);
    });
  }
}
