/** The transcript as items: turns, remarks and the reply under way, laid out where they are seen. */
import { branch, versions, type Conversation, type Turn } from '../chat/conversation.js';
import { telemetryOf } from '../chat/settings.js';
import { statisticsLines } from '../chat/stats.js';
import { sanitise } from '../sanitise.js';
import { cut, fit, lineWidth, span, type Line, type Style } from './cells.js';
import { documentOf, type Document } from './markdown/document.js';
import type { Note, State } from './state.js';
import { wrap } from './wrap.js';

export type Item =
  | { readonly kind: 'turn'; readonly turn: Turn; readonly dropped: boolean; readonly lastDropped: boolean }
  | { readonly kind: 'note'; readonly note: Note }
  | { readonly kind: 'pending' }
  /** The blank row between the header and the first message. */
  | { readonly kind: 'top' };

const branches = new WeakMap<Conversation, Turn[]>();

function turnsOf(conversation: Conversation): Turn[] {
  let turns = branches.get(conversation);
  if (!turns) branches.set(conversation, (turns = branch(conversation)));
  return turns;
}

/** The last items made, and what of: a frame asks several times, and most frames change none of it. */
let last: { readonly of: readonly unknown[]; readonly items: readonly Item[] } | undefined;

/** Turns that share a parent are versions of each other: the parents that have several. */
const forks = new WeakMap<Conversation, ReadonlySet<number | null>>();

function forksOf(conversation: Conversation): ReadonlySet<number | null> {
  let found = forks.get(conversation);
  if (!found) {
    const met = new Set<number | null>();
    const again = conversation.turns.filter(({ parent }) => met.size === met.add(parent).size);
    forks.set(conversation, (found = new Set(again.map(({ parent }) => parent))));
  }
  return found;
}

/** Which version of its message a turn is, where there are several. */
function versionOf(turn: Turn, conversation: Conversation): string | undefined {
  if (!forksOf(conversation).has(turn.parent)) return undefined;
  const all = versions(conversation, turn.id);
  return `version ${all.indexOf(turn) + 1} of ${all.length}, /version`;
}

/** What the transcript shows, oldest first. */
export function itemsOf(state: State): readonly Item[] {
  const { chat, notes, pending } = state;
  const dropped = state.context?.droppedTurns ?? 0;
  const of = [chat?.conversation, notes, dropped, pending === undefined];
  if (last && of.every((part, at) => part === last!.of[at])) return last.items;
  const turns = chat ? turnsOf(chat.conversation) : [];
  const items: Item[] = [];
  const notesAfter = (id: number | null) => {
    for (const note of notes) if (note.after === id) items.push({ kind: 'note', note });
  };
  notesAfter(null);
  for (const [at, turn] of turns.entries()) {
    items.push({ kind: 'turn', turn, dropped: at < dropped, lastDropped: at === dropped - 1 });
    if (notes.length > 0) notesAfter(turn.id);
  }
  if (pending) items.push({ kind: 'pending' });
  if (items.length > 0) items.unshift({ kind: 'top' });
  last = { of, items };
  return items;
}

/** The rows of one item, a blank one at the end. */
export function layout(item: Item, state: State): Document {
  const width = Math.max(1, state.columns);
  if (item.kind === 'top') return blank;
  if (item.kind === 'note') return noteRows(item.note, width);
  if (item.kind === 'pending') return pendingRows(state, width);
  const { turn } = item;
  const key = state.keys.get(turn.id) ?? turn;
  const version = state.chat && versionOf(turn, state.chat.conversation);
  const result = state.results.get(turn.id);
  const after: Line[] = [];
  if (result?.finishReason === 'cancelled') after.push([span('  stopped', { role: 'muted' })]);
  if (result?.finishReason === 'length') after.push([span('  cut at its length limit', { role: 'muted' })]);
  if (result && state.chat) {
    const { info, settings } = state.chat;
    for (const line of statisticsLines(result, info.pipeline, telemetryOf(settings)))
      after.push(...figureRows(line, width));
  }
  if (item.lastDropped)
    after.push([], [span(rule(' the model no longer sees what is above ', width), { role: 'warning' })]);
  const rows = stack(
    userRows(key, turn.user, width),
    version === undefined ? none : fixed([[span(`${version} `.padStart(width), { role: 'muted' })]]),
    blank,
    replyRows(key, turn.assistant, width, false),
    fixed(after),
    blank,
  );
  return item.dropped ? greyed(rows) : rows;
}

/** A line of figures in as many rows as it needs, parted between two of them. */
function figureRows(text: string, width: number): Line[] {
  const rows: string[] = [];
  for (const figure of text.split(' | ')) {
    const longer = `${rows.at(-1)} | ${figure}`;
    if (rows.length > 0 && longer.length + 2 <= width) rows[rows.length - 1] = longer;
    else rows.push(figure);
  }
  return rows.flatMap((row) => wrap([span(`  ${row}`, { role: 'muted' })], width));
}

const fixed = (lines: readonly Line[]): Document => ({
  rows: lines.length,
  lines: (from, to) => lines.slice(Math.max(0, from), Math.max(0, to)),
});

const blank = fixed([[]]);
const none = fixed([]);

/** One under the other. */
function stack(...parts: readonly Document[]): Document {
  const rows = parts.reduce((sum, part) => sum + part.rows, 0);
  return {
    rows,
    lines(from, to) {
      const found: Line[] = [];
      let start = 0;
      for (const part of parts) {
        if (start < to && start + part.rows > from) {
          found.push(...part.lines(Math.max(0, from - start), Math.min(part.rows, to - start)));
        }
        start += part.rows;
      }
      return found;
    },
  };
}

const grey = (style: Style): Style => ({ ...style, role: 'muted', ground: undefined });

function greyed(rows: Document): Document {
  const lines = (from: number, to: number) =>
    rows.lines(from, to).map((line) => line.map((part) => span(part.text, grey(part.style))));
  return { rows: rows.rows, lines };
}

/** How many rows a message and its reply take at the last width asked for: all that is kept of what is out of view. */
interface Heights {
  readonly width: number;
  user: number | undefined;
  reply: number | undefined;
}

const heights = new WeakMap<object, Heights>();

function heightsAt(key: object, width: number): Heights {
  let found = heights.get(key);
  if (found?.width !== width) heights.set(key, (found = { width, user: undefined, reply: undefined }));
  return found;
}

/** Bubbles of the few messages that are in view. */
const bubbles = new Map<object, { width: number; lines: Line[] }>();

function userRows(key: object, text: string, width: number): Document {
  const lines = () => {
    const found = bubbles.get(key);
    if (found?.width === width) return found.lines;
    const made = bubble(sanitise(text), width);
    bubbles.set(key, { width, lines: made });
    if (bubbles.size > 50) bubbles.delete(bubbles.keys().next().value!);
    return made;
  };
  const known = heightsAt(key, width);
  known.user ??= lines().length;
  return { rows: known.user, lines: (from, to) => lines().slice(from, to) };
}

/** A user's message: at the right, on its own ground, with a mark that shows without colours too. */
function bubble(text: string, width: number): Line[] {
  const style: Style = { role: 'user', ground: 'user' };
  const room = Math.max(1, Math.min(width - 4, Math.ceil(width * 0.8)));
  const lines = wrap([span(text, style)], room);
  const wide = Math.max(...lines.map(lineWidth));
  const left = ' '.repeat(Math.max(0, width - wide - 4));
  return lines.map((line, at) =>
    cut(
      [
        span(left),
        span(at === 0 ? '❯ ' : '  ', { ...style, bold: true }),
        ...fit(line, wide, style),
        span(' ', style),
      ],
      width,
      '',
    ),
  );
}

const mark = (row: number) => span(row === 0 ? '● ' : '  ', { role: 'accent' });

function replyRows(key: object, text: string, width: number, open: boolean): Document {
  const inner = () => documentOf(key, sanitise(text), Math.max(1, width - 3), open);
  const lines = (from: number, to: number) =>
    inner()
      .lines(from, to)
      .map((line, at) => cut([mark(from + at), ...line], width, ''));
  if (open) return { rows: inner().rows, lines };
  const known = heightsAt(key, width);
  known.reply ??= inner().rows;
  return { rows: known.reply, lines };
}

const signs = [...'⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏'];

/** A mark that turns. */
export const spinner = (now: number, since: number): string =>
  signs[Math.floor(Math.max(0, now - since) / 100) % signs.length]!;

/** The seconds since. */
export const elapsed = (now: number, since: number): string =>
  `${(Math.max(0, now - since) / 1000).toFixed(1)} s`;

function pendingRows({ pending, now }: State, width: number): Document {
  const { key, user, text, since, stopping } = pending!;
  const wait: Line = stopping
    ? [span('stopping', { role: 'muted' })]
    : [span(spinner(now, since), { role: 'accent' }), span(` ${elapsed(now, since)}`, { role: 'muted' })];
  const said = replyRows(key, text, width, true);
  const reply = said.rows > 0 ? said : fixed([[mark(0), ...wait]]);
  return stack(userRows(key, user, width), blank, reply, blank);
}

function noteRows({ role, text }: Note, width: number): Document {
  return stack(fixed(wrap([span(sanitise(text), { role })], width)), blank);
}

function rule(text: string, width: number): string {
  const around = Math.max(0, width - text.length);
  return `${'─'.repeat(Math.floor(around / 2))}${text}${'─'.repeat(Math.ceil(around / 2))}`.slice(0, width);
}
