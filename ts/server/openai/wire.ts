/** The words of OpenAI's answers that chats and completions share, with llama.cpp's `timings`. */
import { randomBytes } from 'node:crypto';
import type { ReplyResult, Step, TokenLogprob } from '../../native.js';
import { packageVersion } from '../../package-root.js';

const fingerprint = `axllm-${packageVersion()}`;

/** The fields that every object of one answer begins with. */
export function envelope(prefix: string, object: string, model: string) {
  return {
    id: `${prefix}-${randomBytes(12).toString('hex')}`,
    object,
    created: Math.floor(Date.now() / 1000),
    model,
    system_fingerprint: fingerprint,
  };
}

export function usageOf({ promptTokens, completionTokens, cachedTokens }: ReplyResult) {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  };
}

const rate = (count: number, ms: number) => (ms > 0 ? (count / ms) * 1000 : 0);

/** llama.cpp's figures, and two of the engine's own beside them. */
export function timingsOf(result: ReplyResult) {
  const { promptTokens, cachedTokens, completionTokens, promptMs, decodeMs, ttftMs } = result;
  const prompted = promptTokens - cachedTokens;
  return {
    cache_n: cachedTokens,
    prompt_n: prompted,
    prompt_ms: promptMs,
    prompt_per_second: rate(prompted, promptMs),
    predicted_n: completionTokens,
    predicted_ms: decodeMs,
    predicted_per_second: rate(Math.max(0, completionTokens - 1), decodeMs),
    ttft_ms: ttftMs,
    tokens_per_second: result.tokensPerSecond,
    ...(result.droppedTurns > 0 ? { dropped_turns: result.droppedTurns } : {}),
    ...(result.coreTemperature === undefined ? {} : { core_temperature: result.coreTemperature }),
    ...(result.cpuPercent === undefined ? {} : { cpu_percent: result.cpuPercent }),
  };
}

export function finishReason({ finishReason: reason }: ReplyResult): 'stop' | 'length' {
  return reason === 'length' ? 'length' : 'stop';
}

const textOf = (bytes: readonly number[]) => Buffer.from(bytes).toString('utf8');

function tokenOf({ bytes, logprob }: TokenLogprob) {
  return { token: textOf(bytes), logprob: finite(logprob), bytes: [...bytes] };
}

/** JSON has no infinity. */
const finite = (logprob: number) => Math.max(logprob, -9999);

/** A chat's `logprobs`. */
export function chatLogprobs(steps: readonly Step[]) {
  return {
    content: steps.map(({ chosen, top }) => ({ ...tokenOf(chosen), top_logprobs: top.map(tokenOf) })),
    refusal: null,
  };
}

/** A completion's `logprobs`; `offset` is where its text begins. */
export function textLogprobs(steps: readonly Step[], offset: number) {
  let at = offset;
  const offsets = steps.map(({ chosen }) => {
    const here = at;
    at += textOf(chosen.bytes).length;
    return here;
  });
  return {
    tokens: steps.map(({ chosen }) => textOf(chosen.bytes)),
    token_logprobs: steps.map(({ chosen }) => finite(chosen.logprob)),
    top_logprobs: steps.map(({ top }) =>
      Object.fromEntries(top.map(({ bytes, logprob }) => [textOf(bytes), finite(logprob)])),
    ),
    text_offset: offsets,
  };
}
