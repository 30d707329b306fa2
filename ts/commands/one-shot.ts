/** One reply: as text, as one JSON object, or as JSON lines while it comes. */
import { randomUUID } from 'node:crypto';
import { statisticsLines } from '../chat/stats.js';
import { answer, incomplete, remark } from '../chat/voice.js';
import { AlreadyReported, Stopped, asAxllmError } from '../errors.js';
import type { Talk } from '../front-end.js';
import type { ModelInfo } from '../native.js';
import { errorObject } from '../report.js';
import type { ReplyResult, ReplyStream } from '../stream.js';
import { writeJson } from '../terminal.js';

/** Answers `prompt` on stdout and ends. */
export async function oneShot(prompt: string, talk: Talk): Promise<void> {
  const { model, context, values, chatOptions, voice, log } = talk;
  const chat = model.chat(chatOptions);
  const reply = chat.send(prompt, { signal: context.signal });
  if (!values.json) return void (await answer(reply, model.info, voice));
  const result = await speakJson(reply, prompt, talk);
  remark(result, log);
  for (const line of statisticsLines(result, model.info.pipeline, voice.show)) log.info(line);
}

async function speakJson(reply: ReplyStream, prompt: string, { model, card, context, values }: Talk) {
  const head = { id: randomUUID(), model: card.name, created_at: new Date().toISOString() };
  const say = (object: object) => writeJson(context.stdout, object);
  let response = '';
  let tokens = 0;
  try {
    for await (const chunk of reply) {
      tokens += chunk.tokens;
      response += chunk.text;
      if (values.stream && chunk.text !== '') await say({ ...head, response: chunk.text, done: false });
    }
  } catch (error) {
    // a reader that left, or a full disk: nothing more can be said there
    if (!context.stdout.writable || error instanceof Stopped || tokens === 0) throw error;
    const failure = errorObject(asAxllmError(incomplete(error, tokens)));
    await say(
      values.stream ? { ...head, ...failure, done: true } : { ...head, prompt, response, ...failure },
    );
    throw new AlreadyReported('already reported', { cause: error });
  }
  const result = await reply.result;
  const end = outcome(result, model.info);
  await say(
    values.stream ? { ...head, response: '', done: true, ...end } : { ...head, prompt, response, ...end },
  );
  return result;
}

function outcome(result: ReplyResult, info: ModelInfo): object {
  return {
    finish_reason: result.finishReason,
    usage: {
      prompt_tokens: result.promptTokens,
      completion_tokens: result.completionTokens,
      total_tokens: result.promptTokens + result.completionTokens,
      cached_tokens: result.cachedTokens,
    },
    timings: {
      tokenize_ms: result.tokenizeMs,
      ttft_ms: result.ttftMs,
      prefill_ms: result.promptMs,
      decode_ms: result.decodeMs,
      tokens_per_second: result.tokensPerSecond,
    },
    dropped_turns: result.droppedTurns,
    device: info.device,
    conversation_id: null,
  };
}
