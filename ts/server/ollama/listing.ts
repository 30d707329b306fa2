/** What Ollama's clients ask about models: `/api/tags`, `/api/ps`, `/api/show`, `/api/version`. */
import { createHash } from 'node:crypto';
import type * as z from 'zod';
import { packageVersion } from '../../package-root.js';
import { json, route, type Server } from '../route.js';
import type { Ready } from '../served.js';
import { ollamaShowSchema } from './schemas.js';

const listing = { method: 'GET', access: 'all', style: 'ollama' } as const;

export const versionRoute = route({
  ...listing,
  path: '/api/version',
  summary: 'The version of this server.',
  handle: ({ response }) => json(response, { version: packageVersion() }),
});

export const tagsRoute = route({
  ...listing,
  path: '/api/tags',
  summary: 'The models.',
  handle: ({ server, response }) => json(response, { models: ready(server).map(entryOf) }),
});

export const psRoute = route({
  ...listing,
  path: '/api/ps',
  summary: 'The models that are loaded: all of them, for good.',
  handle: ({ server, response }) =>
    json(response, {
      models: ready(server).map((each) => ({
        ...entryOf(each),
        expires_at: '2318-01-01T00:00:00Z',
        size_vram: 0,
        context_length: each.contextLength,
      })),
    }),
});

export const showRoute = route<z.infer<typeof ollamaShowSchema>>({
  method: 'POST',
  path: '/api/show',
  access: 'all',
  style: 'ollama',
  summary: 'What a model is.',
  input: ollamaShowSchema,
  handle({ server, input, response }) {
    const found = server.model(input.model ?? input.name);
    const { model } = found.scheduler.lanes[0]!;
    const system = found.served.systemPrompt ?? model.systemPrompt;
    json(response, {
      modelfile: `# served by axllm\nFROM ${found.served.id}\n`,
      parameters: '',
      template: '',
      ...(system ? { system } : {}),
      details: details(found),
      model_info: {
        'general.architecture': 'axllm',
        'axllm.context_length': found.contextLength,
        'axllm.embedding_length': model.info.embeddingDim,
        'axllm.vocab_size': model.info.vocabSize,
      },
      capabilities: ['completion'],
      modified_at: since(found),
    });
  },
});

function ready({ entries }: Server): Ready[] {
  return entries.flatMap((entry) => entry.ready ?? []);
}

function entryOf(each: Ready) {
  const { id } = each.served;
  return {
    name: id,
    model: id,
    modified_at: since(each),
    // files are no business of clients
    size: 0,
    digest: createHash('sha256').update(id).digest('hex'),
    details: details(each),
  };
}

function details({ scheduler }: Ready) {
  const { pipeline } = scheduler.lanes[0]!.model.info;
  return {
    parent_model: '',
    format: pipeline === 'transformers' ? 'gguf' : 'axelera',
    family: 'axllm',
    families: ['axllm'],
    parameter_size: '',
    quantization_level: '',
  };
}

function since({ created }: Ready): string {
  return new Date(created * 1000).toISOString();
}
