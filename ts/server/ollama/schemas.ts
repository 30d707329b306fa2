/** What Ollama's clients send. */
import * as z from 'zod';
import type { GenerateOptions } from '../../native.js';
import { mostInputs } from '../embedding.js';
import { isEmpty, samplingFields, stopField, toOptions, unsupported } from '../schemas.js';

const optionsField = z
  .object({
    ...samplingFields,
    stop: stopField,
    num_predict: z.number().int().min(-2).max(1_000_000).nullish(),
    num_ctx: z.number().int().min(1).nullish().meta({ description: "Ignored: the context is the model's." }),
  })
  .nullish();

const asked = {
  model: z.string().min(1),
  options: optionsField,
  keep_alive: z
    .union([z.string(), z.number()])
    .nullish()
    .meta({ description: 'Ignored: models stay loaded.' }),
};

const common = {
  ...asked,
  stream: z.boolean().nullish().meta({ description: 'Default: true.' }),
  format: unsupported((value) => value === ''),
  think: unsupported((value) => value === false),
};

const images = unsupported(isEmpty);

export const ollamaChatSchema = z
  .object({
    ...common,
    messages: z
      .array(
        z.object({
          role: z.enum(['system', 'user', 'assistant']),
          content: z.string(),
          images,
          tool_calls: unsupported(isEmpty),
        }),
      )
      .max(10_000)
      .nullish(),
    tools: unsupported(isEmpty),
  })
  .meta({ id: 'OllamaChatRequest' });

export const ollamaGenerateSchema = z
  .object({
    ...common,
    prompt: z.string().nullish(),
    system: z.string().nullish(),
    raw: z.boolean().nullish(),
    images,
    suffix: unsupported((value) => value === ''),
    template: unsupported((value) => value === ''),
    context: unsupported(isEmpty),
  })
  .meta({ id: 'OllamaGenerateRequest' });

const text = z.string().min(1);

export const ollamaEmbedSchema = z
  .object({
    ...asked,
    input: z.union([text, z.array(text).min(1).max(mostInputs)], {
      error: `expected a text, or at most ${mostInputs} of them, none of them empty`,
    }),
    truncate: z.boolean().nullish().meta({
      description: 'Keep the beginning of what is longer than the context. Default: false, it is refused.',
    }),
    dimensions: z.number().int().min(1).nullish().meta({ description: "Only the model's own number." }),
  })
  .meta({ id: 'OllamaEmbedRequest' });

export const ollamaEmbeddingsSchema = z
  .object({ ...asked, prompt: text })
  .meta({ id: 'OllamaEmbeddingsRequest' });

export const ollamaShowSchema = z
  .object({
    model: z.string().nullish(),
    name: z.string().nullish().meta({ description: 'Once the name of model.' }),
  })
  .refine(({ model, name }) => model || name, { path: ['model'], error: 'expected the name of a model' })
  .meta({ id: 'OllamaShowRequest' });

/** As the engine takes them; a negative `num_predict` is no limit. */
export function fromOllama(options: z.infer<typeof optionsField>): GenerateOptions {
  const most = options?.num_predict ?? -1;
  return { ...toOptions(options ?? {}), ...(most >= 0 ? { maxTokens: most } : {}) };
}
