/** Starts the server: doors (listening sockets with their policies) before one table of routes. */
import type { Server as HttpServer } from 'node:http';
import type { Socket } from 'node:net';
import { AxllmError } from '../errors.js';
import { silentLog, type Log } from '../terminal.js';
import { Access, type TokenOptions } from './access.js';
import { isLoopback } from './address.js';
import { builtAssets, type Asset } from './assets.js';
import { dispatcher } from './dispatch.js';
import { openDoor, type Door, type DoorOptions } from './door.js';
import { HttpError } from './http-error.js';
import { defaultLimits, type Limits } from './limits.js';
import { Metrics } from './metrics.js';
import type { Route, Server } from './route.js';
import { routeTable } from './routes.js';
import { Entry, type Ready, type ServedModel } from './served.js';

export interface ServerOptions {
  readonly models: readonly ServedModel[];
  /** Default 127.0.0.1. Any other address than the loopback needs a key. */
  readonly host?: string;
  /** First port tried; 0 (default): any. */
  readonly port?: number;
  readonly key?: string | undefined;
  /** Names by which clients may call the server, besides its address. */
  readonly hosts?: readonly string[];
  /** Origins whose pages may use the server, besides its own. */
  readonly origins?: readonly string[];
  readonly limits?: Partial<Limits>;
  /** The page; default: what the build made. */
  readonly assets?: ReadonlyMap<string, Asset>;
  /** Routes besides the table's. */
  readonly routes?: readonly Route[];
  readonly log?: Log;
}

export interface RunningServer extends Omit<Door, 'close' | 'answerTo'> {
  readonly routes: readonly Route[];
  /** Another way in, such as a tunnel's. */
  openDoor(options: DoorOptions): Promise<Door>;
  /** A secret for a page's address, to be exchanged at `/ui/session`. */
  issueToken(options?: TokenOptions): { readonly token: string; revoke(): void };
  /** Resolves when all models are loaded; rejects with the error of the first that is not. */
  readonly ready: Promise<void>;
  /** Takes no more requests, waits for those under way up to `drain-timeout`, then cuts them off. */
  close(): Promise<void>;
}

/** Listens. Models may still be loading: requests for them are answered 503 meanwhile. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { host = '127.0.0.1', port = 0, key, log = silentLog } = options;
  if (!isLoopback(host) && key === undefined) {
    throw new AxllmError('key_needed', `Listening on ${host}, which others can reach, needs a key`, {
      hint: 'give one with --api-key',
    });
  }
  const limits = { ...defaultLimits(), ...options.limits };
  const entries = options.models.map((served) => new Entry(served, limits));
  const sockets = new Set<Socket>();
  const servers = new Set<HttpServer>();
  const server: Server = {
    limits,
    entries,
    routes: [...routeTable(options.assets ?? builtAssets()), ...(options.routes ?? [])],
    access: new Access(key),
    metrics: new Metrics(),
    model: (id) => modelOf(entries, id),
    connections: () => sockets.size,
  };
  let ending = false;
  const house = {
    limits,
    log,
    sockets,
    servers,
    hosts: options.hosts ?? [],
    origins: new Set(options.origins),
    dispatch: dispatcher(server, log, () => ending),
  };
  const main = await openDoor(house, { host, port, open: isLoopback(host) });
  return {
    url: main.url,
    port: main.port,
    routes: server.routes,
    ready: allReady(entries),
    openDoor: (wish) => openDoor(house, wish),
    issueToken: (wish) => server.access.issue(wish),
    async close() {
      ending = true;
      await drain(servers, limits['drain-timeout'] * 1000);
      for (const entry of entries) entry.dispose();
    },
  };
}

function allReady(entries: readonly Entry[]): Promise<void> {
  const all = (async () => {
    for (const entry of entries) await entry.settled;
    const failed = entries.find(({ failure }) => failure);
    if (failed?.failure) throw failed.failure;
  })();
  // those who do not wait for it do not want to hear of it either
  all.catch(() => undefined);
  return all;
}

async function drain(servers: ReadonlySet<HttpServer>, ms: number): Promise<void> {
  const closed = [...servers].map((http) => new Promise((resolve) => http.close(resolve)));
  for (const http of servers) http.closeIdleConnections();
  const cut = setTimeout(() => {
    for (const http of servers) http.closeAllConnections();
  }, ms);
  await Promise.all(closed);
  clearTimeout(cut);
}

function modelOf(entries: readonly Entry[], id: string | undefined | null): Ready {
  // Ollama's clients put a tag behind every name
  const name = id?.replace(/:latest$/, '');
  const entry = name ? entries.find(({ served }) => served.id === name) : entries[0];
  if (entry) return entry.get();
  const known = entries.map(({ served }) => served.id).join(', ');
  throw new HttpError(404, `There is no model ${JSON.stringify(id)}, only ${known}`, {
    code: 'model_not_found',
    param: 'model',
  });
}
