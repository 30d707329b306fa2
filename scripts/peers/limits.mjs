// What this machine can do at most, measured again and again: another program can only take from it, so the best counts.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { releaseFolder } from '../freshness.mjs';

const figures = ['int8', 'read', 'read_small_pages'];

export class Limits {
  #program = join(releaseFolder(), 'examples', 'limits');
  #taken = [1, 2].map(() => []);

  constructor() {
    this.measure();
    this.measure();
  }

  /** A few seconds, 1 and 2 threads by turns: to be called between and after what is compared with the limits. */
  measure() {
    const [one, two] = this.#taken;
    const turn = one.length > two.length ? 1 : 0;
    const text = execFileSync(this.#program, [String(turn + 1)], { encoding: 'utf8' });
    this.#taken[turn].push(JSON.parse(text));
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
    return `Limits with 1 and 2 threads, the best of ${this.#taken[1].length} measurements each between the rows:
8-bit dot products ${of('int8', 'Gop/s')}; reading 1 GiB ${of('read', 'GB/s')} with huge pages,
${of('read_small_pages', 'GB/s')} without.`;
  }
}
