/** What a route is: one entry of the table, from which dispatch, keys, the OpenAPI document and tests follow. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ZodType } from 'zod';
import type { Access, Identity } from './access.js';
import type { Style } from './http-error.js';
import type { Limits } from './limits.js';
import type { Metrics } from './metrics.js';
import type { Entry, Ready } from './served.js';

/** What all requests share. */
export interface Server {
  readonly limits: Limits;
  readonly access: Access;
  readonly metrics: Metrics;
  readonly entries: readonly Entry[];
  readonly routes: readonly Route[];
  /** The model that a client names; without a name, the first. Throws 404 or 503. */
  model(id: string | undefined | null): Ready;
  connections(): number;
}

/** A request on its way through its route. */
export interface Call<Input = unknown> {
  readonly server: Server;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly identity: Identity;
  /** The body, as the route's schema has checked it. */
  readonly input: Input;
  /** Aborted when the client leaves, the reply takes too long, or the server ends. */
  readonly signal: AbortSignal;
  /** The cookie's name at this door, and whether it may only travel encrypted. */
  readonly cookie: { readonly name: string; readonly secure: boolean };
}

/** One method at one path. */
export interface Route<Input = unknown> {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** `open`: anybody; `page`: whoever has a key or the page's cookie; `all`: keys alone. */
  readonly access: 'open' | 'page' | 'all';
  readonly style: Style;
  /** It makes the model work: one client has few such requests at once. */
  readonly runs?: true;
  readonly summary: string;
  /** Of a POST's body. */
  readonly input?: ZodType<Input>;
  handle(call: Call<Input>): Promise<void> | void;
}

/** Keeps the type of the input from the schema to the handler. */
export function route<Input>(entry: Route<Input>): Route {
  return entry as unknown as Route;
}

/** Answers with JSON. */
export function json(response: ServerResponse, value: unknown, status = 200): void {
  const text = JSON.stringify(value);
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
  });
  response.end(text);
}
