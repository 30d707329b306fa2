/** Says a reply: text to stdout as it comes, everything about it to the log. */
import type { Context } from '../context.js';
import { AxllmError, Stopped, asAxllmError } from '../errors.js';
import type { ModelInfo } from '../native.js';
import { createSanitiser } from '../sanitise.js';
import type { ReplyResult, ReplyStream } from '../stream.js';
import { write, type Log, type Output } from '../terminal.js';
import { statisticsLines, type Telemetry } from './stats.js';

/** Where a reply and the talk about it go. */
export interface Voice {
  readonly context: Context;
  readonly log: Log;
  readonly show: Telemetry;
  /** Leave the text as the model wrote it. */
  readonly raw?: boolean;
  /** Earlier turns that no longer fit and were spoken of already. */
  readonly droppedTurns?: number;
  /** Off: the text is written when it is complete. Default: on. */
  readonly stream?: boolean;
}

/** Streams the reply and one newline; a reply that fails half-way stays, and its error says so. */
export async function answer(reply: ReplyStream, info: ModelInfo, voice: Voice): Promise<ReplyResult> {
  const { context, log, show, droppedTurns } = voice;
  const result = await speak(reply, context.stdout, voice);
  remark(result, log, droppedTurns);
  for (const line of statisticsLines(result, info.pipeline, show)) log.info(line);
  return result;
}

/** Says what a reader of the text alone would not know. */
export function remark(result: ReplyResult, log: Log, known = 0): void {
  if (result.droppedTurns > known) {
    const turns = result.droppedTurns === 1 ? '1 earlier turn' : `${result.droppedTurns} earlier turns`;
    log.info(`The context is full: the model no longer sees ${turns}`);
  }
  if (result.finishReason === 'length') log.info(`The reply was cut at ${result.completionTokens} tokens`);
}

async function speak(
  reply: ReplyStream,
  out: Output,
  { raw = false, stream = true }: Voice,
): Promise<ReplyResult> {
  const sanitiser = raw ? { push: (text: string) => text, end: () => '' } : createSanitiser();
  let tokens = 0;
  let broken = false;
  let held = '';
  const say = async (text: string, last = false) => {
    held += text;
    if (!stream && !last) return;
    try {
      await write(out, held);
      held = '';
    } catch (error) {
      broken = true;
      throw error;
    }
  };
  try {
    for await (const chunk of reply) {
      tokens += chunk.tokens;
      await say(sanitiser.push(chunk.text));
    }
  } catch (error) {
    if (broken || tokens === 0) throw error;
    await say(`${sanitiser.end()}\n`, true);
    throw error instanceof Stopped ? error : incomplete(error, tokens);
  }
  await say(`${sanitiser.end()}\n`, true);
  return reply.result;
}

/** The error of a reply that failed after `tokens` tokens. */
export function incomplete(cause: unknown, tokens: number): AxllmError {
  const { code, message, hint } = asAxllmError(cause);
  const said = tokens === 1 ? '1 token' : `${tokens} tokens`;
  return new AxllmError(code, `The reply is incomplete, it ends after ${said}: ${message}`, { cause, hint });
}
