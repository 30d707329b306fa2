/** `POST /v1/embeddings`: none of the models that are run here makes any, and that is said plainly. */
import * as z from 'zod';
import { HttpError } from '../http-error.js';
import { route } from '../route.js';

const schema = z
  .object({
    input: z.union([z.string(), z.array(z.unknown()).min(1)]),
    model: z.string().nullish(),
  })
  .meta({ id: 'EmbeddingsRequest' });

export const embeddingsRoute = route<z.infer<typeof schema>>({
  method: 'POST',
  path: '/v1/embeddings',
  access: 'all',
  style: 'openai',
  summary: 'Answers 501: no model that is run here makes embeddings.',
  input: schema,
  handle({ server, input }) {
    const { served } = server.model(input.model);
    throw new HttpError(501, `${served.id} is a chat model and makes no embeddings`, {
      code: 'not_supported',
      param: 'model',
    });
  },
});
