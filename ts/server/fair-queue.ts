/** A queue in which owners take turns: one with many requests does not hold up the others. */
export class FairQueue<T> {
  private readonly lines = new Map<string, T[]>();
  private count = 0;

  get size(): number {
    return this.count;
  }

  push(owner: string, item: T): void {
    const line = this.lines.get(owner);
    if (line) line.push(item);
    else this.lines.set(owner, [item]);
    this.count += 1;
  }

  /** The next one; its owner goes to the end of the owners. */
  shift(): T | undefined {
    for (const [owner, line] of this.lines) {
      const item = line.shift();
      this.lines.delete(owner);
      if (line.length > 0) this.lines.set(owner, line);
      this.count -= 1;
      return item;
    }
    return undefined;
  }

  /** Takes one out wherever it stands. */
  remove(owner: string, item: T): boolean {
    const line = this.lines.get(owner);
    const at = line?.indexOf(item) ?? -1;
    if (!line || at === -1) return false;
    line.splice(at, 1);
    if (line.length === 0) this.lines.delete(owner);
    this.count -= 1;
    return true;
  }

  /** In the order in which they would be served. */
  *[Symbol.iterator](): Generator<T> {
    const lines = [...this.lines.values()];
    for (let round = 0; lines.some((line) => round < line.length); round++) {
      for (const line of lines) if (round < line.length) yield line[round]!;
    }
  }
}
