/** A listening socket: Node's own limits, the port, and what becomes of those who do not speak HTTP. */
import type { Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { AxllmError } from '../errors.js';
import type { Log } from '../terminal.js';
import { HttpError, errorBody } from './http-error.js';
import type { Limits } from './limits.js';

/** Ports tried one after the other. */
const tries = 100;

/** The limits as Node's server knows them. */
export function httpOptions(limits: Limits) {
  const ms = (name: 'header-timeout' | 'body-timeout' | 'idle-timeout') => limits[name] * 1000;
  return {
    maxHeaderSize: limits['max-headers'],
    headersTimeout: ms('header-timeout'),
    requestTimeout: ms('header-timeout') + ms('body-timeout'),
    keepAliveTimeout: ms('idle-timeout'),
    connectionsCheckingInterval: Math.min(1000, ms('header-timeout') / 4),
    requireHostHeader: false,
    highWaterMark: 64 * 1024,
  };
}

/** What is no HTTP gets an answer all the same, and the connection ends. */
export function refuseRaw(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy();
  const [status, text, message] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? [431, 'Request Header Fields Too Large', 'The head of the request is too large']
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? [408, 'Request Timeout', 'The request took too long to come']
        : [400, 'Bad Request', 'This is not HTTP'];
  const body = JSON.stringify(errorBody(new HttpError(status as number, message as string), 'openai'));
  const head = `HTTP/1.1 ${status} ${text}\r\nContent-Type: application/json\r\nConnection: close\r\n`;
  socket.end(`${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

/** The first free port from `port` on. */
export async function listen(http: Server, host: string, port: number, log: Log): Promise<number> {
  for (let tried = port; ; tried++) {
    try {
      const bound = await bind(http, host, tried);
      if (tried > port) log.info(`Port ${port} is taken; using ${bound}`);
      return bound;
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      const taken = code === 'EADDRINUSE' && port !== 0;
      if (taken && tried + 1 < port + tries && tried < 65_535) continue;
      throw new AxllmError('cannot_listen', `Cannot listen on ${host}:${tried}: ${message}`, {
        cause,
        hint: taken
          ? 'all of the next ports are taken; choose another one with --port'
          : 'check --host and --port',
      });
    }
  }
}

function bind(http: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    http.once('error', reject);
    http.listen({ host, port, backlog: 4096 }, () => {
      http.off('error', reject);
      resolve((http.address() as AddressInfo).port);
    });
  });
}
