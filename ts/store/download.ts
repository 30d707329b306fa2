/** One file over HTTP into a {@link PartFile}: short connect, stall watch, resume, retries, checks. */
import { basename, dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AxllmError } from '../errors.js';
import type { Env } from '../terminal.js';
import { mismatch, type Expected, type Sums } from './digest.js';
import { isDiskFault, requireRoom } from './disk.js';
import { HttpFault, faultOf, get, statusFault, type HttpAnswer, type Token } from './http.js';
import { PartFile } from './part-file.js';
import { defaultPatience, waitBefore, type Patience } from './patience.js';
import type { StartProgress } from './progress.js';

export interface DownloadOptions {
  readonly env: Env;
  readonly signal?: AbortSignal | undefined;
  readonly progress: StartProgress;
  readonly patience?: Patience | undefined;
}

/** What one download may need beside its address. */
export interface Wish {
  readonly url: string;
  readonly token?: Token | undefined;
  /** Give up when not a byte has come in this time: another source waits. */
  readonly firstByteMs?: number | undefined;
  /** Disk space needed for each byte of the file: more than 1 where it will be unpacked. */
  readonly room?: number | undefined;
}

/**
 * Fetches a file to `target`. A server that cannot be reached at all is tried once; a broken transfer resumes, in
 * this process or in a later one. What turns out to be damaged is fetched once more from the start.
 */
export async function download(
  wish: Wish,
  target: string,
  expected: Expected,
  options: DownloadOptions,
): Promise<Sums> {
  const part = await PartFile.open(target, expected, wish.url);
  const shown = options.progress(basename(target), expected.size);
  try {
    const transfer = new Transfer(wish, part, expected, options);
    for (let damaged = 0; ; damaged++) {
      await transfer.run((done, total) => shown.update(done, total));
      try {
        part.check(wish.url);
        break;
      } catch (error) {
        if (damaged > 0) throw error;
        await part.restart();
      }
    }
  } catch (error) {
    const { code } = error as { code?: string };
    const useless = code === 'checksum_mismatch' || isDiskFault(error);
    await (useless ? part.discard() : part.keep()).catch(() => undefined);
    throw error;
  } finally {
    shown.end();
  }
  return part.commit(wish.url);
}

type Report = (done: number, total: number | undefined) => void;

class Transfer {
  private readonly patience: Patience;
  private readonly begun = Date.now();
  private reachedOnce = false;

  constructor(
    private readonly wish: Wish,
    private readonly part: PartFile,
    private readonly expected: Expected,
    private readonly options: DownloadOptions,
  ) {
    this.patience = options.patience ?? defaultPatience;
  }

  /** Until all bytes are there. */
  async run(report: Report): Promise<void> {
    const { part, patience } = this;
    const { signal } = this.options;
    for (let failures = 0; part.bytes === 0 || part.bytes !== this.expected.size;) {
      const before = part.bytes;
      try {
        return await this.attempt(report);
      } catch (error) {
        signal?.throwIfAborted();
        failures = part.bytes > before ? 1 : failures + 1;
        if (!(error instanceof HttpFault) || !this.mayPass(error) || failures > patience.retries) throw error;
        await this.pause(failures, error);
      }
    }
  }

  private mayPass({ kind }: HttpFault): boolean {
    return kind === 'broken' || (kind === 'unreachable' && this.reachedOnce);
  }

  private async pause(failures: number, fault: HttpFault): Promise<void> {
    const { patience, wish } = this;
    const wait = waitBefore(failures, fault, patience);
    if (this.part.bytes === 0 && Date.now() + wait - this.begun > (wish.firstByteMs ?? Infinity)) throw fault;
    await sleep(wait, undefined, { signal: this.options.signal });
  }

  private async attempt(report: Report): Promise<void> {
    const { part, patience, wish } = this;
    const { env, signal } = this.options;
    const { url, token } = wish;
    const offset = part.bytes;
    const etag = part.origin?.etag;
    const headers: Record<string, string> =
      offset > 0 && etag ? { range: `bytes=${offset}-`, 'if-range': etag } : {};
    const answer = await get({ url, env, token, headers, signal, connectMs: patience.connectMs });
    this.reachedOnce = true;
    const stalled = new HttpFault(`no data for ${patience.stallMs / 1000} s`, 'broken');
    const timer = setTimeout(() => answer.abort(stalled), patience.stallMs);
    try {
      const total = await this.begin(answer, offset);
      report(part.bytes, total);
      if (answer.status === 416) return;
      for await (const chunk of chunksOf(answer, part)) {
        timer.refresh();
        if (this.expected.size !== undefined && part.bytes + chunk.length > this.expected.size) {
          throw mismatch(url, 'size', `more than ${this.expected.size}`, this.expected.size);
        }
        await part.write(chunk);
        report(part.bytes, total);
      }
      if (total !== undefined && part.bytes < total) {
        throw new HttpFault(`ended at byte ${part.bytes} of ${total}`, 'broken');
      }
    } finally {
      clearTimeout(timer);
      // whatever is left of it is not wanted
      answer.abort(new HttpFault('done', 'broken'));
    }
  }

  /** Looks at the headers, and makes the part fit to what will come; the size of the whole file if it is told. */
  private async begin(answer: HttpAnswer, offset: number): Promise<number | undefined> {
    const { part, expected, wish } = this;
    const { status, header } = answer;
    if (status === 416 && offset > 0) {
      if (header('content-range') === `bytes */${offset}`) return offset;
      await part.restart();
      throw new HttpFault(`has no byte ${offset} any more`, 'broken');
    }
    if (status !== 200 && status !== 206) throw refusal(answer);
    const encoding = header('content-encoding') ?? 'identity';
    if (encoding !== 'identity') throw new HttpFault(`sends it compressed (${encoding})`, 'refused');
    if (/^text\/html\b/.test(header('content-type') ?? '')) {
      throw new HttpFault('sends a web page instead of the file; does this network want a login?', 'refused');
    }
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(header('content-range') ?? '');
    const from = status === 206 ? Number(range?.[1]) : 0;
    if (from !== 0 && from !== offset) {
      await part.restart();
      throw new HttpFault(`asked from byte ${offset}, got byte ${from}`, 'broken');
    }
    const length = Number(header('content-length') ?? Number.NaN);
    const total = Number.isNaN(length) ? undefined : from + length;
    if (from === 0 && offset > 0) await part.restart();
    if (total !== undefined && expected.size !== undefined && total !== expected.size) {
      throw mismatch(wish.url, 'size', total, expected.size);
    }
    const size = total ?? expected.size ?? 0;
    await requireRoom(dirname(part.target), size * (wish.room ?? 1) - part.bytes);
    const etag = header('etag');
    // a weak one does not promise the same bytes
    await part.describe(etag && !etag.startsWith('W/') ? { url: wish.url, etag } : undefined);
    return total;
  }
}

/** The body; its errors become faults, those of the disk pass through elsewhere. */
async function* chunksOf({ body }: HttpAnswer, part: PartFile): AsyncGenerator<Buffer> {
  const chunks = body[Symbol.asyncIterator]();
  for (;;) {
    let next: IteratorResult<Buffer>;
    try {
      next = await chunks.next();
    } catch (error) {
      const { message } = faultOf(error);
      throw error instanceof HttpFault
        ? error
        : new HttpFault(`connection lost at byte ${part.bytes}: ${message}`, 'broken');
    }
    if (next.done) return;
    yield next.value;
  }
}

/** The hub says in a header what a status leaves open. */
export function refusal(answer: HttpAnswer): AxllmError {
  const reason = answer.header('x-error-code');
  if (reason === 'GatedRepo' || (reason === undefined && answer.status === 401)) {
    return new AxllmError('gated', `HTTP ${answer.status}: access has to be asked for`);
  }
  return statusFault(answer);
}
