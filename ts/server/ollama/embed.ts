/** `POST /api/embed`, and the older `/api/embeddings` for one text. */
import type * as z from 'zod';
import { embedAll } from '../embedding.js';
import { json, route, type Call } from '../route.js';
import { ollamaEmbedSchema, ollamaEmbeddingsSchema } from './schemas.js';

type EmbedInput = z.infer<typeof ollamaEmbedSchema>;
type EmbeddingsInput = z.infer<typeof ollamaEmbeddingsSchema>;

export const ollamaEmbedRoute = route<EmbedInput>({
  method: 'POST',
  path: '/api/embed',
  access: 'all',
  style: 'ollama',
  runs: true,
  summary: 'Texts as vectors of length 1, where the model runs on the CPU.',
  input: ollamaEmbedSchema,
  async handle(call) {
    const started = performance.now();
    const { input } = call.input;
    const inputs = typeof input === 'string' ? [input] : input;
    const { id, vectors, tokens } = await embed(call, inputs);
    json(call.response, {
      model: id,
      embeddings: vectors.map((vector) => [...vector]),
      total_duration: Math.round((performance.now() - started) * 1e6),
      load_duration: 0,
      prompt_eval_count: tokens,
    });
  },
});

export const ollamaEmbeddingsRoute = route<EmbeddingsInput>({
  method: 'POST',
  path: '/api/embeddings',
  access: 'all',
  style: 'ollama',
  runs: true,
  summary: 'The older form of /api/embed, for one text.',
  input: ollamaEmbeddingsSchema,
  async handle(call) {
    const { vectors } = await embed(call, [call.input.prompt]);
    json(call.response, { embedding: [...vectors[0]!] });
  },
});

const nameOf = (index: number) => `input[${index}]`;

async function embed(call: Call<EmbedInput | EmbeddingsInput>, inputs: readonly string[]) {
  const { input, server, identity, signal } = call;
  const ready = server.model(input.model);
  const { truncate, dimensions } = { truncate: false, dimensions: undefined, ...input };
  const { metrics } = server;
  const wishes = { truncate: truncate === true, dimensions, nameOf };
  const result = await embedAll({ ready, inputs, identity, signal, metrics, ...wishes });
  return { id: ready.served.id, ...result };
}
