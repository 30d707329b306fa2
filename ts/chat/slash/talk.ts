/** The commands about what was said: turns, replies, saved conversations. */
import { marked, type Token } from 'marked';
import { AxllmError, UsageError } from '../../errors.js';
import {
  branch,
  cleared,
  lastTurn,
  switchTo,
  versions,
  withSystem,
  withoutLast,
  type Turn,
} from '../conversation.js';
import { say, type ChatState, type SlashCommand } from './types.js';

export const talkCommands: readonly SlashCommand[] = [
  {
    name: 'clear',
    help: 'forget the conversation and wipe the screen (also: clear)',
    run: (state) => [forgotten(state), [{ kind: 'clear-screen' }]],
  },
  {
    name: 'new',
    help: 'start a new conversation',
    run: (state) => [forgotten(state), [say('A new conversation begins')]],
  },
  {
    name: 'system',
    usage: '[TEXT|none]',
    help: 'show or change the system prompt',
    run: (state, args) => system(state, args),
  },
  {
    name: 'regen',
    aliases: ['retry'],
    help: 'answer the last message again',
    run(state) {
      const { user } = required(state);
      return [{ ...state, conversation: withoutLast(state.conversation) }, [{ kind: 'send', text: user }]];
    },
  },
  {
    name: 'undo',
    help: 'take the last message and its reply back',
    run(state) {
      const { user } = required(state);
      const taken = say(`Taken back: ${excerpt(user)}`);
      return [{ ...state, conversation: withoutLast(state.conversation) }, [taken]];
    },
  },
  {
    name: 'edit',
    usage: '[N]',
    help: 'change message N (default: the last) and go on from there',
    run(state, args) {
      const { user, id } = numbered(state, args);
      return [state, [{ kind: 'compose', text: user, replaces: id }]];
    },
  },
  {
    name: 'copy',
    usage: '[N|code]',
    help: 'copy reply N (default: the last), or its last code block',
    run: (state, args) => [state, [args === 'code' ? copyCode(state) : copyReply(state, args)]],
  },
  {
    name: 'save',
    usage: '[NAME]',
    help: 'save the conversation; NAME.md saves it as Markdown here',
    run(state, args) {
      required(state);
      if (args.endsWith('.md')) return [state, [{ kind: 'export', path: args }]];
      return [state, [{ kind: 'save', name: args || undefined }]];
    },
  },
  {
    name: 'load',
    usage: '[NAME]',
    help: 'go on with a saved conversation; without NAME list them',
    run: (state, args) => [state, [{ kind: 'load', name: args || undefined }]],
  },
  {
    name: 'read',
    aliases: ['input'],
    usage: 'FILE [PROMPT]',
    help: 'send the text of a file, and PROMPT after it',
    run(state, args) {
      const match = /^(?:"([^"]+)"|(\S+))\s*(.*)$/s.exec(args);
      if (!match) throw new UsageError('/read needs a file', '/read "FILE NAME" what to do with it');
      return [state, [{ kind: 'read', path: (match[1] ?? match[2])!, prompt: match[3]!.trim() }]];
    },
  },
  {
    name: 'version',
    usage: '[N]',
    help: 'the next version of message N (default: the last with several)',
    run: (state, args) => otherVersion(state, args),
  },
  {
    name: 'history',
    help: 'list the messages of this conversation, numbered',
    run: (state) => [state, [say(...listing(state))]],
  },
];

/** What `/clear` and `/system` share: the text that stands for "the model's own". */
export function system(
  state: ChatState,
  args: string,
): readonly [ChatState, readonly [ReturnType<typeof say>]] {
  const { conversation } = state;
  if (args === '') return [state, [say(`System prompt: ${conversation.system ?? "(the model's own)"}`)]];
  const text = args === 'none' ? undefined : args;
  const changed = say(text === undefined ? 'No system prompt from now on' : 'System prompt changed');
  return [{ ...state, conversation: withSystem(conversation, text) }, [changed]];
}

function forgotten(state: ChatState): ChatState {
  return { ...state, conversation: cleared(state.conversation), lastResult: undefined };
}

function required({ conversation }: ChatState): Turn {
  const turn = lastTurn(conversation);
  if (turn) return turn;
  throw new AxllmError('nothing_said', 'Nothing has been said yet', { hint: 'type a message first' });
}

function numbered(state: ChatState, args: string): Turn {
  const last = required(state);
  if (args === '') return last;
  const turns = branch(state.conversation);
  const turn = /^\d+$/.test(args) ? turns[Number(args) - 1] : undefined;
  if (turn) return turn;
  throw new UsageError(
    `There is no message ${JSON.stringify(args)}, they count from 1 to ${turns.length}`,
    '/history lists them',
  );
}

/** Goes round among the versions of a message that was edited or answered again. */
function otherVersion(
  state: ChatState,
  args: string,
): readonly [ChatState, readonly [ReturnType<typeof say>]] {
  const { conversation } = state;
  const turns = branch(conversation);
  const several = (turn: Turn) => versions(conversation, turn.id).length > 1;
  const turn = args === '' ? turns.findLast(several) : numbered(state, args);
  if (!turn || !several(turn)) {
    throw new AxllmError(
      'no_version',
      args === '' ? 'No message has another version' : `Message ${args} has no other version`,
      {
        hint: '/edit N and /regen make one',
      },
    );
  }
  const all = versions(conversation, turn.id);
  const at = (all.findIndex(({ id }) => id === turn.id) + 1) % all.length;
  const told = say(`Message ${turns.indexOf(turn) + 1}: version ${at + 1} of ${all.length}`);
  return [{ ...state, conversation: switchTo(conversation, all[at]!.id) }, [told]];
}

function copyReply(state: ChatState, args: string) {
  const what = args === '' ? 'the last reply' : `reply ${args}`;
  return { kind: 'copy', text: numbered(state, args).assistant, what } as const;
}

function copyCode(state: ChatState) {
  const blocks: string[] = [];
  marked.walkTokens(marked.lexer(required(state).assistant), (token: Token) => {
    if (token.type === 'code') blocks.push(String(token.text));
  });
  const text = blocks.at(-1);
  if (text === undefined) throw new AxllmError('no_code', 'The last reply holds no code block');
  return { kind: 'copy', text, what: 'the last code block' } as const;
}

function listing({ conversation }: ChatState): string[] {
  const turns = branch(conversation);
  if (turns.length === 0) return ['Nothing has been said yet'];
  return turns.map((turn, at) => {
    const others = versions(conversation, turn.id).length - 1;
    const branches = others === 0 ? '' : ` (+${others} ${others === 1 ? 'version' : 'versions'})`;
    return `${String(at + 1).padStart(3)}  ${excerpt(turn.user)}${branches}`;
  });
}

function excerpt(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  const characters = [...line];
  return characters.length > 60 ? `${characters.slice(0, 59).join('')}…` : line;
}
