/** The conversations of this browser, as values. */
import { branch, cleared, newConversation, type Conversation } from '../../chat/conversation.js';

/** How a reply went; the names are those of the server's `timings` where it has them. */
export interface TurnStats {
  readonly tokens: number;
  readonly ttftMs: number;
  readonly tokensPerSecond: number;
  /** Tokens of the prompt, earlier turns included. */
  readonly promptTokens?: number;
  /** Earlier turns that did not fit. */
  readonly droppedTurns?: number;
  /** Somebody ended the reply before it was whole, or the page went away. */
  readonly stopped?: true;
}

/** One conversation with what only the page needs of it. */
export interface Entry {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly updated: number;
  readonly conversation: Conversation;
  /** By turn. */
  readonly stats: Readonly<Record<number, TurnStats>>;
}

/** Newest first. */
export type Library = readonly Entry[];

export function newEntry(id: string, updated: number, system?: string): Entry {
  return { id, updated, conversation: newConversation(system), stats: {} };
}

export function entryOf(library: Library, id: string | undefined): Entry | undefined {
  return library.find((entry) => entry.id === id);
}

/** The library with `entry` in it, as the newest if it was said something in. */
export function withEntry(library: Library, entry: Entry): Library {
  return [...library.filter(({ id }) => id !== entry.id), entry].toSorted((a, b) => b.updated - a.updated);
}

export function withoutEntry(library: Library, id: string): Library {
  return library.filter((entry) => entry.id !== id);
}

/** The entry without its turns; the system prompt stays. */
export function clearedEntry(entry: Entry): Entry {
  return { ...entry, conversation: cleared(entry.conversation), stats: {} };
}

/** What a list shows: the beginning of the first message. */
export function titleOf({ conversation }: Entry): string {
  const first = branch(conversation)[0] ?? conversation.turns[0];
  const line = first?.user.trim().split('\n', 1)[0] ?? '';
  if (line === '') return 'New chat';
  return line.length > 60 ? `${line.slice(0, 59).trimEnd()}…` : line;
}

/** The entries whose text holds `wanted`, whatever its case. */
export function matching(library: Library, wanted: string): Library {
  const needle = wanted.trim().toLowerCase();
  if (needle === '') return library;
  return library.filter(({ conversation }) =>
    conversation.turns.some(({ user, assistant }) => `${user}\n${assistant}`.toLowerCase().includes(needle)),
  );
}

/** Headings of the list: `Today`, `Yesterday`, `Earlier`. */
export function byDay(library: Library, now: number): [string, Library][] {
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  const yesterday = new Date(midnight).setDate(new Date(midnight).getDate() - 1);
  const groups: [string, Entry[]][] = [
    ['Today', []],
    ['Yesterday', []],
    ['Earlier', []],
  ];
  for (const entry of library) {
    const at = entry.updated >= midnight ? 0 : entry.updated >= yesterday ? 1 : 2;
    groups[at]![1].push(entry);
  }
  return groups.filter(([, entries]) => entries.length > 0);
}
