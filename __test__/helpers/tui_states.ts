/** States of the full-screen chat that the golden screens show; made by messages, as in life. */
import { newConversation, withTurn, type Conversation } from '../../ts/chat/conversation.js';
import type { ChatState } from '../../ts/chat/slash/types.js';
import { settingsOf } from '../../ts/chat/settings.js';
import { AxllmError } from '../../ts/errors.js';
import type { ReplyResult } from '../../ts/native.js';
import { resolve } from '../../ts/resolve.js';
import { initialState, type Message, type State } from '../../ts/tui/state.js';
import { update } from '../../ts/tui/update.js';

export const sizes = [
  [80, 24],
  [120, 40],
  [40, 12],
] as const;

export const result: ReplyResult = {
  finishReason: 'stop',
  promptTokens: 40,
  completionTokens: 21,
  cachedTokens: 0,
  droppedTurns: 0,
  tokenizeMs: 0.4,
  prefillMs: 0.0031,
  ttftMs: 573,
  promptMs: 500,
  decodeMs: 1500,
  genMs: 2111,
  tokensPerSecond: 9.95,
  cpuPercent: 1.8,
  coreTemperature: 34,
};

export const markdown = `# Reading a file

Call **open** and *read* it; see [the docs](https://example.org/fs) or \`man 2 open\`.

1. open it
2. read it, 日本語 and 👩‍👩‍👧 too
   - in pieces
   - or as a whole

| call  | cost | note |
|:------|-----:|:----:|
| open  |    1 | once |
| read  |   12 | for each piece of the file that is longer than one would like |

\`\`\`ts
import { readFile } from 'node:fs/promises';
const text: string = await readFile('a.txt', 'utf8'); // all of it
\`\`\`

> Closing is done
> for you.`;

export function chatState(conversation: Conversation): ChatState {
  const info = {
    pipeline: 'transformers-aipu' as const,
    device: 'metis-0:1:0',
    vocabSize: 128256,
    embeddingDim: 2048,
    contextLength: 1024,
    isa: '',
    threads: 0,
    notes: [],
  };
  const { values } = resolve('run', {});
  return { conversation, settings: settingsOf(values), modelName: 'llama-3-2-1b', info };
}

export function play(state: State, ...messages: readonly Message[]): State {
  return messages.reduce((last, message) => update(last, message)[0], state);
}

export const key = (name: string): Message => ({ kind: 'key', key: name });
export const text = (typed: string): Message => ({ kind: 'text', text: typed });

const use = { total: 1024, system: 60, history: 300, message: 12, reserve: 128, droppedTurns: 0 };

/** An empty chat whose model is there. */
export function opened(columns: number, rows: number, conversation = newConversation('Be brief.')): State {
  const start = initialState('llama-3-2-1b', columns, rows, 1_000);
  return play(start, { kind: 'opened', chat: chatState(conversation) }, { kind: 'measured', use });
}

export const asked = (question: string): Message[] => [text(question), key('Enter')];
export const chunk = (said: string, tokens = 1): Message => ({
  kind: 'chunk',
  said,
  tokens,
  now: 1_600,
});

/** A conversation of this many turns; each answer is that many lines. */
export function longHistory(count: number, lines = 2): Conversation {
  const places = ['first line', 'second line', 'a line of as many words as one has in the middle of a text'];
  const turns = Array.from({ length: count }, (_, id) => ({
    id,
    parent: id === 0 ? null : id - 1,
    user: `Question ${id + 1}?`,
    assistant: Array.from({ length: lines }, (__, n) => `Answer ${id + 1}, ${places[Math.min(n, 2)]}.`).join(
      '\n\n',
    ),
  }));
  return { ...newConversation('Be brief.'), turns, head: count === 0 ? null : count - 1 };
}

const finished = (columns: number, rows: number) => {
  const said = withTurn(newConversation('Be brief.'), 'How do I read a file?', markdown);
  const state = play(opened(columns, rows), ...asked('How do I read a file?'));
  return play(state, chunk(markdown, 21), { kind: 'ended', conversation: said, result });
};

export const scenarios: Readonly<Record<string, (columns: number, rows: number) => State>> = {
  loading: (columns, rows) =>
    play(initialState('llama-3-2-1b', columns, rows, 1_000), {
      kind: 'loading',
      text: 'downloading model.gguf',
      share: 0.42,
    }),
  empty: opened,
  waiting: (columns, rows) => play(opened(columns, rows), ...asked('Why?'), { kind: 'tick', now: 2_500 }),
  streaming: (columns, rows) =>
    play(opened(columns, rows), ...asked('How do I read a file?'), chunk(markdown.slice(0, 90), 21), {
      kind: 'tick',
      now: 3_100,
    }),
  finished,
  scrolled: (columns, rows) =>
    play(opened(columns, rows, longHistory(40)), key('PageUp'), key('PageUp'), { kind: 'wheel', step: -1 }),
  settings: (columns, rows) =>
    play(finished(columns, rows), key('F3'), key('Down'), key('Enter'), text('.7')),
  help: (columns, rows) => play(opened(columns, rows), key('F1')),
  error: (columns, rows) =>
    play(opened(columns, rows), ...asked('Hello?'), chunk('Well, '), {
      kind: 'failed',
      conversation: newConversation('Be brief.'),
      error: new AxllmError('device_lost', 'the device does not answer', {
        hint: 'axllm doctor looks for the cause',
      }),
    }),
  dropped: (columns, rows) =>
    play(opened(columns, rows, longHistory(3)), {
      kind: 'measured',
      use: { ...use, history: 820, droppedTurns: 2 },
    }),
  pasted: (columns, rows) =>
    play(opened(columns, rows), text('look at '), { kind: 'paste', text: 'a line\n'.repeat(40).trimEnd() }),
};
