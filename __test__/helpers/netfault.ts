/** A loopback HTTP server that does to each request what a script says; what is left over is served as it should be. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { ExecutionContext } from 'ava';
import { serve } from './server.js';

export type Fault = (request: IncomingMessage, response: ServerResponse, file: Served) => void;

/** One file as it lies on the server. */
export interface Served {
  readonly body: Buffer;
  readonly etag: string;
  /** Bytes that the client has on its disk, where that is known. */
  readonly stored?: (() => number) | undefined;
}

export interface Netfault {
  readonly url: string;
  readonly seen: readonly IncomingMessage[];
  /** Bytes of bodies that were handed to the network. */
  readonly sent: () => number;
  readonly requests: (path: string) => number;
}

/**
 * Serves `files` by their path; each request takes the next of `script`. With the `folder` that the client writes to,
 * connections break when what was sent is there, and not while it is in some buffer.
 */
export async function netfault(
  t: Pick<ExecutionContext, 'teardown'>,
  files: Readonly<Record<string, Buffer>>,
  script: readonly Fault[] = [],
  otherwise: Fault = honest,
  folder?: string,
): Promise<Netfault> {
  const steps = [...script];
  const stored = folder === undefined ? undefined : () => partBytes(folder);
  let sent = 0;
  const { url, seen } = await serve(t, (request, response) => {
    const [write, end] = [response.write.bind(response), response.end.bind(response)];
    response.write = ((chunk: Buffer, done?: () => void) => {
      if (response.statusCode < 300) sent += chunk.length;
      return write(chunk, done as never);
    }) as never;
    response.end = ((chunk?: Buffer) => {
      // what an error says is no byte of the file
      if (response.statusCode < 300) sent += chunk?.length ?? 0;
      return end(chunk);
    }) as never;
    response.on('error', () => undefined);
    const body = files[decodeURIComponent(request.url ?? '')];
    if (!body) return void response.writeHead(404).end();
    const etag = `"${createHash('md5').update(body).digest('hex')}"`;
    (steps.shift() ?? otherwise)(request, response, { body, etag, stored });
  });
  const requests = (path: string) => seen.filter((request) => request.url === path).length;
  return { url, seen, sent: () => sent, requests };
}

/** The size of the longest file that is being fetched into `folder`. */
function partBytes(folder: string): number {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  const sizes = names
    .filter((name) => name.endsWith('.part'))
    .map((name) => statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0);
  return Math.max(0, ...sizes);
}

/** Ranges, `If-Range`, ETag: as a good server does it. */
export const honest: Fault = (request, response, { body, etag }) => {
  const from = rangeOf(request, etag);
  response.setHeader('etag', etag);
  response.setHeader('accept-ranges', 'bytes');
  if (from !== undefined && from >= body.length) {
    return void response.writeHead(416, { 'content-range': `bytes */${body.length}` }).end();
  }
  if (from !== undefined) {
    response.writeHead(206, { 'content-range': `bytes ${from}-${body.length - 1}/${body.length}` });
  }
  response.end(body.subarray(from ?? 0));
};

function rangeOf({ headers }: IncomingMessage, etag: string): number | undefined {
  const from = /^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1];
  return from !== undefined && headers['if-range'] === etag ? Number(from) : undefined;
}

/** An honest beginning of `bytes` bytes, and then `then`. */
function beginning(bytes: number, then: (response: ServerResponse) => void): Fault {
  return (request, response, { body, etag, stored }) => {
    const from = rangeOf(request, etag) ?? 0;
    const range = from > 0 ? { 'content-range': `bytes ${from}-${body.length - 1}/${body.length}` } : {};
    response.writeHead(from > 0 ? 206 : 200, { 'content-length': body.length - from, etag, ...range });
    if (bytes === 0) response.flushHeaders();
    const part = body.subarray(from, from + bytes);
    // the client has to have it before the end comes
    const arrived = () => bytes === 0 || stored === undefined || stored() >= from + part.length;
    const end = (): void => (arrived() ? then(response) : void setTimeout(end, 5));
    response.write(part, () => setTimeout(end, stored ? 5 : 40));
  };
}

/** The connection is reset after some bytes; 0: before the body. */
export const resetAt = (bytes: number) =>
  beginning(
    bytes,
    (response) => void (response.socket as { resetAndDestroy?: () => void })?.resetAndDestroy?.(),
  );
/** Closed in an orderly way, though more was promised. */
export const closedAt = (bytes: number) => beginning(bytes, (response) => response.socket?.end());
/** Silent from there on. */
export const stallAt = (bytes: number) => beginning(bytes, () => undefined);
/** Before a single header. */
export const resetAtOnce: Fault = (request) => request.socket.resetAndDestroy();
export const silent: Fault = () => undefined;

export const status =
  (code: number, headers: Record<string, string> = {}): Fault =>
  (_, response) =>
    void response.writeHead(code, headers).end('no');

export const redirect =
  (to: string | ((request: IncomingMessage) => string), code = 302): Fault =>
  (request, response) =>
    void response.writeHead(code, { location: typeof to === 'string' ? to : to(request) }).end();

/** As {@link honest}, in `pieces` with a pause after each, so that there is a middle to break in. */
export const paced =
  (pieces: number, pauseMs: number): Fault =>
  (request, response, { body, etag }) => {
    const from = rangeOf(request, etag) ?? 0;
    const range = from > 0 ? { 'content-range': `bytes ${from}-${body.length - 1}/${body.length}` } : {};
    response.writeHead(from > 0 ? 206 : 200, { etag, 'content-length': body.length - from, ...range });
    const size = Math.ceil(body.length / pieces);
    const send = (at: number): void => {
      if (at >= body.length) return void response.end();
      response.write(body.subarray(at, at + size), () => setTimeout(() => send(at + size), pauseMs));
    };
    send(from);
  };

/** The whole file, whatever was asked. */
export const ignoresRanges: Fault = (_, response, { body, etag }) =>
  void response.writeHead(200, { etag, 'content-length': body.length }).end(body);

/** 206, but from another place than asked. */
export const wrongRange =
  (from: number): Fault =>
  (_, response, { body, etag }) =>
    void response
      .writeHead(206, { etag, 'content-range': `bytes ${from}-${body.length - 1}/${body.length}` })
      .end(body.subarray(from));

/** Begins to send other bytes under another ETag, and breaks off. */
export const otherFile =
  (bytes: number): Fault =>
  (_, response, { body }) => {
    response.writeHead(200, { etag: '"another"', 'content-length': body.length });
    response.write(Buffer.alloc(bytes, 7), () => setTimeout(() => response.socket?.destroy(), 40));
  };

/** One bit is not what it was. */
export const flipped =
  (at: number): Fault =>
  (_, response, { body, etag }) => {
    const other = Buffer.from(body);
    other[at]! ^= 1;
    response.writeHead(200, { etag, 'content-length': other.length }).end(other);
  };

/** Bytes too many or too few, and honest about it. */
export const resized =
  (by: number): Fault =>
  (_, response, { body, etag }) => {
    const other = by < 0 ? body.subarray(0, by) : Buffer.concat([body, Buffer.alloc(by)]);
    response.writeHead(200, { etag, 'content-length': other.length }).end(other);
  };

/** In pieces without a length. */
export const chunked =
  (extra = 0): Fault =>
  (_, response, { body }) => {
    response.writeHead(200, { 'transfer-encoding': 'chunked' });
    response.write(body.subarray(0, 1000));
    response.write(body.subarray(1000));
    if (extra > 0) response.write(Buffer.alloc(extra));
    response.end();
  };

export const zipped: Fault = (_, response, { body }) =>
  void response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(body));

export const webPage: Fault = (_, response) =>
  void response
    .writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
    .end('<html>please log in</html>');

export const weakEtag =
  (bytes: number): Fault =>
  (_, response, { body }) => {
    response.writeHead(200, { etag: 'W/"weak"', 'content-length': body.length });
    response.write(body.subarray(0, bytes), () => setTimeout(() => response.socket?.destroy(), 40));
  };
