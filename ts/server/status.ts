/** How the server is: `/health`, `/metrics`, `/props`. */
import { packageVersion } from '../package-root.js';
import { json, route, type Server } from './route.js';
import type { Entry } from './served.js';

export const healthRoute = route({
  method: 'GET',
  path: '/health',
  access: 'open',
  style: 'openai',
  summary: 'Whether requests are answered: 200, or 503 while a model is loading or has failed.',
  handle({ server, response }) {
    for (const entry of server.entries) entry.get();
    json(response, { status: 'ok' });
  },
});

export const metricsRoute = route({
  method: 'GET',
  path: '/metrics',
  access: 'all',
  style: 'openai',
  summary: 'Figures for Prometheus.',
  handle({ server, response }) {
    const schedulers = server.entries.flatMap(({ ready }) => ready?.scheduler ?? []);
    const lanes = schedulers.flatMap((scheduler) => scheduler.lanes);
    const text = server.metrics.text({
      queued: schedulers.reduce((sum, { queued }) => sum + queued, 0),
      running: schedulers.reduce((sum, { running }) => sum + running, 0),
      connections: server.connections(),
      temperatures: lanes.flatMap(({ model, temperature }) =>
        temperature === undefined ? [] : [[model.info.device, temperature] as const],
      ),
    });
    response.writeHead(200, { 'Content-Type': 'text/plain; version=0.0.4; charset=utf-8' });
    response.end(text);
  },
});

export const propsRoute = route({
  method: 'GET',
  path: '/props',
  access: 'all',
  style: 'openai',
  summary: 'What the models are, and what a request that says nothing gets.',
  handle({ server, response }) {
    json(response, propsOf(server));
  },
});

function propsOf({ entries }: Server) {
  return { version: packageVersion(), models: entries.map(describe) };
}

function describe({ served, ready, failure }: Entry) {
  const model = ready?.scheduler.lanes[0]!.model;
  return {
    id: served.id,
    description: served.description ?? '',
    state: ready ? 'ready' : failure ? 'failed' : 'loading',
    progress: served.progress?.() ?? null,
    error: failure ? { code: failure.code, message: failure.message, hint: failure.hint ?? null } : null,
    n_ctx: ready?.contextLength ?? null,
    response_space: model?.responseSpace ?? null,
    pipeline: model?.info.pipeline ?? null,
    devices: ready?.scheduler.lanes.map((lane) => lane.model.info.device) ?? [],
    system_prompt: served.systemPrompt ?? model?.systemPrompt ?? null,
    defaults: served.defaults ?? {},
  };
}
