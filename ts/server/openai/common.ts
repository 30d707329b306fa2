/** What chats and completions both take, and how either becomes a reply that is asked for. */
import * as z from 'zod';
import type { GenerateOptions } from '../../native.js';
import type { Ask, Prompt } from '../generation.js';
import type { Call } from '../route.js';
import type { Ready } from '../served.js';
import { samplingFields, stopField, toOptions, unsupported } from '../schemas.js';
import type { StreamWishes } from './stream.js';

const biasField = z.record(
  z.string().regex(/^\d{1,9}$/, 'expected the id of a token'),
  z.number().min(-100).max(100),
);

export const commonFields = {
  model: z.string().nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  timings_per_token: z.boolean().nullish().meta({ description: "llama.cpp's: figures in every event." }),
  n: z.literal(1, { error: 'only one choice is made' }).nullish(),
  stop: stopField,
  ...samplingFields,
  repetition_penalty: samplingFields.repeat_penalty,
  logit_bias: biasField.nullish(),
  user: z.string().nullish(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
  grammar: unsupported((value) => value === ''),
};

type Common = z.infer<z.ZodObject<typeof commonFields>>;

/** The reply to ask for; `own` are the options that only one of the two has. */
export function askOf(
  { input, server, identity, signal }: Call<Common>,
  ready: Ready,
  prompt: Prompt,
  own: GenerateOptions,
): Ask & { wishes: StreamWishes } {
  const options = {
    ...toOptions({ ...input, repeat_penalty: input.repeat_penalty ?? input.repetition_penalty }),
    ...(input.logit_bias ? { logitBias: input.logit_bias } : {}),
    ...own,
  };
  const includeUsage = input.stream_options?.include_usage === true;
  const wishes = { includeUsage, timings: input.timings_per_token === true };
  return { ready, prompt, options, identity, signal, metrics: server.metrics, wishes };
}
