/** One request: redirects, a token that stays with its host, and what went wrong in one of three kinds. */
import { AxllmError } from '../errors.js';
import type { Env } from '../terminal.js';
import { dispatcherFor, undici } from './proxies.js';

/** A secret and the only origin that may see it. */
export interface Token {
  readonly origin: string;
  readonly value: string;
}

export interface HttpRequest {
  readonly url: string;
  readonly env: Env;
  readonly headers?: Readonly<Record<string, string>>;
  readonly token?: Token | undefined;
  /** Until the answer's headers are there. */
  readonly connectMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  readonly header: (name: string) => string | undefined;
  readonly body: AsyncIterable<Buffer>;
  /** Ends the transfer; reading the body then fails with `reason`. */
  readonly abort: (reason: Error) => void;
}

/** `unreachable`: no server; `refused`: it says no; `broken`: worth another try, after `waitMs` if it says so. */
export class HttpFault extends AxllmError {
  constructor(
    message: string,
    readonly kind: 'unreachable' | 'refused' | 'broken',
    readonly waitMs = 0,
    readonly status?: number,
  ) {
    super('download_failed', message);
  }
}

const mostRedirects = 10;

/** GETs `url` and follows redirects; the answer may have any status that is not one. */
export async function get(request: HttpRequest): Promise<HttpAnswer> {
  const { connectMs, signal, env } = request;
  const { request: send } = await undici();
  const dispatcher = await dispatcherFor(env);
  const controller = new AbortController();
  const slow = new HttpFault(`no answer within ${connectMs / 1000} s`, 'unreachable');
  const timer = setTimeout(() => controller.abort(slow), connectMs);
  const both = signal ? AbortSignal.any([signal, controller.signal]) : controller.signal;
  let url = new URL(request.url);
  try {
    for (let redirects = 0; ; redirects++) {
      const { token } = request;
      const headers: Record<string, string> = { 'accept-encoding': 'identity', ...request.headers };
      if (token && token.origin === url.origin) headers.authorization = `Bearer ${token.value}`;
      // the deadlines are our own
      const limits = { headersTimeout: 0, bodyTimeout: 0 };
      const answer = await send(url, { dispatcher, headers, signal: both, ...limits });
      // whoever reads it is told by the iteration; nobody else has to die of it
      answer.body.on('error', () => undefined);
      const header = (name: string) => [answer.headers[name]].flat()[0];
      const { statusCode: status } = answer;
      const next = header('location');
      if (![301, 302, 303, 307, 308].includes(status) || next === undefined) {
        return { status, header, body: answer.body, abort: (reason) => controller.abort(reason) };
      }
      // not read to its end: it may be endless
      answer.body.destroy();
      url = redirected(url, next, redirects);
    }
  } catch (error) {
    if (error instanceof HttpFault) throw error;
    signal?.throwIfAborted();
    throw faultOf(error);
  } finally {
    clearTimeout(timer);
  }
}

function redirected(from: URL, to: string, redirects: number): URL {
  if (redirects >= mostRedirects) throw new HttpFault(`more than ${mostRedirects} redirects`, 'refused');
  const url = URL.canParse(to, from) ? new URL(to, from) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) throw new HttpFault(`redirects to ${to}`, 'refused');
  if (from.protocol === 'https:' && url.protocol === 'http:') {
    throw new HttpFault(`redirects from https to ${url.origin}, which is not encrypted`, 'refused');
  }
  return url;
}

/** A refusal as a fault; 429 and 5xx may pass. */
export function statusFault(answer: Pick<HttpAnswer, 'status' | 'header'>, doing = ''): HttpFault {
  const { status } = answer;
  const again = status >= 500 || status === 429 || status === 408;
  return new HttpFault(`${doing}HTTP ${status}`, again ? 'broken' : 'refused', retryAfter(answer), status);
}

/** Milliseconds that `Retry-After` asks for: seconds, or a date. */
function retryAfter({ header }: Pick<HttpAnswer, 'header'>): number {
  const text = header('retry-after') ?? '';
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? 0 : Math.max(0, at - Date.now());
}

/** Errors of a connection that was there once: the server lives. */
const broken = [
  'ECONNRESET',
  'EPIPE',
  'UND_ERR_SOCKET',
  'UND_ERR_ABORTED',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
];

/** What undici throws, as a fault. */
export function faultOf(error: unknown): HttpFault {
  if (error instanceof HttpFault) return error;
  const { code, message, cause } = error as NodeJS.ErrnoException;
  const text = cause instanceof Error && cause.message ? cause.message : message || String(code);
  // those of the platform have a number
  const parser = String(code).startsWith('HPE_');
  return new HttpFault(text, parser || broken.includes(code ?? '') ? 'broken' : 'unreachable');
}
