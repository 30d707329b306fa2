/**
 * What was said, as a value: every function returns a new conversation. Turns form a tree, so that editing an
 * earlier message starts a branch and loses nothing. Knows no device and no terminal.
 */
import type { Message } from '../native.js';

/** One message and its reply. */
export interface Turn {
  /** Its place in {@link Conversation.turns}; stays the same for the conversation's life. */
  readonly id: number;
  /** The turn before it; `null` where a conversation begins. */
  readonly parent: number | null;
  readonly user: string;
  /** A reply that was stopped half-way counts as said. */
  readonly assistant: string;
}

export interface Conversation {
  /** Sent first; `undefined` leaves it to the model's own template. */
  readonly system: string | undefined;
  /** Off: every message stands alone; the turns are still kept, for copying and saving. */
  readonly history: boolean;
  /** The turns of every branch, in the order they were said. */
  readonly turns: readonly Turn[];
  /** The last turn of the branch that is being spoken; `null`: nothing said yet. */
  readonly head: number | null;
}

export function newConversation(system?: string, history = true): Conversation {
  return { system, history, turns: [], head: null };
}

/** The turns of the branch that is being spoken, oldest first. */
export function branch({ turns, head }: Conversation): Turn[] {
  const path: Turn[] = [];
  for (let at = head; at !== null; at = path.at(-1)!.parent) path.push(turns[at]!);
  return path.toReversed();
}

/** The last turn of the branch that is being spoken. */
export function lastTurn({ turns, head }: Conversation): Turn | undefined {
  return head === null ? undefined : turns[head];
}

/** Keeps a turn after the ones before; an empty reply was never said. */
export function withTurn(conversation: Conversation, user: string, assistant: string): Conversation {
  if (assistant === '') return conversation;
  const { turns, head } = conversation;
  const turn: Turn = { id: turns.length, parent: head, user, assistant };
  return { ...conversation, turns: [...turns, turn], head: turn.id };
}

/** Goes back to before turn `id`: what is said next branches off there. The turns themselves stay. */
export function before(conversation: Conversation, id: number): Conversation {
  const turn = conversation.turns[id];
  return turn ? { ...conversation, head: turn.parent } : conversation;
}

/** Goes back to before the last turn: undo, and the first half of asking again. */
export function withoutLast(conversation: Conversation): Conversation {
  return conversation.head === null ? conversation : before(conversation, conversation.head);
}

/** The turns said in the place of turn `id`, itself included: the versions of an edited message. */
export function versions({ turns }: Conversation, id: number): Turn[] {
  return turns.filter(({ parent }) => parent === turns[id]?.parent);
}

/** Goes to the newest end of the branch that holds turn `id`. */
export function switchTo(conversation: Conversation, id: number): Conversation {
  if (!conversation.turns[id]) return conversation;
  let head = id;
  // a turn comes after its parent, so one pass finds the newest descendant
  for (const turn of conversation.turns) if (turn.parent === head) head = turn.id;
  return { ...conversation, head };
}

/** Forgets every turn and keeps the system prompt. */
export function cleared(conversation: Conversation): Conversation {
  return { ...conversation, turns: [], head: null };
}

export function withSystem(conversation: Conversation, system: string | undefined): Conversation {
  return { ...conversation, system };
}

/** The turns of the branch as messages, without the system prompt. */
export function spoken(conversation: Conversation): Message[] {
  return branch(conversation).flatMap(({ user, assistant }): Message[] => [
    { role: 'user', content: user },
    { role: 'assistant', content: assistant },
  ]);
}

/** Everything to send for `text`: system prompt, earlier turns, the new message. */
export function messagesFor(conversation: Conversation, text: string): Message[] {
  const { system, history } = conversation;
  const first: Message[] = system === undefined ? [] : [{ role: 'system', content: system }];
  return [...first, ...(history ? spoken(conversation) : []), { role: 'user', content: text }];
}
