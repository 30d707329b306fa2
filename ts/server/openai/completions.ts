/** `POST /v1/completions`: goes on with a text as it stands. */
import * as z from 'zod';
import type { Chunk, ReplyResult, Step } from '../../native.js';
import { collect } from '../generation.js';
import { json, route, type Call } from '../route.js';
import { countField, unsupported } from '../schemas.js';
import { askOf, commonFields } from './common.js';
import { streamReply } from './stream.js';
import { envelope, finishReason, textLogprobs, timingsOf, usageOf } from './wire.js';

/** The body. Fields that are not here are ignored. */
export const completionSchema = z
  .object({
    prompt: z.union([z.string().min(1), z.tuple([z.string().min(1)])], {
      error: 'expected one text that is not empty: lists and token ids are not supported',
    }),
    ...commonFields,
    max_tokens: countField,
    logprobs: z.number().int().min(0).max(20).nullish(),
    echo: unsupported((value) => value === false),
    suffix: unsupported((value) => value === ''),
    best_of: unsupported((value) => value === 1),
  })
  .meta({ id: 'CompletionRequest' });

type CompletionInput = z.infer<typeof completionSchema>;

export const completionsRoute = route<CompletionInput>({
  method: 'POST',
  path: '/v1/completions',
  access: 'all',
  style: 'openai',
  runs: true,
  summary: 'Goes on with a text as it stands, without a chat template.',
  input: completionSchema,
  handle: complete,
});

async function complete(call: Call<CompletionInput>): Promise<void> {
  const { input, response } = call;
  const ready = call.server.model(input.model);
  const text = typeof input.prompt === 'string' ? input.prompt : input.prompt[0];
  const { logprobs } = input;
  const ask = askOf(
    call,
    ready,
    { text },
    {
      // OpenAI's own default, without which a base model goes on to the end of the context
      maxTokens: input.max_tokens ?? ready.served.defaults?.maxTokens ?? 16,
      ...(typeof logprobs === 'number' ? { logprobs } : {}),
    },
  );
  const head = envelope('cmpl', 'text_completion', ready.served.id);
  const logprobsOf = (steps: readonly Step[], offset: number) =>
    typeof logprobs === 'number' ? textLogprobs(steps, offset) : null;
  if (input.stream) {
    let offset = text.length;
    const shape = {
      envelope: head,
      choiceOf(chunk: Chunk) {
        const part = logprobsOf(chunk.steps ?? [], offset);
        offset += chunk.text.length;
        return { index: 0, text: chunk.text, logprobs: part, finish_reason: null };
      },
      closing: (result: ReplyResult) => ({
        index: 0,
        text: '',
        logprobs: null,
        finish_reason: finishReason(result),
      }),
    };
    return streamReply(call, ask, shape, ask.wishes);
  }
  const reply = await collect(ask);
  const steps = reply.chunks.flatMap((chunk) => chunk.steps ?? []);
  json(response, {
    ...head,
    choices: [
      {
        index: 0,
        text: reply.text,
        logprobs: logprobsOf(steps, text.length),
        finish_reason: finishReason(reply.result),
      },
    ],
    usage: usageOf(reply.result),
    timings: timingsOf(reply.result),
  });
}
