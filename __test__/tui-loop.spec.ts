/** How often the loop draws, and when: by a clock of the test's own. */
import test from 'ava';
import type { Clock } from '../ts/tui/loop.js';
import { Loop } from '../ts/tui/loop.js';
import type { Message } from '../ts/tui/state.js';
import { textOf } from '../ts/tui/cells.js';
import { asked, key, opened, play, text } from './helpers/tui_states.js';

/** A clock that goes on when told to. */
class Hands implements Clock {
  private time = 0;
  private calls: { readonly at: number; readonly call: () => void }[] = [];
  readonly now = () => this.time;

  after(ms: number, call: () => void): () => void {
    const entry = { at: this.time + ms, call };
    this.calls.push(entry);
    return () => (this.calls = this.calls.filter((other) => other !== entry));
  }

  goOn(ms: number): void {
    const end = this.time + ms;
    for (;;) {
      const [next] = this.calls.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at);
      if (!next) break;
      this.calls = this.calls.filter((other) => other !== next);
      this.time = next.at;
      next.call();
    }
    this.time = end;
  }
}

/** A loop in the middle of a reply, the times of its frames, and the rows of the last one. */
function running() {
  const clock = new Hands();
  const frames: number[] = [];
  const seen = { rows: '' };
  const loop = new Loop(play(opened(120, 40), ...asked('go')), {
    clock,
    draw({ lines }) {
      frames.push(clock.now());
      seen.rows = lines.map(textOf).join('\n');
    },
    perform: () => Promise.resolve(),
    fail: (reason) => {
      throw reason;
    },
  });
  return { clock, frames, seen, loop };
}

/** The most frames in any second. */
const most = (frames: readonly number[]) =>
  Math.max(...frames.map((from) => frames.filter((at) => at >= from && at < from + 1000).length));

const chunk = (now: number): Message => ({ kind: 'chunk', said: 'word '.repeat(now), tokens: 1, now });

for (const [what, everyMs, message] of [
  ['1,000 tokens a second', 1, chunk],
  ['a key held down that repeats 200 times a second', 5, () => text('x')],
  ['500 resizes a second', 2, (now) => ({ kind: 'resize', columns: 80 + (now % 40), rows: 24 })],
] as [string, number, (now: number) => Message][]) {
  test(`${what} make no more than 30 frames in any second, and no fewer than 14`, (t) => {
    const { clock, frames, loop } = running();
    for (let at = 0; at < 5000; at += everyMs) {
      loop.dispatch(message(at));
      clock.goOn(everyMs);
    }
    t.true(most(frames) <= 30, `${most(frames)}`);
    t.true(frames.length >= 5 * 14, `${frames.length} in five seconds`);
  });
}

test('everything at once makes no more than 30 frames in any second', (t) => {
  const { clock, frames, loop } = running();
  for (let at = 0; at < 5000; at += 1) {
    loop.dispatch(chunk(at));
    if (at % 7 === 0) loop.dispatch(text('x'));
    if (at % 11 === 0) loop.dispatch({ kind: 'resize', columns: 80 + (at % 40), rows: 24 });
    if (at % 100 === 0) loop.dispatch({ kind: 'tick', now: at });
    if (at % 500 === 0) loop.stale();
    clock.goOn(1);
  }
  t.true(most(frames) <= 30, `${most(frames)}`);
});

test('each of 25 keys a second is in a frame at once while text streams, wherever between two frames it comes', (t) => {
  const { clock, frames, seen, loop } = running();
  clock.goOn(1000);
  for (let n = 0; n < 500; n += 1) {
    const typed = String.fromCharCode(0x1400 + n);
    loop.dispatch(text(typed));
    clock.goOn(0);
    t.true(seen.rows.includes(typed), `key ${n}`);
    // every 40 ms, with chunks at each of them
    for (let ms = 0; ms < 40; ms += 1) {
      loop.dispatch(chunk(clock.now()));
      clock.goOn(1);
    }
    if (n % 10 === 9) loop.dispatch(key('Ctrl-U'));
  }
  t.true(most(frames) <= 30, `${most(frames)}`);
});

test('nothing is drawn while nothing happens, nor after the end', (t) => {
  const { clock, frames, loop } = running();
  clock.goOn(1000);
  t.is(frames.length, 0);
  loop.dispatch(text('x'));
  loop.stop();
  loop.dispatch(text('y'));
  loop.stale();
  clock.goOn(1000);
  t.is(frames.length, 0);
});

test('what goes wrong in a frame ends the loop, and is not thrown at a timer', (t) => {
  const clock = new Hands();
  const failures: unknown[] = [];
  const broken = new Error('no room');
  const loop = new Loop(opened(80, 24), {
    clock,
    draw() {
      throw broken;
    },
    perform: () => Promise.resolve(),
    fail: (reason) => failures.push(reason),
  });
  loop.dispatch(text('x'));
  t.notThrows(() => clock.goOn(100));
  t.deepEqual(failures, [broken]);
});
