/** `GET /ui/page`: what the page shows of the model, while it loads and after. */
import type { ShareState, UiState } from './page-state.js';
import { json, route, type Route, type Server } from './route.js';

/** What whoever starts the server knows of its page. */
export interface PageInfo {
  readonly simple: boolean;
  readonly history: boolean;
  /** By config key. */
  readonly defaults: UiState['defaults'];
  /** The last line that loading said, and how far a download is. */
  loading(): Pick<UiState, 'step' | 'progress'>;
  /** The public link, for the owner. */
  share(): ShareState | undefined;
}

/** The route; the page's model is the server's first. */
export function pageRoute(page: PageInfo): Route {
  return route({
    method: 'GET',
    path: '/ui/page',
    access: 'page',
    style: 'openai',
    summary: 'What the page shows: the model, how far it has loaded, defaults.',
    handle({ server, response, identity }) {
      json(response, stateOf(server, page, identity.scope === 'all'));
    },
  });
}

function stateOf({ entries }: Server, page: PageInfo, owner: boolean): UiState {
  const { served, ready, failure } = entries[0]!;
  const model = ready?.scheduler.lanes[0]!.model;
  const system = served.systemPrompt ?? model?.systemPrompt;
  const share = owner ? page.share() : undefined;
  return {
    phase: ready ? 'ready' : failure ? 'failed' : 'loading',
    name: served.id,
    simple: page.simple,
    history: page.history,
    defaults: page.defaults,
    ...(ready ? {} : page.loading()),
    ...(failure ? { error: errorOf(failure, owner) } : {}),
    ...(model ? { info: infoOf(model.info, ready!.contextLength) } : {}),
    ...(owner && system !== undefined ? { system } : {}),
    ...(share ? { share } : {}),
  };
}

/** Visitors are not told the names of files on this machine. */
function errorOf(
  { code, message, hint }: { code: string; message: string; hint: string | undefined },
  owner: boolean,
) {
  if (!owner) return { code, message: 'The owner of this link has to look at it' };
  return { code, message, ...(hint ? { hint } : {}) };
}

function infoOf({ pipeline, device }: { pipeline: string; device: string }, contextLength: number) {
  return { pipeline, device, contextLength };
}
