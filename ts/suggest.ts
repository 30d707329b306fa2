/** The candidates that a mistyped `word` may have meant, or the beginning of which it may be, best first. */
export function closeMatches(word: string, candidates: readonly string[], limit = 3): string[] {
  const wanted = word.toLowerCase();
  const slips = Math.min(2, Math.floor(wanted.length / 5));
  return candidates
    .map((name) => ({ name, ...distance(wanted, name.toLowerCase()) }))
    .filter(({ name, whole, start }) => whole <= Math.max(2, Math.floor(name.length / 3)) || start <= slips)
    .sort((a, b) => a.start - b.start || a.whole - b.whole)
    .slice(0, limit)
    .map(({ name }) => name);
}

/** Levenshtein distance of `a` from all of `b` and from the nearest beginning of it, one row at a time. */
function distance(a: string, b: string): { whole: number; start: number } {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + same));
    }
    row = next;
  }
  return { whole: row[b.length]!, start: Math.min(...row) };
}
