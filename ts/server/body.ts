/** A request's JSON: of the right kind, bounded in bytes, time and depth, and real UTF-8. */
import type { IncomingMessage } from 'node:http';
import { HttpError } from './http-error.js';
import type { Limits } from './limits.js';

/** Nested deeper, no request of any client is. */
const mostNested = 64;

/** Reads and parses the body. */
export async function readJson(request: IncomingMessage, limits: Limits): Promise<unknown> {
  const [kind] = (request.headers['content-type'] ?? '').split(';', 1);
  if (kind!.trim().toLowerCase() !== 'application/json') {
    throw new HttpError(415, 'The body must be application/json', { code: 'unsupported_media_type' });
  }
  if (request.headers['content-encoding'] !== undefined) {
    throw new HttpError(415, 'The body must not be compressed', { code: 'unsupported_media_type' });
  }
  const bytes = await readBytes(request, limits);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw notJson('The body is not UTF-8');
  }
  if (depthOf(text) > mostNested) throw notJson(`The body is nested deeper than ${mostNested}`);
  try {
    return JSON.parse(text);
  } catch (error) {
    // the parser quotes the text around the fault: that is the client's own
    throw notJson(`The body is not JSON: ${(error as Error).message}`);
  }
}

function readBytes(request: IncomingMessage, limits: Limits): Promise<Buffer> {
  const most = limits['max-body'];
  const tooLarge = () => {
    const message = `The body is larger than ${most} bytes`;
    // what follows is not worth reading: the connection ends with the answer
    return new HttpError(413, message, { code: 'body_too_large', headers: { Connection: 'close' } });
  };
  if (Number(request.headers['content-length'] ?? 0) > most) return Promise.reject(tooLarge());
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let size = 0;
    const late = setTimeout(() => {
      const headers = { Connection: 'close' };
      finish(new HttpError(408, 'The body took too long to come', { code: 'timeout', headers }));
    }, limits['body-timeout'] * 1000);
    const onData = (part: Buffer) => {
      size += part.length;
      if (size > most) finish(tooLarge());
      else parts.push(part);
    };
    const onEnd = () => finish();
    const onGone = () => finish(new HttpError(400, 'The body is incomplete'));
    const finish = (error?: HttpError) => {
      clearTimeout(late);
      request.off('data', onData).off('end', onEnd).off('error', onGone).off('close', onGone);
      // an error that comes later is nobody's
      request.on('error', () => undefined);
      if (error) request.pause();
      if (error) reject(error);
      else resolve(Buffer.concat(parts));
    };
    request.on('data', onData).on('end', onEnd).on('error', onGone).on('close', onGone);
  });
}

function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (quoted) {
      if (code === 0x5c) at += 1;
      else if (code === 0x22) quoted = false;
    } else if (code === 0x22) quoted = true;
    else if (code === 0x5b || code === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (code === 0x5d || code === 0x7d) depth -= 1;
  }
  return deepest;
}

function notJson(message: string): HttpError {
  return new HttpError(400, message, { code: 'invalid_json' });
}
