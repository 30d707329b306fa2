/** One file over HTTP into a {@link PartFile}: short connect, stall watch, resume, checks. */
import { setTimeout as sleep } from 'node:timers/promises';
import { AxllmError } from '../errors.js';
import { PartFile, type Expected } from './part-file.js';
import type { StartProgress } from './progress.js';

/** How patient a download is; tests shorten it. */
export interface Patience {
  /** Until the answer's headers are there. */
  readonly connectMs: number;
  /** Without a single byte. */
  readonly stallMs: number;
  /** Attempts in a row that bring nothing new. */
  readonly retries: number;
  readonly backOffMs: number;
}

export const defaultPatience: Patience = { connectMs: 5_000, stallMs: 30_000, retries: 5, backOffMs: 500 };

export interface DownloadOptions {
  readonly signal?: AbortSignal | undefined;
  readonly progress: StartProgress;
  readonly patience?: Patience | undefined;
}

/** Fetches `url` to `target`. A server that cannot be reached at all is tried once; a broken transfer resumes. */
export async function download(
  url: string,
  target: string,
  expected: Expected,
  { signal, progress, patience = defaultPatience }: DownloadOptions,
): Promise<void> {
  let part = await PartFile.create(target);
  const shown = progress(target.split('/').pop() ?? url, expected.size);
  let etag: string | undefined;
  try {
    for (let failures = 0; ;) {
      const before = part.digest.bytes;
      try {
        const answer = await request(url, before, etag, patience, signal);
        if (before > 0 && answer.offset === 0) {
          await part.discard();
          part = await PartFile.create(target);
        }
        etag = answer.etag;
        await receive(answer, part, patience, (done) => shown.update(done, answer.total));
        break;
      } catch (error) {
        signal?.throwIfAborted();
        failures = part.digest.bytes > before ? 1 : failures + 1;
        if (!isTransient(error, part.digest.bytes) || failures > patience.retries) throw error;
        await sleep(patience.backOffMs * 2 ** (failures - 1), undefined, { signal });
      }
    }
  } catch (error) {
    await part.discard();
    throw error;
  } finally {
    shown.end();
  }
  await part.commit(expected, url);
}

interface Answer {
  readonly body: AsyncIterable<Uint8Array>;
  readonly offset: number;
  readonly total: number | undefined;
  readonly etag: string | undefined;
  readonly abort: (reason: Error) => void;
}

async function request(
  url: string,
  offset: number,
  etag: string | undefined,
  patience: Patience,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  const controller = new AbortController();
  const both = signal ? AbortSignal.any([signal, controller.signal]) : controller.signal;
  const slow = new HttpFault(`no answer within ${patience.connectMs / 1000} s`, 'unreachable');
  const timer = setTimeout(() => controller.abort(slow), patience.connectMs);
  const headers = new Headers({ 'accept-encoding': 'identity' });
  if (offset > 0 && etag) {
    headers.set('range', `bytes=${offset}-`);
    headers.set('if-range', etag);
  }
  try {
    const response = await fetch(url, { signal: both, headers });
    if (!response.ok || !response.body) {
      await response.body?.cancel();
      const again = response.status >= 500 || response.status === 429;
      throw new HttpFault(
        `HTTP ${response.status} ${response.statusText}`.trim(),
        again ? 'broken' : 'refused',
      );
    }
    const from = Number(/^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1] ?? 0);
    if (from !== 0 && from !== offset)
      throw new HttpFault(`asked from byte ${offset}, got byte ${from}`, 'refused');
    const length = Number(response.headers.get('content-length'));
    return {
      body: response.body as AsyncIterable<Uint8Array>,
      offset: from,
      total: length > 0 ? from + length : undefined,
      etag: response.headers.get('etag') ?? undefined,
      abort: (reason) => controller.abort(reason),
    };
  } catch (error) {
    if (error instanceof HttpFault) throw error;
    signal?.throwIfAborted();
    throw new HttpFault(causeText(error), 'unreachable');
  } finally {
    clearTimeout(timer);
  }
}

async function receive(answer: Answer, part: PartFile, patience: Patience, report: (done: number) => void) {
  const stalled = new HttpFault(`no data for ${patience.stallMs / 1000} s`, 'broken');
  const timer = setTimeout(() => answer.abort(stalled), patience.stallMs);
  try {
    for await (const chunk of answer.body) {
      timer.refresh();
      await part.write(chunk);
      report(part.digest.bytes);
    }
  } catch (error) {
    if (error instanceof HttpFault || isDiskError(error)) throw error;
    throw new HttpFault(`connection lost at byte ${part.digest.bytes}: ${causeText(error)}`, 'broken');
  } finally {
    clearTimeout(timer);
  }
  const { total } = answer;
  if (total !== undefined && part.digest.bytes < total) {
    throw new HttpFault(`ended at byte ${part.digest.bytes} of ${total}`, 'broken');
  }
}

/** `unreachable`: no server; `refused`: it says no; `broken`: worth another try. */
class HttpFault extends AxllmError {
  constructor(
    message: string,
    readonly kind: 'unreachable' | 'refused' | 'broken',
  ) {
    super('download_failed', message);
  }
}

function isTransient(error: unknown, received: number): boolean {
  if (!(error instanceof HttpFault)) return false;
  return error.kind === 'broken' || (error.kind === 'unreachable' && received > 0);
}

function isDiskError(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return ['ENOSPC', 'EDQUOT', 'EIO', 'EROFS', 'EACCES'].includes(code ?? '');
}

function causeText(error: unknown): string {
  const { cause, message } = error as Error;
  return cause instanceof Error && cause.message ? cause.message : message;
}
