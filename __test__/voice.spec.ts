/** How a reply is said: text that is not trusted, on a terminal and in a pipe, whole and in pieces. */
import { Writable } from 'node:stream';
import test from 'ava';
import { answer, type Voice } from '../ts/chat/voice.js';
import type { Context } from '../ts/context.js';
import { AxllmError } from '../ts/errors.js';
import type { Chunk, NativeReply, ReplyResult } from '../ts/native.js';
import { ReplyStream } from '../ts/stream.js';

const hostile = 'one\u001b]52;c;aGk=\u0007 two\u009b2J\r three\u202e \u{1f422}';
const harmless = 'one^[]52;c;aGk=^G two<U+009B>2J^M three<U+202E> \u{1f422}\n';

const result = { finishReason: 'stop', completionTokens: 4, droppedTurns: 0 } as ReplyResult;

/** A reply of these pieces, which ends with `failure` where there is one. */
function reply(pieces: readonly string[], failure?: Error): ReplyStream {
  const rest = [...pieces];
  const native = {
    next: async (): Promise<Chunk | null> => {
      const text = rest.shift();
      if (text === undefined && failure) throw failure;
      return text === undefined ? null : { text, tokens: 1 };
    },
    cancel: () => undefined,
    result: () => result,
  };
  return new ReplyStream({ start: () => native as NativeReply });
}

async function said(
  pieces: readonly string[],
  options: Partial<Voice> & { isTTY?: boolean; failure?: Error },
) {
  const { isTTY = false, failure, ...voice } = options;
  let text = '';
  const write = (chunk: unknown, _: string, done: () => void) => {
    text += String(chunk);
    done();
  };
  const stdout = Object.assign(new Writable({ decodeStrings: false, write }), { isTTY });
  const lines: string[] = [];
  const log = {
    debug: () => undefined,
    info: (line: string) => void lines.push(line),
    warning: () => undefined,
  };
  const context = { stdout } as unknown as Context;
  const error = await answer(reply(pieces, failure), { pipeline: 'transformers' } as never, {
    context,
    log,
    show: { stats: false },
    ...voice,
  }).then(
    () => undefined,
    (reason: unknown) => reason as Error,
  );
  return { text, error, lines };
}

test('what could drive a terminal is visible, in a pipe too, however it is cut', async (t) => {
  for (const isTTY of [true, false]) {
    t.is((await said([hostile], { isTTY })).text, harmless);
    t.is((await said(hostile.split(''), { isTTY })).text, harmless);
    t.is((await said(hostile.split(''), { isTTY, stream: false })).text, harmless);
  }
});

test('--raw leaves it as it is', async (t) => {
  for (const isTTY of [true, false]) t.is((await said([hostile], { isTTY, raw: true })).text, `${hostile}\n`);
});

test('a reply that fails half-way is kept, with --no-stream too, and its error says after how much', async (t) => {
  const failure = new AxllmError('device_failed', 'gone');
  for (const stream of [true, false]) {
    const { text, error } = await said(['one ', 'two'], { failure, stream });
    t.is(text, 'one two\n');
    t.is(error?.message, 'The reply is incomplete, it ends after 2 tokens: gone');
  }
  const { text, error } = await said([], { failure });
  t.deepEqual([text, error], ['', failure]);
});
