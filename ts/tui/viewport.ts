/** Which rows of the transcript are in view. Lays out only what it meets on its way. */
import type { Turn } from '../chat/conversation.js';
import { textOf, type Line } from './cells.js';
import { itemsOf, layout, type Item } from './items.js';
import type { Anchor, State } from './state.js';

const top: Anchor = { item: 0, row: 0 };

/** The anchor `delta` rows further down; stops at the first row and at the last item's end. */
function moved(state: State, from: Anchor, delta: number): Anchor {
  const items = itemsOf(state);
  const rows = (at: number) => layout(items[at]!, state).rows;
  let { item, row } = from;
  if (item >= items.length) return top;
  row += delta;
  while (row < 0 && item > 0) row += rows(--item);
  if (row < 0) return top;
  while (row >= rows(item) && item < items.length - 1) row -= rows(item++);
  return { item, row: Math.min(row, Math.max(0, rows(item) - 1)) };
}

/** The anchor that shows the newest text in a view of `height` rows. */
export function bottom(state: State, height: number): Anchor {
  const items = itemsOf(state);
  let left = height;
  for (let item = items.length - 1; item >= 0; item -= 1) {
    const { rows } = layout(items[item]!, state);
    if (rows >= left) return { item, row: rows - left };
    left -= rows;
  }
  return top;
}

const isBefore = (a: Anchor, b: Anchor) => a.item < b.item || (a.item === b.item && a.row < b.row);

/** Scrolls by `delta` rows; `undefined`: the newest text is in view, so the view follows it again. */
export function scrolled(state: State, height: number, delta: number): Anchor | undefined {
  const last = bottom(state, height);
  const to = moved(state, state.anchor ?? last, delta);
  return isBefore(to, last) ? to : undefined;
}

/** The view that shows row `at` with some of what is above it; never beyond the last row. */
export function around(state: State, height: number, at: Anchor): Anchor | undefined {
  const last = bottom(state, height);
  const to = moved(state, at, -Math.floor(height / 3));
  // at the end the view would follow a reply that comes, away from the row
  return isBefore(to, last) ? to : state.pending && last;
}

/** The first row, or `undefined` where everything is in view anyway. */
export function toTop(state: State, height: number): Anchor | undefined {
  return isBefore(top, bottom(state, height)) ? top : undefined;
}

/** The lines in view, at most `height`. */
export function visible(state: State, height: number): Line[] {
  const items = itemsOf(state);
  const anchor = state.anchor && state.anchor.item < items.length ? state.anchor : bottom(state, height);
  const lines: Line[] = [];
  for (let item = anchor.item; item < items.length && lines.length < height; item += 1) {
    const from = item === anchor.item ? anchor.row : 0;
    lines.push(...layout(items[item]!, state).lines(from, from + height - lines.length));
  }
  return lines;
}

/** Marks inside a word, and characters by name: rows of such a source hold words that it does not. */
const broken = /[\p{L}\p{N}][*~`\\]+[\p{L}\p{N}]|&#?\w+;/u;
const brokenTurns = new WeakMap<Turn, boolean>();
const numbered = /^\s*\d+[.)]/m;

/** Whether a row of the item may hold `word`, without laying it out. */
function mayHold(item: Item, word: string): boolean {
  if (item.kind !== 'turn') return true;
  const { turn } = item;
  if (turn.user.toLowerCase().includes(word) || turn.assistant.toLowerCase().includes(word)) return true;
  // a list counts on from its first number, whatever is written
  if (/\d/.test(word) && numbered.test(turn.assistant)) return true;
  let known = brokenTurns.get(turn);
  if (known === undefined) brokenTurns.set(turn, (known = broken.test(turn.assistant)));
  return known;
}

/** The next row that holds `query`, whatever the case, from `from` on in direction `step`; goes round once. */
export function find(state: State, query: string, from: Anchor, step: 1 | -1): Anchor | undefined {
  const wanted = query.toLowerCase();
  const items = itemsOf(state);
  if (wanted === '' || items.length === 0) return undefined;
  // a row of a long transcript is not made to be looked at in vain
  const word = (wanted.match(/[\p{L}\p{N}]+/gu) ?? ['']).reduce((a, b) => (b.length > a.length ? b : a));
  for (let n = 0; n <= items.length; n += 1) {
    const item = (((from.item + step * n) % items.length) + items.length) % items.length;
    if (!mayHold(items[item]!, word)) continue;
    const { rows, lines } = layout(items[item]!, state);
    const hits = lines(0, rows).flatMap((line, row) =>
      textOf(line).toLowerCase().includes(wanted) ? [row] : [],
    );
    const here = n === 0 ? hits.filter((row) => (step > 0 ? row > from.row : row < from.row)) : hits;
    const row = step > 0 ? here[0] : here.at(-1);
    if (row !== undefined) return { item, row };
  }
  return undefined;
}
