/** Where the browser keeps conversations and settings: one key each, so that two tabs do not overwrite each other. */
import { fromJson, toJson } from '../../chat/conversation-file.js';
import type { Entry, Library, TurnStats } from './library.js';

/** What is used of `localStorage`. */
export type Store = Pick<Storage, 'getItem' | 'setItem' | 'removeItem' | 'key' | 'length'>;

const prefix = 'axllm.chat.';
const settingsKey = 'axllm.settings';
const unsentKey = 'axllm.unsent';

/** A message, and the conversation that it was for. */
export interface Unsent {
  readonly id: string;
  readonly text: string;
}

/** Everything that is kept; what cannot be read is left where it is and not shown. */
export function readLibrary(store: Store): Library {
  const keys = Array.from({ length: store.length }, (_, at) => store.key(at));
  return keys
    .filter((key): key is string => key?.startsWith(prefix) ?? false)
    .flatMap((key) => readEntry(store, key.slice(prefix.length)) ?? [])
    .toSorted((a, b) => b.updated - a.updated);
}

/** One conversation, `undefined` where there is none that can be read. */
export function readEntry(store: Store, id: string): Entry | undefined {
  const text = store.getItem(prefix + id);
  if (text === null) return undefined;
  try {
    const { updated, stats, file } = JSON.parse(text) as {
      updated: number;
      stats: Record<number, TurnStats>;
      file: string;
    };
    return { id, updated: Number(updated) || 0, stats: stats ?? {}, conversation: fromJson(file, id) };
  } catch {
    return undefined;
  }
}

/** Throws the browser's own error when there is no room. */
export function writeEntry(store: Store, { id, updated, stats, conversation }: Entry): void {
  store.setItem(prefix + id, JSON.stringify({ updated, stats, file: toJson(conversation, 'page') }));
}

export function removeEntry(store: Store, id: string): void {
  store.removeItem(prefix + id);
}

/** The conversation whose key a `storage` event names. */
export function entryOfKey(key: string | null): string | undefined {
  return key?.startsWith(prefix) ? key.slice(prefix.length) : undefined;
}

/** A message that got no word of a reply before the page went away; without room it is lost. */
export function writeUnsent(tab: Store, unsent: Unsent): void {
  try {
    tab.setItem(unsentKey, JSON.stringify(unsent));
  } catch {
    // the page is gone already
  }
}

export function takeUnsent(tab: Store): Unsent | undefined {
  const kept = tab.getItem(unsentKey);
  tab.removeItem(unsentKey);
  // nobody else writes there
  return kept === null ? undefined : (JSON.parse(kept) as Unsent);
}

export function readSettings(store: Store): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(store.getItem(settingsKey) ?? '{}');
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

export function writeSettings(store: Store, settings: Readonly<Record<string, unknown>>): void {
  store.setItem(settingsKey, JSON.stringify(settings));
}
