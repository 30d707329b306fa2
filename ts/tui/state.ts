/** What the full-screen chat knows. Every value is replaced, never changed. */
import type { ContextUse } from '../chat/context-use.js';
import type { Conversation } from '../chat/conversation.js';
import type { ChatState, FrontEffect, ServiceEffect } from '../chat/slash/types.js';
import type { AxllmError } from '../errors.js';
import type { ReplyResult } from '../native.js';
import { emptyEditor, type Editor } from './editor.js';
import type { Input } from './decode.js';

/** A reply under way. */
export interface Pending {
  /** Stands for it in the layout's memory. */
  readonly key: object;
  readonly user: string;
  readonly text: string;
  readonly tokens: number;
  readonly since: number;
  /** When the first token came. */
  readonly firstAt?: number;
  readonly stopping: boolean;
}

/** A remark of the program, shown where it was made. */
export interface Note {
  /** The turn that it follows; `null` at the start. */
  readonly after: number | null;
  readonly role: 'muted' | 'error';
  readonly text: string;
}

/** Where the top row of the transcript's view is: an item, and a row in it. */
export interface Anchor {
  readonly item: number;
  readonly row: number;
}

export type Panel =
  | { readonly kind: 'help'; readonly top: number }
  | { readonly kind: 'settings'; readonly chosen: number; readonly value?: Editor; readonly problem?: string }
  | { readonly kind: 'search'; readonly query: Editor; readonly at?: Anchor; readonly missing: boolean };

export interface State {
  readonly columns: number;
  readonly rows: number;
  readonly now: number;
  /** The card's name, known before the model is there. */
  readonly title: string;
  /** Absent while the model is loading. */
  readonly chat?: ChatState;
  readonly loading: { readonly text: string; readonly share?: number; readonly since: number };
  readonly pending?: Pending;
  readonly results: ReadonlyMap<number, ReplyResult>;
  /** What stood for a turn in the layout's memory while its reply ran, and goes on doing so. */
  readonly keys: ReadonlyMap<number, object>;
  readonly notes: readonly Note[];
  readonly input: Editor;
  /** What is sent as soon as the model is there. */
  readonly queued?: string;
  /** The turn in whose place the input will branch off. */
  readonly replaces?: number;
  /** Earlier prompts, oldest first, and which one the input shows. */
  readonly prompts: readonly string[];
  readonly recalled?: { readonly at: number; readonly draft: Editor };
  /** `undefined`: the view follows the newest text. */
  readonly anchor?: Anchor;
  /** Text has come below the view. */
  readonly unseen: boolean;
  readonly panel?: Panel;
  /** One line in the status bar until the next key. */
  readonly notice?: { readonly text: string; readonly role: 'muted' | 'error' | 'warning' };
  /** The key that does something the second time. */
  readonly armed?: { readonly key: string; readonly until: number };
  readonly mouse: boolean;
  readonly context?: ContextUse;
  readonly cpuPercent?: number | undefined;
  readonly temperature?: number | undefined;
}

/** What happens to the program. */
export type Message =
  | Input
  | { readonly kind: 'resize'; readonly columns: number; readonly rows: number }
  | { readonly kind: 'tick'; readonly now: number }
  | { readonly kind: 'loading'; readonly text: string; readonly share?: number }
  | { readonly kind: 'opened'; readonly chat: ChatState }
  | { readonly kind: 'prompts'; readonly prompts: readonly string[] }
  /** `said`: the whole reply so far, for it is kept elsewhere already. */
  | { readonly kind: 'chunk'; readonly said: string; readonly tokens: number; readonly now: number }
  | { readonly kind: 'ended'; readonly conversation: Conversation; readonly result: ReplyResult }
  | { readonly kind: 'failed'; readonly error: AxllmError; readonly conversation: Conversation }
  /** `loaded`: the conversation to go on with, where a saved one was asked for. */
  | { readonly kind: 'performed'; readonly loaded?: Conversation; readonly effects: readonly FrontEffect[] }
  | { readonly kind: 'edited'; readonly text: string }
  | { readonly kind: 'notice'; readonly text: string; readonly error: boolean }
  | { readonly kind: 'measured'; readonly use: ContextUse }
  | {
      readonly kind: 'telemetry';
      readonly cpuPercent: number;
      readonly temperature: number | undefined;
    };

/** What the program is to do outside. */
export type Effect =
  | { readonly kind: 'reply'; readonly text: string; readonly chat: ChatState }
  | { readonly kind: 'cancel' }
  | { readonly kind: 'perform'; readonly effect: ServiceEffect; readonly chat: ChatState }
  | { readonly kind: 'remember'; readonly text: string }
  | { readonly kind: 'editor'; readonly text: string }
  | { readonly kind: 'measure'; readonly draft: string; readonly chat: ChatState }
  | { readonly kind: 'mouse'; readonly on: boolean }
  | { readonly kind: 'suspend' }
  | { readonly kind: 'redraw' }
  | { readonly kind: 'leave' };

export type Next = readonly [State, readonly Effect[]];

export function initialState(title: string, columns: number, rows: number, now: number): State {
  return {
    columns,
    rows,
    now,
    title,
    mouse: true,
    unseen: false,
    loading: { text: 'starting', since: now },
    results: new Map(),
    keys: new Map(),
    notes: [],
    input: emptyEditor,
    prompts: [],
  };
}

/** `state` without some of its optional parts. */
export function without<Key extends keyof State>(state: State, ...keys: Key[]): State {
  const rest: Record<string, unknown> = { ...state };
  for (const key of keys) delete rest[key];
  return rest as unknown as State;
}
