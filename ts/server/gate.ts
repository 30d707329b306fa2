/**
 * Who may speak to a door at all, before any work is done: the Host it was called by, the page that calls, and how
 * the browser says it was called. Stops DNS rebinding and other sites' pages; keys are another matter.
 */
import type { IncomingMessage } from 'node:http';
import { HttpError } from './http-error.js';

/** What a door lets pass. */
export interface GatePolicy {
  /** Names of this machine besides the address that the connection reached, with their ports. */
  readonly hosts: ReadonlySet<string>;
  /** Origins whose pages may call, besides the door's own. */
  readonly origins: ReadonlySet<string>;
  /** Where the door listens. */
  readonly port: number;
}

/** What the gate found out about the caller. */
export interface Caller {
  /** The page's origin, where it is another one that is let in. */
  readonly foreignOrigin: string | undefined;
}

/** Lets the request pass, or throws 400 or 403. */
export function gate(request: IncomingMessage, policy: GatePolicy): Caller {
  const host = hostOf(request);
  if (!isOurs(host, request, policy)) {
    throw refused('host_not_allowed', `This server is not called ${JSON.stringify(host)}`);
  }
  const { origin } = request.headers;
  const own = origin === `http://${host}` || origin === `https://${host}`;
  const foreignOrigin = origin === undefined || own ? undefined : origin;
  if (foreignOrigin !== undefined && !policy.origins.has(foreignOrigin)) {
    throw refused('origin_not_allowed', `Pages of ${JSON.stringify(foreignOrigin)} may not use this server`);
  }
  const site = request.headers['sec-fetch-site'];
  const sameSite = site === undefined || site === 'same-origin' || (site === 'none' && isRead(request));
  if (!sameSite && foreignOrigin === undefined) {
    throw refused('origin_not_allowed', 'Pages of other sites may not use this server');
  }
  return { foreignOrigin };
}

function isRead({ method }: IncomingMessage): boolean {
  return method === 'GET' || method === 'HEAD';
}

function hostOf(request: IncomingMessage): string {
  const hosts = request.rawHeaders.filter((name, at) => at % 2 === 0 && name.toLowerCase() === 'host');
  const host = request.headers.host;
  if (hosts.length !== 1 || !host) throw new HttpError(400, 'A request has exactly one Host');
  return host.toLowerCase();
}

/** The address that the connection reached is ours whatever it is: no name leads to it by rebinding. */
function isOurs(host: string, { socket }: IncomingMessage, { hosts, port }: GatePolicy): boolean {
  const names = ['localhost', '127.0.0.1', '[::1]', bracketed(socket.localAddress)];
  return (
    names.some((name) => host === `${name}:${port}` || (port === 80 && host === name)) || hosts.has(host)
  );
}

function bracketed(address = ''): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/, '');
  return plain.includes(':') ? `[${plain}]` : plain;
}

function refused(code: string, message: string): HttpError {
  return new HttpError(403, message, { code });
}
