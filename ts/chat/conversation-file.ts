/** A conversation as a JSON file, read back with suspicion, and as Markdown for people. */
import { AxllmError } from '../errors.js';
import { branch, type Conversation, type Turn } from './conversation.js';

const version = 1;

/** A conversation's file. Checked by hand: the page reads it too, and a library for schemas would double its size. */
interface File extends Conversation {
  readonly version: typeof version;
  /** The card's name: for the reader, it does not bind. */
  readonly model: string;
  /** When, as ISO 8601 says it. */
  readonly saved: string;
}

/** The text of a conversation's file. */
export function toJson(conversation: Conversation, model: string, saved = new Date()): string {
  const { system, history, head, turns } = conversation;
  const content: File = {
    version,
    model,
    saved: saved.toISOString(),
    system,
    history,
    head,
    turns,
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

/** Reads the text of a conversation's file; `where` names it in the complaint. */
export function fromJson(text: string, where: string): Conversation {
  const refuse = (why: string): never => {
    throw new AxllmError('bad_conversation', `${where} is not a conversation: ${why}`, {
      hint: '/load alone lists the saved ones',
    });
  };
  const file = fields(json(text)) ?? refuse('it is no JSON object');
  const stranger = Object.keys(file).find((name) => !known.has(name));
  if (stranger !== undefined) refuse(`${JSON.stringify(stranger)} is unknown`);
  if (file.version !== version) refuse(`version is ${JSON.stringify(file.version)}, not ${version}`);
  const { model, saved, system, history, head } = file;
  if (typeof model !== 'string') refuse('model is no text');
  if (typeof saved !== 'string' || Number.isNaN(Date.parse(saved))) refuse('saved is no date');
  if (system !== undefined && typeof system !== 'string') refuse('system is no text');
  if (typeof history !== 'boolean') refuse('history is neither true nor false');
  if (!Array.isArray(file.turns)) refuse('turns is no list');
  const turns = (file.turns as unknown[]).map(
    (turn, at) => turnOf(turn, at) ?? refuse(`turns.${at}: ${rule}`),
  );
  if (head !== null && !isTurn(head, turns.length)) refuse('head is none of the turns');
  return { system, history, head, turns } as Conversation;
}

const known = new Set(['version', 'model', 'saved', 'system', 'history', 'head', 'turns']);
const rule = 'a turn has its own number, from 0, an earlier turn before it, and two texts';

function turnOf(value: unknown, at: number): Turn | undefined {
  const turn = fields(value);
  if (!turn || Object.keys(turn).length !== 4) return undefined;
  const { id, parent, user, assistant } = turn;
  const placed = id === at && (parent === null || isTurn(parent, at));
  if (!placed || typeof user !== 'string' || typeof assistant !== 'string') return undefined;
  return { id: at, parent, user, assistant };
}

/** Whether `value` is the number of one of `count` turns. */
function isTurn(value: unknown, count: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < count;
}

function fields(value: unknown): Record<string, unknown> | undefined {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isObject ? (value as Record<string, unknown>) : undefined;
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The branch being spoken as Markdown. Replies are Markdown already and stand as they are. */
export function toMarkdown(conversation: Conversation, model: string): string {
  const { system } = conversation;
  const parts = [`# Conversation with ${model}`];
  if (system !== undefined) parts.push(`> ${system.replace(/\n/g, '\n> ')}`);
  for (const { user, assistant } of branch(conversation)) {
    parts.push('## User', user, '## Assistant', assistant);
  }
  return `${parts.join('\n\n')}\n`;
}
