/** Repositories of the hub as folders of verified files, at one commit; Python's downloads are found first. */
import { readFile, readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AxllmError, asAxllmError } from '../errors.js';
import { listFiles, type HubFile } from './hub-listing.js';
import { cachedSnapshots } from './hub-cache.js';
import { complete, selectFiles, type Want } from './hub-select.js';
import { gatedHint, hubUrl, tokenFor } from './hub-host.js';
import { download } from './download.js';
import { waitingFor, type FetchContext } from './fetch.js';
import { withLock } from './lock.js';
import { replaceFile } from './part-file.js';
import { VerifiedFiles } from './verified.js';

/** What was chosen of a repository when it was fetched. */
interface Snapshot {
  readonly commit: string;
  readonly files: readonly HubFile[];
}

/** A folder with what `want` needs of `repo`: in Python's cache, in the build root, or fetched into it. */
export async function ensureRepository(repo: string, want: Want, context: FetchContext): Promise<string> {
  const { root } = context;
  const home = repositoryFolder(repo, root);
  const known = context.refresh ? undefined : await knownSnapshot(home, want);
  const found = await foundRepository(repo, want, context, known);
  if (found !== undefined) return found;
  if (context.offline) {
    throw new AxllmError(
      'offline',
      `${repo} is not in ${home} or in the cache of Hugging Face, and --offline forbids fetching it`,
      {
        hint: 'run once without --offline, or copy the build root from a machine that has it',
      },
    );
  }
  const fetch = () => fetchSnapshot(repo, want, known, context);
  try {
    return await withLock(join(home, want.kind), waitingFor(repo, context), fetch);
  } catch (error) {
    // a name that was mistyped leaves no folder
    await rmdir(home).catch(() => undefined);
    throw error;
  }
}

/** The folder, where it is on this machine already. */
export async function foundRepository(
  repo: string,
  want: Want,
  { root, env, log, refresh }: FetchContext,
  snapshot?: Snapshot,
): Promise<string | undefined> {
  if (refresh) return undefined;
  const home = repositoryFolder(repo, root);
  const known = snapshot ?? (await knownSnapshot(home, want));
  const folder = known && join(home, known.commit);
  if (folder && (await isSound(folder, known.files, root))) {
    log.info(`Model already downloaded and verified: ${folder}`);
    return folder;
  }
  const cached = cachedSnapshots(repo, env).find(({ folder: each }) => complete(each, want));
  if (cached) log.info(`Found in the cache of Hugging Face: ${cached.folder}`);
  return cached?.folder;
}

/** Where a repository's files go. */
export function repositoryFolder(repo: string, root: string): string {
  return join(root, 'hub', repo.replace('/', '--'));
}

/** The repositories that were fetched into the build root as models. */
export async function fetchedRepositories(root: string): Promise<string[]> {
  const names = await readdir(join(root, 'hub')).catch(() => []);
  const found: string[] = [];
  for (const name of names.filter((each) => each.includes('--'))) {
    const manifests = await readdir(join(root, 'hub', name)).catch(() => []);
    const [owner, repo] = name.split('--');
    for (const manifest of manifests) {
      const choice = /^model(?:-(.+))?\.json$/.exec(manifest);
      if (choice) found.push(`${owner}/${repo}${choice[1] === undefined ? '' : `:${choice[1]}`}`);
    }
  }
  return found.sort();
}

/** What was fetched of a repository, for those who list or check it. */
export async function knownSnapshot(home: string, want: Want): Promise<Snapshot | undefined> {
  try {
    const { commit, files } = JSON.parse(await readFile(manifestOf(home, want), 'utf8')) as Snapshot;
    const sound =
      /^[0-9a-f]{40}$/.test(commit) &&
      files.every(({ path }) => /^[\w][\w.-]*$/.test(path)) &&
      files.length > 0;
    return sound ? { commit, files } : undefined;
  } catch {
    return undefined;
  }
}

function manifestOf(home: string, { kind, choice }: Want): string {
  const name = choice === undefined ? kind : `${kind}-${choice.replace(/[^\w.-]/g, '_')}`;
  return join(home, `${name}.json`);
}

async function isSound(folder: string, files: readonly HubFile[], root: string): Promise<boolean> {
  const verified = new VerifiedFiles(root);
  for (const file of files) {
    if ((await verified.check(join(folder, file.path), file)) !== 'verified') return false;
  }
  return true;
}

async function fetchSnapshot(
  repo: string,
  want: Want,
  known: Snapshot | undefined,
  context: FetchContext,
): Promise<string> {
  const { root, env } = context;
  const home = repositoryFolder(repo, root);
  const verified = new VerifiedFiles(root);
  try {
    // the commit that was begun is finished, so that all files belong together
    const begun = known ?? (context.refresh ? undefined : await knownSnapshot(home, want));
    const { commit, files } = begun ?? (await choose(repo, want, context));
    await replaceFile(manifestOf(home, want), `${JSON.stringify({ repo, commit, files }, null, 1)}\n`);
    const folder = join(home, commit);
    for (const file of files) {
      const path = join(folder, file.path);
      if ((await verified.check(path, file)) === 'verified') continue;
      context.log.info(`Fetching ${file.path} of ${repo} at ${commit.slice(0, 8)}`);
      const sums = await download(
        { url: hubUrl(repo, file.path, commit, env), token: tokenFor(env) },
        path,
        file,
        context,
      );
      await verified.remember([[path, sums]]);
    }
    return folder;
  } catch (thrown) {
    context.signal?.throwIfAborted();
    throw explained(repo, thrown, context);
  }
}

async function choose(repo: string, want: Want, context: FetchContext): Promise<Snapshot> {
  const { commit, files } = await listFiles(repo, context);
  return { commit, files: selectFiles(files, want) };
}

/** The error of a repository, with what to do where access has to be asked for. */
export function explained(repo: string, thrown: unknown, { env }: FetchContext): AxllmError {
  const error = asAxllmError(thrown);
  const gated = error.code === 'gated';
  const text = gated ? `${repo} is not open to everyone: ${error.message}` : `${repo}: ${error.message}`;
  return new AxllmError(error.code, text, { hint: gated ? gatedHint(repo, env) : error.hint, cause: thrown });
}
