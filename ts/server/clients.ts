/** How many requests for the model each address of another machine has under way. This machine's own are not counted. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isLoopback } from './address.js';
import { HttpError } from './http-error.js';

/** Counts by address. */
export class Clients {
  private readonly underWay = new Map<string, number>();

  constructor(private readonly most: number) {}

  /** Counts a request until its answer has ended; throws 429 where the client has enough of them. */
  enter({ socket }: IncomingMessage, response: ServerResponse): void {
    const address = socket.remoteAddress ?? '';
    if (isLoopback(address)) return;
    const count = this.underWay.get(address) ?? 0;
    if (count >= this.most) {
      const message = `${count} of your requests are being answered, which is as many as go at once`;
      throw new HttpError(429, message, { code: 'too_many_requests', headers: { 'Retry-After': '1' } });
    }
    this.underWay.set(address, count + 1);
    response.once('close', () => {
      const left = this.underWay.get(address)! - 1;
      if (left > 0) this.underWay.set(address, left);
      else this.underWay.delete(address);
    });
  }
}
