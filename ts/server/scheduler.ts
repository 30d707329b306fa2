/** Whose turn it is: requests for one model, in a fair and bounded queue before its lanes. */
import type { Identity } from './access.js';
import { FairQueue } from './fair-queue.js';
import { HttpError } from './http-error.js';
import type { Lane, Lease, Seat } from './lane.js';

/** A request for a place. */
export interface Wish {
  readonly identity: Identity;
  /** What it will read: the lane that holds most of it is chosen. Absent: it needs no KV cache that is kept. */
  readonly key?: string;
  readonly signal: AbortSignal;
  /** Part of a request that had its turn before: a full queue does not turn it away. */
  readonly admitted?: boolean;
  /** Told its place in the queue, from 1, whenever that changes. */
  onPosition?(position: number): void;
}

interface Waiting extends Wish {
  grant(place: Place): void;
  position: number;
}

/** A place, with the lane that it is in. */
export type Place<Kind extends Seat = Seat> = Kind & { readonly lane: Lane };

/** One model's lanes and the queue before them. */
export class Scheduler {
  private readonly queue = new FairQueue<Waiting>();
  private readonly atOnce = new Map<string, number>();

  constructor(
    readonly lanes: readonly Lane[],
    private readonly longest: number,
  ) {}

  get queued(): number {
    return this.queue.size;
  }

  get running(): number {
    return this.lanes.reduce((sum, lane) => sum + lane.running, 0);
  }

  /** Waits for a place; throws 429 at once when the queue is full, and the signal's reason when it is aborted. */
  async acquire(wish: Wish & { key: string }): Promise<Place<Lease>>;
  async acquire(wish: Wish): Promise<Place>;
  async acquire(wish: Wish): Promise<Place> {
    wish.signal.throwIfAborted();
    this.count(wish.identity);
    try {
      return this.lanes.some(({ free }) => free) && this.queue.size === 0
        ? this.place(wish)
        : await this.wait(wish);
    } catch (error) {
      this.uncount(wish.identity);
      throw error;
    }
  }

  private count({ owner, atOnce = Number.POSITIVE_INFINITY }: Identity): void {
    const count = this.atOnce.get(owner) ?? 0;
    if (count >= atOnce) throw busy('Your last message is still being answered', 'too_many_requests');
    this.atOnce.set(owner, count + 1);
  }

  private uncount({ owner }: Identity): void {
    const count = (this.atOnce.get(owner) ?? 1) - 1;
    if (count > 0) this.atOnce.set(owner, count);
    else this.atOnce.delete(owner);
  }

  private place({ identity, key }: Wish): Place {
    const free = this.lanes.filter((lane) => lane.free);
    const rank = (lane: Lane) => [lane.overlap(identity.owner, key ?? ''), -lane.running] as const;
    const lane = free.reduce((best, other) => (better(rank(other), rank(best)) ? other : best));
    const lease = key === undefined ? lane.seat() : lane.lease(identity.owner, key);
    const release = (now = '') => {
      lease.release(now);
      this.uncount(identity);
      this.advance();
    };
    return { ...lease, lane, release };
  }

  private wait(wish: Wish): Promise<Place> {
    if (this.queue.size >= this.longest && !wish.admitted)
      throw busy('Too many requests wait already', 'queue_full');
    const { owner } = wish.identity;
    return new Promise((resolve, reject) => {
      const waiting: Waiting = {
        ...wish,
        position: 0,
        grant: (place) => {
          wish.signal.removeEventListener('abort', leave);
          resolve(place);
        },
      };
      const leave = () => {
        this.queue.remove(owner, waiting);
        this.tellPositions();
        reject(wish.signal.reason as Error);
      };
      wish.signal.addEventListener('abort', leave, { once: true });
      this.queue.push(owner, waiting);
      this.tellPositions();
    });
  }

  /** Gives free places to those who wait. */
  private advance(): void {
    while (this.queue.size > 0 && this.lanes.some(({ free }) => free)) {
      const next = this.queue.shift()!;
      next.grant(this.place(next));
    }
    this.tellPositions();
  }

  private tellPositions(): void {
    let position = 0;
    for (const waiting of this.queue) {
      position += 1;
      if (waiting.position === position) continue;
      waiting.position = position;
      waiting.onPosition?.(position);
    }
  }
}

function better(one: readonly [number, number], other: readonly [number, number]): boolean {
  return one[0] !== other[0] ? one[0] > other[0] : one[1] > other[1];
}

function busy(message: string, code: string): HttpError {
  return new HttpError(429, message, { code, headers: { 'Retry-After': '1' } });
}
