/** Says a reply: text to stdout as it comes, everything about it to the log. */
import type { Context } from '../context.js';
import { AxllmError, Stopped, asAxllmError } from '../errors.js';
import type { ModelInfo } from '../native.js';
import { createSanitiser } from '../sanitise.js';
import type { ReplyResult, ReplyStream } from '../stream.js';
import { write, type Log, type Output } from '../terminal.js';
import { statisticsLines } from './stats.js';

/** Where a reply and the talk about it go. */
export interface Voice {
  readonly context: Context;
  readonly log: Log;
  readonly showStats: boolean;
}

/** Streams the reply and one newline; a reply that fails half-way stays, and its error says so. */
export async function answer(reply: ReplyStream, info: ModelInfo, { context, log, showStats }: Voice) {
  const result = await speak(reply, context.stdout);
  if (result.droppedTurns > 0) {
    const turns = result.droppedTurns === 1 ? '1 earlier turn' : `${result.droppedTurns} earlier turns`;
    log.info(`The context is full: the model no longer sees ${turns}`);
  }
  if (result.finishReason === 'length') log.info(`The reply was cut at ${result.completionTokens} tokens`);
  if (showStats) for (const line of statisticsLines(result, info.pipeline)) log.info(line);
}

async function speak(reply: ReplyStream, out: Output): Promise<ReplyResult> {
  const sanitiser = out.isTTY ? createSanitiser() : { push: (text: string) => text, end: () => '' };
  let tokens = 0;
  let broken = false;
  const say = async (text: string) => {
    try {
      await write(out, text);
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
    await say(`${sanitiser.end()}\n`);
    throw error instanceof Stopped ? error : incomplete(error, tokens);
  }
  await say(`${sanitiser.end()}\n`);
  return reply.result;
}

function incomplete(cause: unknown, tokens: number): AxllmError {
  const { code, message, hint } = asAxllmError(cause);
  const said = tokens === 1 ? '1 token' : `${tokens} tokens`;
  return new AxllmError(code, `The reply is incomplete, it ends after ${said}: ${message}`, { cause, hint });
}
