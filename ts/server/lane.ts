/** One loaded model with the KV caches that it keeps for conversations. */
import type { Model } from '../model.js';
import type { Slot } from '../slot.js';

interface Kept {
  readonly slot: Slot;
  /** Whose conversation it holds; no other owner's request builds on it. */
  owner: string | undefined;
  /** What it has read and said, as {@link prefixKey} writes it. */
  key: string;
  busy: boolean;
  used: number;
}

/** A place that a request has until it gives it back. */
export interface Seat {
  readonly model: Model;
  release(key?: string): void;
}

/** A place with a cache, given back with what that holds now. */
export interface Lease extends Seat {
  readonly slot: Slot;
  release(key: string): void;
}

/** Keeps at most `width` caches, and answers as many requests at once. */
export class Lane {
  /** °C after the last reply, where the device tells it. */
  temperature: number | undefined;
  private readonly kept: Kept[] = [];
  /** Places taken without a cache. */
  private seats = 0;
  private clock = 0;

  constructor(
    readonly model: Model,
    readonly width: number,
  ) {}

  get running(): number {
    return this.seats + this.kept.filter(({ busy }) => busy).length;
  }

  get free(): boolean {
    return this.running < this.width;
  }

  /** Characters of `key` that an idle cache of this owner holds already. */
  overlap(owner: string, key: string): number {
    return Math.max(0, ...this.idle(owner).map((kept) => commonPrefix(kept.key, key)));
  }

  /**
   * The cache that has read most of `key`, unless that would forget more of another conversation than it saves;
   * else a new one, else the one that was idle longest.
   */
  lease(owner: string, key: string): Lease {
    const [best] = this.idle(owner)
      .map((kept) => ({ kept, overlap: commonPrefix(kept.key, key) }))
      .sort((a, b) => b.overlap - a.overlap);
    const pays = best !== undefined && best.overlap * 2 >= best.kept.key.length;
    const kept = pays ? best.kept : (this.fresh() ?? this.oldest());
    if (kept.owner !== owner) kept.slot.reset();
    Object.assign(kept, { owner, busy: true, key: '' });
    const release = (now: string) => Object.assign(kept, { key: now, busy: false, used: ++this.clock });
    return { model: this.model, slot: kept.slot, release };
  }

  /** A place for what keeps nothing: no conversation's cache is forgotten for it. */
  seat(): Seat {
    this.seats += 1;
    return { model: this.model, release: () => void (this.seats -= 1) };
  }

  dispose(): void {
    for (const { slot } of this.kept) slot.dispose();
  }

  private idle(owner: string): Kept[] {
    return this.kept.filter((kept) => !kept.busy && kept.owner === owner);
  }

  private fresh(): Kept | undefined {
    if (this.kept.length >= this.width) return undefined;
    const kept = { slot: this.model.slot(), owner: undefined, key: '', busy: false, used: 0 };
    this.kept.push(kept);
    return kept;
  }

  private oldest(): Kept {
    return this.kept.filter(({ busy }) => !busy).reduce((a, b) => (a.used <= b.used ? a : b));
  }
}

/** What a prompt and its reply are compared by; longer common beginnings are longer common token sequences. */
export function prefixKey(parts: readonly { role: string; content: string }[]): string {
  return parts.map(({ role, content }) => `${role}\0${content}\0`).join('');
}

function commonPrefix(a: string, b: string): number {
  const most = Math.min(a.length, b.length);
  let at = 0;
  while (at < most && a.charCodeAt(at) === b.charCodeAt(at)) at += 1;
  return at;
}
