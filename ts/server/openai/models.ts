/** `GET /v1/models`. */
import { json, route, type Server } from '../route.js';

export const modelsRoute = route({
  method: 'GET',
  path: '/v1/models',
  access: 'page',
  style: 'openai',
  summary: 'The models, as OpenAI lists them.',
  handle({ server, response }) {
    json(response, { object: 'list', data: list(server) });
  },
});

function list({ entries }: Server) {
  return entries.map(({ served, ready }) => ({
    id: served.id,
    object: 'model',
    created: ready?.created ?? 0,
    owned_by: 'axllm',
    meta: ready
      ? {
          n_ctx: ready.contextLength,
          n_ctx_train: ready.contextLength,
          n_vocab: ready.scheduler.lanes[0]!.model.info.vocabSize,
          n_embd: ready.scheduler.lanes[0]!.model.info.embeddingDim,
        }
      : null,
  }));
}
