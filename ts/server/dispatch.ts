/** One request, from the gate to its route or its error. Whatever is not in the table is refused. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Log } from '../terminal.js';
import type { Identity } from './access.js';
import { readJson } from './body.js';
import { Clients } from './clients.js';
import { gate, type GatePolicy } from './gate.js';
import { allowPreflight, setHeaders } from './headers.js';
import { HttpError, asHttpError, errorBody, type Style } from './http-error.js';
import { json, type Route, type Server } from './route.js';
import { parseInput } from './schema-error.js';

/** A listening socket with what holds for those who come by it. */
export interface DoorPolicy extends GatePolicy {
  /** Whoever comes by it is the owner of the machine, as long as the server has no key. */
  readonly open: boolean;
  readonly cookieName: string;
  /** Those of its names that are reached over TLS, which ends before it. */
  readonly encrypted: ReadonlySet<string>;
}

/** Answers every request of a door. */
export function dispatcher(server: Server, log: Log, draining: () => boolean) {
  const clients = new Clients(server.limits['per-client']);
  return async (request: IncomingMessage, response: ServerResponse, door: DoorPolicy): Promise<void> => {
    const path = (request.url ?? '').split('?', 1)[0]!;
    const known = server.routes.filter((route) => route.path === path);
    const style: Style = known[0]?.style ?? (path.startsWith('/api/') ? 'ollama' : 'openai');
    const label = known.length > 0 ? path : 'other';
    const stop = new AbortController();
    const late = setTimeout(
      () => stop.abort(new HttpError(503, 'The reply took too long', { code: 'timeout' })),
      server.limits['reply-timeout'] * 1000,
    );
    response.once('close', () => {
      clearTimeout(late);
      const left = !response.writableFinished;
      stop.abort(new HttpError(499, 'The client has left'));
      server.metrics.request(label, left ? 499 : response.statusCode);
      // a server that ends waits for no further request on a connection
      if (draining()) request.socket.end();
      log.debug(`${request.method} ${path} ${left ? 499 : response.statusCode}`);
    });
    response.on('error', () => undefined);
    try {
      await answer({ request, response, door, known, signal: stop.signal });
    } catch (error) {
      refuse(response, error, style, log);
    }
  };

  interface Asked {
    request: IncomingMessage;
    response: ServerResponse;
    door: DoorPolicy;
    known: readonly Route[];
    signal: AbortSignal;
  }

  async function answer({ request, response, door, known, signal }: Asked): Promise<void> {
    setHeaders(response);
    const { foreignOrigin } = gate(request, door);
    setHeaders(response, foreignOrigin);
    if (request.method === 'OPTIONS' && foreignOrigin !== undefined) return allowPreflight(response);
    const method = request.method === 'HEAD' ? 'GET' : request.method;
    const found = known.find((route) => route.method === method);
    const identity = server.access.identify(request, door.cookieName, door.open);
    check(found, known, identity);
    if (draining()) throw unavailable('The server is ending', 503);
    if (server.connections() > server.limits['max-sockets']) throw unavailable('Too many connections', 429);
    if (found.runs) clients.enter(request, response);
    const body = found.input ? await readJson(request, server.limits) : undefined;
    const input = found.input ? parseInput(found.input, body) : undefined;
    const whose = identity ?? { owner: 'nobody', scope: 'page' };
    const cookie = { name: door.cookieName, secure: isEncrypted(request, door) };
    await found.handle({ server, request, response, identity: whose, input, signal, cookie });
  }
}

/** Whether the client came over TLS, as the link or the proxy before us says: a cookie then never leaves it otherwise. */
function isEncrypted({ headers }: IncomingMessage, { encrypted }: DoorPolicy): boolean {
  return encrypted.has(headers.host ?? '') || headers['x-forwarded-proto'] === 'https';
}

/** Default deny: whoever may not see a route is not told whether there is one. */
function check(
  found: Route | undefined,
  known: readonly Route[],
  identity: Identity | undefined,
): asserts found is Route {
  if (found?.access === 'open') return;
  if (!identity) {
    const headers = { 'WWW-Authenticate': 'Bearer' };
    const message = 'A key is needed: Authorization: Bearer KEY';
    throw new HttpError(401, message, { code: 'invalid_api_key', headers });
  }
  if (!found && known.length > 0) {
    const headers = { Allow: known.map(({ method }) => method).join(', ') };
    throw new HttpError(405, 'There is no such method here', { code: 'method_not_allowed', headers });
  }
  if (!found) throw new HttpError(404, 'There is nothing here', { code: 'not_found' });
  if (found.access === 'all' && identity.scope !== 'all') {
    throw new HttpError(403, 'This is not for visitors', { code: 'not_for_visitors' });
  }
}

function unavailable(message: string, status: number): HttpError {
  return new HttpError(status, message, {
    code: 'overloaded',
    headers: { 'Retry-After': '1', Connection: 'close' },
  });
}

/** The answer to what failed before its first byte; what fails later is the stream's own to say. */
function refuse(response: ServerResponse, error: unknown, style: Style, log: Log): void {
  const known = asHttpError(error);
  if (known.status === 500)
    log.warning(`A request failed: ${String((known.cause as Error)?.stack ?? known)}`);
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  for (const [name, value] of Object.entries(known.details.headers ?? {})) response.setHeader(name, value);
  json(response, errorBody(known, style), known.status === 499 ? 400 : known.status);
}
