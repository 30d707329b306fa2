/** `POST /v1/chat/completions`. */
import * as z from 'zod';
import { collect } from '../generation.js';
import { json, route, type Call } from '../route.js';
import { countField, isEmpty, messagesField, toMessages, unsupported } from '../schemas.js';
import { askOf, commonFields } from './common.js';
import { streamReply } from './stream.js';
import { chatLogprobs, envelope, finishReason, timingsOf, usageOf } from './wire.js';

const isText = (value: unknown) => (value as { type?: unknown }).type === 'text';
const noTools = (value: unknown) => value === 'none' || value === 'auto';

/** The body. Fields that are not here are ignored. */
export const chatSchema = z
  .object({
    messages: messagesField,
    ...commonFields,
    max_tokens: countField,
    max_completion_tokens: countField,
    logprobs: z.boolean().nullish(),
    top_logprobs: z.number().int().min(0).max(20).nullish(),
    on_overflow: z.enum(['drop', 'error']).nullish().meta({
      description: 'error (default): a conversation that is too long is refused; drop: its oldest turns go.',
    }),
    response_format: unsupported(isText),
    tools: unsupported(isEmpty),
    tool_choice: unsupported(noTools),
    functions: unsupported(isEmpty),
    function_call: unsupported(noTools),
    modalities: unsupported((value) => Array.isArray(value) && value.every((each) => each === 'text')),
    audio: unsupported(),
    prediction: unsupported(),
    web_search_options: unsupported(),
  })
  .refine(({ logprobs, top_logprobs: top }) => !top || logprobs === true, {
    path: ['top_logprobs'],
    error: 'needs logprobs: true',
  })
  .meta({ id: 'ChatRequest' });

type ChatInput = z.infer<typeof chatSchema>;

export const chatRoute = route<ChatInput>({
  method: 'POST',
  path: '/v1/chat/completions',
  access: 'page',
  style: 'openai',
  runs: true,
  summary: 'Answers a conversation.',
  input: chatSchema,
  handle: chat,
});

async function chat(call: Call<ChatInput>): Promise<void> {
  const { input, response } = call;
  const ready = call.server.model(input.model);
  const ask = askOf(call, ready, { messages: toMessages(input.messages) }, own(input));
  const withLogprobs = input.logprobs === true;
  if (input.stream) {
    const base = { index: 0, finish_reason: null };
    const shape = {
      envelope: envelope('chatcmpl', 'chat.completion.chunk', ready.served.id),
      opening: { ...base, delta: { role: 'assistant', content: '' }, logprobs: null },
      choiceOf: (chunk: { text: string; steps?: Parameters<typeof chatLogprobs>[0] }) => ({
        ...base,
        delta: { content: chunk.text },
        logprobs: withLogprobs ? chatLogprobs(chunk.steps ?? []) : null,
      }),
      closing: (result: Parameters<typeof finishReason>[0]) => ({
        index: 0,
        delta: {},
        logprobs: null,
        finish_reason: finishReason(result),
      }),
    };
    return streamReply(call, ask, shape, ask.wishes);
  }
  const { text, chunks, result } = await collect(ask);
  const steps = chunks.flatMap((chunk) => chunk.steps ?? []);
  json(response, {
    ...envelope('chatcmpl', 'chat.completion', ready.served.id),
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: text, refusal: null },
        logprobs: withLogprobs ? chatLogprobs(steps) : null,
        finish_reason: finishReason(result),
      },
    ],
    usage: usageOf(result),
    timings: timingsOf(result),
  });
}

function own(input: ChatInput) {
  const most = input.max_completion_tokens ?? input.max_tokens;
  return {
    ...(most ? { maxTokens: most } : {}),
    ...(input.logprobs ? { logprobs: input.top_logprobs ?? 0 } : {}),
    ...(input.on_overflow ? { onOverflow: input.on_overflow } : {}),
  };
}
