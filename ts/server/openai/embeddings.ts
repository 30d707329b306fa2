/** `POST /v1/embeddings`: texts as vectors of length 1. */
import * as z from 'zod';
import { embedAll, mostInputs } from '../embedding.js';
import { json, route } from '../route.js';

const nothing = 'expected a text or token ids, not nothing';
const tooMany = { error: `expected at most ${mostInputs} inputs` };
const text = z.string().min(1, nothing);
const id = z
  .number()
  .int()
  .min(0, 'expected the id of a token')
  .max(0xffff_ffff, 'expected the id of a token');
const ids = z.array(id).min(1, nothing);

/** Which of several inputs is of another kind than the first. */
function mixed(input: unknown): string {
  const expected = `expected a text, token ids, or at most ${mostInputs} of either`;
  if (!Array.isArray(input)) return expected;
  const kind = typeof input[0] === 'string' ? text : Array.isArray(input[0]) ? ids : id;
  const at = input.findIndex((each) => !kind.safeParse(each).success);
  return at === -1 ? expected : `${expected}; [${at}] is none`;
}

const schema = z
  .object({
    input: z.union(
      [
        text,
        z.array(text).min(1, nothing).max(mostInputs, tooMany),
        ids,
        z.array(ids).min(1).max(mostInputs, tooMany),
      ],
      { error: ({ input }) => mixed(input) },
    ),
    model: z.string().nullish(),
    encoding_format: z.enum(['float', 'base64']).nullish(),
    dimensions: z.number().int().min(1).nullish().meta({ description: "Only the model's own number." }),
    user: z.string().nullish(),
  })
  .meta({ id: 'EmbeddingsRequest' });

type Input = z.infer<typeof schema>;

export const embeddingsRoute = route<Input>({
  method: 'POST',
  path: '/v1/embeddings',
  access: 'all',
  style: 'openai',
  runs: true,
  summary: 'Texts as vectors of length 1, where the model runs on the CPU.',
  input: schema,
  async handle({ server, input, identity, signal, response }) {
    const ready = server.model(input.model);
    const one = isOne(input.input);
    const { vectors, tokens } = await embedAll({
      ready,
      inputs: one ? [input.input as string | number[]] : (input.input as string[] | number[][]),
      nameOf: (index) => (one ? 'input' : `input[${index}]`),
      dimensions: input.dimensions,
      identity,
      signal,
      metrics: server.metrics,
    });
    const encode = input.encoding_format === 'base64' ? base64 : (vector: Float32Array) => [...vector];
    json(response, {
      object: 'list',
      data: vectors.map((vector, index) => ({ object: 'embedding', index, embedding: encode(vector) })),
      model: ready.served.id,
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    });
  },
});

function isOne(input: Input['input']): input is string | number[] {
  return typeof input === 'string' || typeof input[0] === 'number';
}

/** 32-bit floats, the low byte first: as they lie in memory on every machine that this runs on. */
function base64({ buffer, byteOffset, byteLength }: Float32Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('base64');
}
