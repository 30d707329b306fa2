// What this machine can do at most, measured again and again: another program can only take from it, so the best counts.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { releaseFolder } from '../freshness.mjs';

const figures = ['int8', 'read', 'read_small_pages'];

export class Limits {
  #program = join(releaseFolder(), 'examples', 'limits');
  #taken = [1, 2].map(() => []);

  constructor() {
    this.measure(1);
    this.measure(2);
  }

  /** What it does with 1 or 2 threads now, in a few seconds: to be asked after what is compared with the limits. */
  measure(threads) {
    const now = JSON.parse(execFileSync(this.#program, [String(threads)], { encoding: 'utf8' }));
    this.#taken[threads - 1].push(now);
    return now;
  }

  /** The best so far with 1 or 2 threads: Gop/s and GB/s. */
  best(threads) {
    const taken = this.#taken[threads - 1];
    return Object.fromEntries(figures.map((name) => [name, Math.max(...taken.map((each) => each[name]))]));
  }

  /** A sentence, with the lowest of what was measured: far below the best, something else was running. */
  text() {
    const of = (name, unit) =>
      [1, 2]
        .map((threads) => {
          const lowest = Math.min(...this.#taken[threads - 1].map((each) => each[name]));
          return `${this.best(threads)[name]} (lowest ${lowest})`;
        })
        .join(' and ') + ` ${unit}`;
    const trips = this.#taken.flat().map((each) => each.round_trip);
    const counts = this.#taken.map(({ length }) => length).join(' and ');
    return `Limits with 1 and 2 threads, the best of ${counts} measurements between the rows:
8-bit dot products ${of('int8', 'Gop/s')}; reading 1 GiB ${of('read', 'GB/s')} with huge pages,
${of('read_small_pages', 'GB/s')} without. A cache line takes ${Math.min(...trips)} to ${Math.max(...trips)} ns to the other core and
back: hundreds where virtual cores lie on two chips, which read memory by two ways.`;
  }
}
