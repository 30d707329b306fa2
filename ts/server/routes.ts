/** THE table of routes. A test walks it; a route that is not here does not exist. */
import { assetRoutes, type Asset } from './assets.js';
import { ollamaEmbedRoute, ollamaEmbeddingsRoute } from './ollama/embed.js';
import { psRoute, showRoute, tagsRoute, versionRoute } from './ollama/listing.js';
import { ollamaChatRoute, ollamaGenerateRoute } from './ollama/replies.js';
import { chatRoute } from './openai/chat.js';
import { completionsRoute } from './openai/completions.js';
import { embeddingsRoute } from './openai/embeddings.js';
import { modelsRoute } from './openai/models.js';
import { openApiRoute } from './openapi.js';
import type { Route } from './route.js';
import { healthRoute, metricsRoute, propsRoute } from './status.js';
import { detokenizeRoute, templateRoute, tokenizeRoute } from './tokens.js';
import { sessionRoute } from './ui-session.js';

/** Every route of a server that has these files for its page. */
export function routeTable(assets: ReadonlyMap<string, Asset>): Route[] {
  return [
    ...assetRoutes(assets),
    sessionRoute,
    healthRoute,
    metricsRoute,
    propsRoute,
    openApiRoute,
    chatRoute,
    completionsRoute,
    modelsRoute,
    embeddingsRoute,
    tokenizeRoute,
    detokenizeRoute,
    templateRoute,
    ollamaChatRoute,
    ollamaGenerateRoute,
    ollamaEmbedRoute,
    ollamaEmbeddingsRoute,
    tagsRoute,
    showRoute,
    psRoute,
    versionRoute,
  ];
}
