/** Everything that the page shows, as one value, and what can be read out of it. */
import { branch, lastTurn, type Turn } from '../../chat/conversation.js';
import type { ErrorBody, UiState } from '../../server/page-state.js';
import { entryOf, newEntry, type Entry, type Library, type TurnStats } from './library.js';
import type { PageSettings } from './settings.js';

/** How the page and the server stand. */
export type Link = 'connecting' | 'locked' | 'up' | 'down';

/** A reply under way. */
export interface Reply {
  /** The conversation as it was when the message was sent, on the branch that it was sent in. */
  readonly entry: Entry;
  /** The message that it answers. */
  readonly user: string;
  readonly text: string;
  readonly stats: TurnStats;
  /** The place in the queue, 0 when it is this one's turn; the first piece of text has come when `started`. */
  readonly queued: number;
  readonly started: boolean;
}

/** A message that got no whole reply; its text is kept for the next try. */
export interface Failure {
  readonly entry: Entry;
  readonly user: string;
  /** What came before it broke. */
  readonly text: string;
  readonly error: ErrorBody;
}

export type Panel = 'settings' | 'share' | 'list';

export interface AppState {
  readonly link: Link;
  /** The last answer of the server. */
  readonly server: UiState | undefined;
  /** Why the link's secret was not taken. */
  readonly lockedBecause?: string;
  readonly library: Library;
  /** The conversation in view; one that nobody has spoken in yet is not in the library. */
  readonly open: Entry;
  readonly reply: Reply | undefined;
  readonly failure: Failure | undefined;
  /** The turn whose message is being changed. */
  readonly editing: number | undefined;
  readonly panel: Panel | undefined;
  readonly settings: PageSettings;
  /** A line that goes by itself, and what would undo what it tells. */
  readonly toast: { readonly text: string; readonly undo?: Entry } | undefined;
  /** What the last count of the unsent message gave. */
  readonly draftTokens: number;
}

export function initialState(library: Library, settings: PageSettings, id: string, now: number): AppState {
  return {
    link: 'connecting',
    server: undefined,
    library,
    open: library[0] ?? newEntry(id, now, settings.system),
    reply: undefined,
    failure: undefined,
    editing: undefined,
    panel: undefined,
    settings,
    toast: undefined,
    draftTokens: 0,
  };
}

/** The turns in view, without the one that is being answered anew. */
export function turnsInView({ open }: AppState): Turn[] {
  return branch(open.conversation);
}

/** The reply under way, if it belongs to the conversation in view. */
export function replyInView({ reply, open }: AppState): Reply | undefined {
  return reply?.entry.id === open.id ? reply : undefined;
}

export function failureInView({ failure, open }: AppState): Failure | undefined {
  return failure?.entry.id === open.id ? failure : undefined;
}

/** Whether a message can be sent now. */
export function canSend({ link, server, reply }: AppState): boolean {
  return link === 'up' && server?.phase === 'ready' && reply === undefined;
}

export interface Meter {
  readonly used: number;
  readonly total: number;
  /** Earlier turns that the model no longer sees. */
  readonly dropped: number;
}

/** How full the context is, by the server's own counts of the last reply. */
export function meterOf(state: AppState): Meter | undefined {
  const total = state.server?.info?.contextLength;
  if (total === undefined) return undefined;
  const last = lastTurn(state.open.conversation);
  const stats = replyInView(state)?.stats ?? (last && state.open.stats[last.id]);
  const used = (stats?.promptTokens ?? 0) + (stats?.tokens ?? 0) + state.draftTokens;
  return { used: Math.min(used, total), total, dropped: stats?.droppedTurns ?? 0 };
}

/** The reference's line, such as `TTFT: 0.57s | Tokens/sec: 9.95 | Tokens: 21`. */
export function statusLine({ ttftMs, tokensPerSecond, tokens }: TurnStats): string {
  return `TTFT: ${(ttftMs / 1000).toFixed(2)}s | Tokens/sec: ${tokensPerSecond.toFixed(2)} | Tokens: ${tokens}`;
}

/** The statistics in view: those of the running reply, else of the last one. */
export function statsInView(state: AppState): TurnStats | undefined {
  const reply = replyInView(state);
  if (reply) return reply.started ? reply.stats : undefined;
  const last = lastTurn(state.open.conversation);
  return last && state.open.stats[last.id];
}

/** The conversation to show for `id`: as it is being spoken, else as the library has it. */
export function entryInView({ reply, failure, library }: AppState, id: string): Entry | undefined {
  return [reply?.entry, failure?.entry, entryOf(library, id)].find((entry) => entry?.id === id);
}
