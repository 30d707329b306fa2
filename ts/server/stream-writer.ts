/** An answer that comes bit by bit: server-sent events, or lines of JSON. */
import type { ServerResponse } from 'node:http';
import { HttpError } from './http-error.js';

const kinds = {
  sse: 'text/event-stream; charset=utf-8',
  ndjson: 'application/x-ndjson',
} as const;

/** How often a client that waits is told that it is not forgotten. */
const pingMs = 15_000;

/** Writes no faster than the client reads, and gives up on one that does not. */
export class StreamWriter {
  private readonly ping: NodeJS.Timeout | undefined;

  constructor(
    private readonly response: ServerResponse,
    private readonly kind: keyof typeof kinds,
    private readonly stallSeconds: number,
  ) {
    response.writeHead(200, {
      'Content-Type': kinds[kind],
      'Cache-Control': 'no-cache, no-transform',
      'X-Accel-Buffering': 'no',
    });
    response.flushHeaders();
    if (kind !== 'sse') return;
    this.ping = setInterval(() => response.write(': ping\n\n'), pingMs);
    this.ping.unref();
  }

  /** A line that readers of events skip. */
  comment(text: string): void {
    if (this.kind === 'sse') this.response.write(`: ${text}\n\n`);
  }

  /** One object. Resolves when the client may be sent more. */
  send(value: object): Promise<void> | undefined {
    const text = JSON.stringify(value);
    return this.write(this.kind === 'sse' ? `data: ${text}\n\n` : `${text}\n`);
  }

  /** The end of a complete answer. */
  end(): void {
    clearInterval(this.ping);
    this.response.end(this.kind === 'sse' ? 'data: [DONE]\n\n' : undefined);
  }

  /** The end of an answer that failed: `error` is its last word, and nothing says that it is complete. */
  fail(error: object): void {
    clearInterval(this.ping);
    void this.send(error);
    this.response.end();
    // nothing more is read from a connection whose reply was cut off
    this.response.once('finish', () => this.response.socket?.end());
  }

  /** The client has left. */
  abandon(): void {
    clearInterval(this.ping);
  }

  private write(text: string): Promise<void> | undefined {
    const { response } = this;
    if (response.destroyed || response.write(text)) return undefined;
    return new Promise((resolve, reject) => {
      const stalled = setTimeout(() => {
        response.destroy();
        reject(new HttpError(408, 'The client does not read'));
      }, this.stallSeconds * 1000);
      const go = () => {
        clearTimeout(stalled);
        response.off('drain', go).off('close', go);
        resolve();
      };
      response.once('drain', go).once('close', go);
    });
  }
}
