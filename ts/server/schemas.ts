/** The parts of requests that several interfaces share. Their sampling fields are rows of the table of options. */
import * as z from 'zod';
import type { GenerateOptions, Message } from '../native.js';
import { samplingOptions, type OptionRow } from '../options.js';
import { unsupportedIssue } from './schema-error.js';

/** A field that clients know and this server does not do: only the values that ask for nothing are taken. */
export function unsupported(harmless: (value: unknown) => boolean = () => false) {
  return z
    .unknown()
    .optional()
    .superRefine((value, context) => {
      if (value === undefined || value === null || harmless(value)) return;
      const message = 'not supported here';
      context.addIssue({ code: 'custom', message, params: unsupportedIssue });
    })
    .meta({ description: 'Known, and not supported: 400 unless it asks for nothing.' });
}

export const isEmpty = (value: unknown) => Array.isArray(value) && value.length === 0;

type Fraction =
  'temperature' | 'top_p' | 'min_p' | 'repeat_penalty' | 'presence_penalty' | 'frequency_penalty';
type Whole = 'top_k' | 'seed';
type Field = z.ZodOptional<z.ZodNullable<z.ZodNumber>>;

/** `temperature` to `seed`, by the keys of the table, with its bounds and its words. */
export const samplingFields = Object.fromEntries(
  samplingOptions()
    .filter(([, row]) => row.group === 'Sampling')
    .map(([, row]) => [row.key, numberOf(row)]),
) as Record<Fraction | Whole, Field>;

function numberOf({ type, min, max, help }: OptionRow): Field {
  let schema = type === 'integer' ? z.number().int() : z.number();
  if (min !== undefined) schema = schema.min(min);
  if (max !== undefined) schema = schema.max(max);
  return schema.nullish().meta({ description: help });
}

const stops = { error: 'expected a text, or at most 4 of them, of at most 256 characters' };
export const stopField = z
  .union([z.string().max(256, stops), z.array(z.string().max(256, stops)).max(4, stops)], stops)
  .nullish()
  .meta({ description: 'Texts that end the reply; they are not part of it.' });

export const countField = z.number().int().min(1).max(1_000_000).nullish();

const textPart = z.object({ type: z.literal('text'), text: z.string() });
const content = z.union([z.string(), z.array(textPart).min(1)], {
  error: 'expected a string, or parts of type text: images, audio and files are not supported',
});

/** OpenAI's messages; `developer` is its newer word for `system`. */
export const messageSchema = z.object({
  role: z.enum(['system', 'developer', 'user', 'assistant']),
  content,
  name: z.string().optional(),
  tool_calls: unsupported(isEmpty),
});

export const messagesField = z.array(messageSchema).min(1).max(10_000);

/** As the engine takes them. */
export function toMessages(messages: readonly z.infer<typeof messageSchema>[]): Message[] {
  return messages.map(({ role, content: said }) => ({
    role: role === 'developer' ? 'system' : role,
    content: typeof said === 'string' ? said : said.map(({ text }) => text).join(''),
  }));
}

type Sampling = { readonly [Key in Fraction | Whole]?: number | null | undefined };

/** As the engine takes them; what is missing is left to the server's own settings. */
export function toOptions(body: Sampling & { stop?: string | string[] | null | undefined }): GenerateOptions {
  const { stop } = body;
  const options: Record<string, unknown> = {
    temperature: body.temperature,
    topK: body.top_k,
    topP: body.top_p,
    minP: body.min_p,
    repeatPenalty: body.repeat_penalty,
    presencePenalty: body.presence_penalty,
    frequencyPenalty: body.frequency_penalty,
    seed: body.seed,
    stop: typeof stop === 'string' ? [stop] : stop,
  };
  return Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined && value !== null),
  );
}
