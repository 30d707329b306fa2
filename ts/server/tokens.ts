/** Texts, tokens and prompts, as llama.cpp's server has them: `/tokenize`, `/detokenize`, `/apply-template`. */
import * as z from 'zod';
import type { Model } from '../model.js';
import { asHttpError } from './http-error.js';
import { json, route, type Call } from './route.js';
import { messagesField, toMessages } from './schemas.js';

const model = z.string().nullish();
const tokenizeSchema = z.object({ content: z.string(), model }).meta({ id: 'TokenizeRequest' });
const id = z.number().int().min(0).max(0xffff_ffff);
const detokenizeSchema = z
  .object({ tokens: z.array(id).max(1_000_000), model })
  .meta({ id: 'DetokenizeRequest' });
const templateSchema = z.object({ messages: messagesField, model }).meta({ id: 'TemplateRequest' });

export const tokenizeRoute = route<z.infer<typeof tokenizeSchema>>({
  method: 'POST',
  path: '/tokenize',
  access: 'page',
  style: 'openai',
  summary: 'The token ids of a text, as a message holds it.',
  input: tokenizeSchema,
  handle: (call) => answer(call, (it) => ({ tokens: it.tokenize(call.input.content) })),
});

export const detokenizeRoute = route<z.infer<typeof detokenizeSchema>>({
  method: 'POST',
  path: '/detokenize',
  access: 'all',
  style: 'openai',
  summary: 'The text of token ids, control tokens spelled out.',
  input: detokenizeSchema,
  handle: (call) => answer(call, (it) => ({ content: it.detokenize(call.input.tokens) })),
});

export const templateRoute = route<z.infer<typeof templateSchema>>({
  method: 'POST',
  path: '/apply-template',
  access: 'all',
  style: 'openai',
  summary: "The prompt that the model's chat template makes of a conversation.",
  input: templateSchema,
  handle: (call) => answer(call, (it) => ({ prompt: it.applyTemplate(toMessages(call.input.messages)) })),
});

/** The device is not needed: these never wait. */
function answer(call: Call<{ model?: string | null | undefined }>, work: (model: Model) => object): void {
  const { scheduler, contextLength } = call.server.model(call.input.model);
  try {
    json(call.response, work(scheduler.lanes[0]!.model));
  } catch (error) {
    throw asHttpError(error, contextLength);
  }
}
