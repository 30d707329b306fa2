/** How often the screen is drawn: at most 30 frames in any second, the one that a key waits for before others. */

/** While text streams: 16 frames a second, each with a dozen tokens at 200 tokens/s, and half the cost of 30. */
const streamMs = 1000 / 16;
/** So many frames may come at once, and so many more in each second: together the most that any second has. */
const burst = 3;
const perMs = 27 / 1000;

/** When the next frame may be drawn, on whatever clock the times are told from. */
export class Pace {
  private allowed = burst;
  private last = -Infinity;

  /** Milliseconds from `now` to the next frame; `urgent`: somebody waits for it. */
  wait(now: number, urgent: boolean): number {
    const allowed = this.allowedAt(now);
    const turn = allowed >= 1 ? 0 : (1 - allowed) / perMs;
    return urgent ? turn : Math.max(turn, this.last + streamMs - now);
  }

  /** A frame has been drawn. */
  drawn(now: number): void {
    this.allowed = this.allowedAt(now) - 1;
    this.last = now;
  }

  private allowedAt(now: number): number {
    return Math.min(burst, this.allowed + (now - this.last) * perMs);
  }
}
