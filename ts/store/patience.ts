/** How long a transfer is waited for, and how long between two tries. */
import { HttpFault } from './http.js';

/** How patient a download is; tests shorten it. */
export interface Patience {
  /** Until the answer's headers are there. */
  readonly connectMs: number;
  /** Without a single byte. */
  readonly stallMs: number;
  /** Attempts in a row that bring nothing new. */
  readonly retries: number;
  readonly backOffMs: number;
  /** Longest wait that a server may ask for. */
  readonly waitMs: number;
}

export const defaultPatience: Patience = {
  connectMs: 5_000,
  stallMs: 30_000,
  retries: 5,
  backOffMs: 500,
  waitMs: 120_000,
};

/** Milliseconds before the next try after `failures` in a row; a server that wants more than that is given up. */
export function waitBefore(failures: number, fault: HttpFault, { backOffMs, waitMs }: Patience): number {
  if (fault.waitMs > waitMs) {
    throw new HttpFault(`${fault.message}, and asks to wait ${Math.ceil(fault.waitMs / 1000)} s`, 'refused');
  }
  // many clients that were cut off together should not come back together
  return Math.max(backOffMs * 2 ** (failures - 1) * (0.75 + Math.random() / 2), fault.waitMs);
}
