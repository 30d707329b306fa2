/** What follows from keys, commands and replies: the steps that update and actions share. */
import { before } from '../chat/conversation.js';
import type { FrontEffect } from '../chat/slash/types.js';
import type { AxllmError } from '../errors.js';
import { sanitise } from '../sanitise.js';
import { editorOf, emptyEditor } from './editor.js';
import { without, type Effect, type Next, type State } from './state.js';

/** `state` with the view at `anchor`; at the newest text nothing is unseen. */
export function follow(state: State, anchor: State['anchor']): State {
  return anchor ? { ...state, anchor } : { ...without(state, 'anchor'), unseen: false };
}

/** `state` without what belongs to the turns of a conversation that is gone. */
export function begun(state: State): State {
  return { ...without(follow(state, undefined), 'replaces'), notes: [], results: new Map(), keys: new Map() };
}

/** Adds a remark after what was said so far. */
export function remarked(state: State, lines: readonly string[], role: 'muted' | 'error'): State {
  const after = state.chat ? state.chat.conversation.head : null;
  return { ...state, notes: [...state.notes, { after, role, text: sanitise(lines.join('\n')) }] };
}

/** Adds an error to the transcript, with the part of a reply that it cut off. */
export function complained(state: State, error: AxllmError, partial?: string): State {
  const told = partial === undefined ? state : remarked(state, [partial], 'muted');
  const lines = [`ERROR: ${error.message} [${error.code}]`, ...(error.hint ? [`hint: ${error.hint}`] : [])];
  return remarked(told, lines, 'error');
}

/** Asks the model; the view goes back to the newest text. */
export function send(state: State, text: string): Next {
  const { chat, replaces } = state;
  if (!chat) return [state, []];
  const conversation = replaces === undefined ? chat.conversation : before(chat.conversation, replaces);
  const from = { ...chat, conversation };
  const pending = { key: {}, user: text, text: '', tokens: 0, since: state.now, stopping: false };
  const next = { ...without(follow(state, undefined), 'replaces', 'panel'), chat: from, pending };
  return [next, [{ kind: 'reply', text, chat: from }]];
}

/** Carries out what a slash command asks of a front end; what it says at the end of the transcript comes into view. */
export function fronted(state: State, effects: readonly FrontEffect[]): Next {
  let next = state;
  const wanted: Effect[] = [];
  for (const effect of effects) {
    switch (effect.kind) {
      case 'say':
        next =
          effect.lines.length === 1
            ? { ...next, notice: { text: effect.lines[0]!, role: 'muted' } }
            : remarked(follow(next, undefined), effect.lines, 'muted');
        break;
      case 'complain':
        next = complained(follow(next, undefined), effect.error);
        break;
      case 'send': {
        const [sent, more] = send(next, effect.text);
        next = sent;
        wanted.push(...more);
        break;
      }
      case 'compose':
        next = { ...next, input: editorOf(effect.text), replaces: effect.replaces };
        break;
      case 'clear-screen':
        next = { ...begun(next), input: emptyEditor };
        break;
      case 'leave':
        wanted.push({ kind: 'leave' });
        break;
      default:
        effect satisfies never;
    }
  }
  return [next, wanted];
}
