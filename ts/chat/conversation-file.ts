/** A conversation as a JSON file, read back with suspicion, and as Markdown for people. */
import { z } from 'zod';
import { AxllmError } from '../errors.js';
import { branch, type Conversation } from './conversation.js';

const version = 1;

const turn = z.strictObject({
  id: z.int().nonnegative(),
  parent: z.int().nonnegative().nullable(),
  user: z.string(),
  assistant: z.string(),
});

const file = z
  .strictObject({
    version: z.literal(version),
    /** The card's name: for the reader, it does not bind. */
    model: z.string(),
    saved: z.iso.datetime(),
    system: z.string().optional(),
    history: z.boolean(),
    head: z.int().nonnegative().nullable(),
    turns: z.array(turn),
  })
  .refine(({ turns }) => turns.every(({ id, parent }, at) => id === at && (parent ?? -1) < at), {
    message: 'turns are numbered from 0, each after its parent',
  })
  .refine(({ head, turns }) => head === null || head < turns.length, {
    message: 'head is one of the turns',
  });

/** The text of a conversation's file. */
export function toJson(conversation: Conversation, model: string, saved = new Date()): string {
  const { system, history, head, turns } = conversation;
  const content: z.input<typeof file> = {
    version,
    model,
    saved: saved.toISOString(),
    ...(system === undefined ? {} : { system }),
    history,
    head,
    turns: [...turns],
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

/** Reads the text of a conversation's file; `where` names it in the complaint. */
export function fromJson(text: string, where: string): Conversation {
  const parsed = file.safeParse(json(text));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const place = issue?.path.length ? `${issue.path.join('.')}: ` : '';
    throw new AxllmError('bad_conversation', `${where} is not a conversation: ${place}${issue?.message}`, {
      hint: '/load alone lists the saved ones',
    });
  }
  const { system, history, head, turns } = parsed.data;
  return { system, history, head, turns };
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
