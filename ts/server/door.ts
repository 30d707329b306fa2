/** A listening socket with its policy: who may come by it, and by which names. */
import {
  createServer,
  type IncomingMessage,
  type Server as HttpServer,
  type ServerResponse,
} from 'node:http';
import type { Socket } from 'node:net';
import type { Log } from '../terminal.js';
import type { DoorPolicy } from './dispatch.js';
import type { Limits } from './limits.js';
import { httpOptions, listen, refuseRaw } from './listen.js';

/** Sockets beyond `max-sockets` that still get an answer, 429, before the rest is cut off. */
const overflow = 16;

export interface DoorOptions {
  /** Default: 127.0.0.1. */
  readonly host?: string;
  /** First port tried; 0 (default): any. */
  readonly port?: number;
  /** Whether those who come by it need no key as long as the server has none; default: they do. */
  readonly open?: boolean;
}

/** A way in. */
export interface Door {
  readonly url: string;
  readonly port: number;
  /** From now on it is called by this address and no other name. */
  answerTo(address: URL): void;
  /** Shuts it at once, with all who came by it. */
  close(): void;
}

/** What all doors of a server share. */
export interface House {
  readonly limits: Limits;
  readonly log: Log;
  readonly hosts: readonly string[];
  readonly origins: ReadonlySet<string>;
  readonly sockets: Set<Socket>;
  readonly servers: Set<HttpServer>;
  dispatch(request: IncomingMessage, response: ServerResponse, door: DoorPolicy): Promise<void>;
}

export async function openDoor(house: House, options: DoorOptions): Promise<Door> {
  const { limits, log, sockets, servers } = house;
  const { host = '127.0.0.1', port = 0, open = false } = options;
  const hosts = new Set(house.hosts.map((name) => name.toLowerCase()));
  const encrypted = new Set<string>();
  const answerTo = ({ host: called, protocol }: URL) => {
    for (const names of [hosts, encrypted]) names.clear();
    hosts.add(called);
    if (protocol === 'https:') encrypted.add(called);
  };
  // its port is known once it listens, and nobody comes before
  let policy: DoorPolicy = { hosts, encrypted, origins: house.origins, port, open, cookieName: '' };
  const http = createServer(httpOptions(limits), (request, response) => {
    void house.dispatch(request, response, policy);
  });
  http.maxConnections = limits['max-sockets'] * overflow;
  http.on('clientError', refuseRaw);
  http.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const bound = await listen(http, host, port, log);
  policy = { ...policy, port: bound, cookieName: `axllm-${bound}` };
  servers.add(http);
  const shut = () => {
    servers.delete(http);
    http.close();
    http.closeAllConnections();
  };
  const name = host.includes(':') ? `[${host}]` : host;
  return { url: `http://${name}:${bound}`, port: bound, answerTo, close: shut };
}
