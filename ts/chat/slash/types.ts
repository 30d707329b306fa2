/** What slash commands work on and ask for. Commands are pure: the effects are carried out by the front end. */
import type { AxllmError } from '../../errors.js';
import type { ModelInfo, ReplyResult } from '../../native.js';
import type { Conversation } from '../conversation.js';
import type { Settings } from '../settings.js';

/** What every front end's chat is made of. */
export interface ChatState {
  readonly conversation: Conversation;
  readonly settings: Settings;
  /** The card's name. */
  readonly modelName: string;
  readonly info: ModelInfo;
  /** How the last reply went; absent before the first one. */
  readonly lastResult?: ReplyResult | undefined;
}

/** What a front end does in its own way. */
export type FrontEffect =
  | { readonly kind: 'say'; readonly lines: readonly string[] }
  | { readonly kind: 'complain'; readonly error: AxllmError }
  /** Ask the model. */
  | { readonly kind: 'send'; readonly text: string }
  /** Put `text` into the input; when it is sent, it branches off in the place of turn `replaces`. */
  | { readonly kind: 'compose'; readonly text: string; readonly replaces: number }
  | { readonly kind: 'clear-screen' }
  | { readonly kind: 'leave' };

/** What `perform` does for all front ends. */
export type ServiceEffect =
  | { readonly kind: 'copy'; readonly text: string; readonly what: string }
  | { readonly kind: 'save'; readonly name: string | undefined }
  | { readonly kind: 'export'; readonly path: string }
  | { readonly kind: 'load'; readonly name: string | undefined }
  | { readonly kind: 'read'; readonly path: string; readonly prompt: string }
  | { readonly kind: 'context' }
  | { readonly kind: 'devices' };

export type Effect = FrontEffect | ServiceEffect;
export type Next = readonly [ChatState, readonly Effect[]];

/** A row of the table. */
export interface SlashCommand {
  /** Without the slash. */
  readonly name: string;
  readonly aliases?: readonly string[];
  /** How arguments are written, for the help. */
  readonly usage?: string;
  readonly help: string;
  /** `args` is what follows the word, trimmed. May throw an `AxllmError`, which is shown. */
  run(state: ChatState, args: string): Next;
}

export const say = (...lines: string[]): FrontEffect => ({ kind: 'say', lines });
