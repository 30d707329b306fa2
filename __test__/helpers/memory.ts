/** How much bigger a process has become, less V8's own steps: it takes and gives back room for its heap by megabytes. */
import { readdirSync } from 'node:fs';

const files = () => readdirSync('/proc/self/fd').length;

/** Bytes of V8's heap after collections: what the first has let go of may hold more. Needs `--expose-gc`. */
export function settledHeap(): number {
  for (let n = 0; n < 4; n += 1) gc!();
  return process.memoryUsage().heapUsed;
}

/** Bytes that V8 needs for one copy of `text`: two a unit as soon as one of them is not Latin-1. */
export const bytesOf = (text: string): number => (/[^\0-\u00ff]/.test(text) ? 2 : 1) * text.length; // oxlint-disable-line no-control-regex

/** Remembers the present; what is returned tells how it differs from then. Needs `--expose-gc`. */
export function remember(): () => { growth: number; heap: number; files: number } {
  gc!();
  const before = process.memoryUsage();
  const filesBefore = files();
  return () => {
    gc!();
    const after = process.memoryUsage();
    const resident = after.rss - before.rss;
    const room = after.heapTotal - before.heapTotal;
    // a step up is in `resident`, a step down may or may not be: a leak is there either way
    const growth = Math.min(resident, resident - room);
    return { growth, heap: after.heapUsed - before.heapUsed, files: files() - filesBefore };
  };
}
