/** The compiled model of a card: its archive fetched, checked, extracted and remembered; found again at each start. */
import { createHash } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { extractArchive } from './archive/extract.js';
import { badArchive, type PlannedEntry } from './archive/plan.js';
import type { Build } from './cards.js';
import { fetchLocked, missingOffline, waitingFor, type FetchContext } from './fetch.js';
import { sweepUnpacked, withLock } from './lock.js';
import { lookUp, record } from './model-index.js';
import { VerifiedFiles, type Depth, type FileState } from './verified.js';

/** Unpacked beside the archive before that goes: the space that an archive's byte takes in all. */
const roomPerByte = 3.2;

/** The `model.json` of `build`, fetched when it is not there as it should be. */
export async function ensureArchive(build: Build, context: FetchContext): Promise<string> {
  const { root, log } = context;
  const archive = join(root, build.path);
  const found = await findArchive(build, context);
  if (found.state === 'verified') {
    await sweepUnpacked(archive, root);
    log.info(`Model already downloaded and verified: ${found.modelPath}`);
    return found.modelPath!;
  }
  if (context.offline) throw missingOffline(found.modelPath ?? archive, found.state);
  return withLock(archive, waitingFor(build.archive.file, context), async () => {
    const now = await findArchive(build, context);
    if (now.state === 'verified') return now.modelPath!;
    if (now.state === 'damaged')
      log.warning(`${dirname(now.modelPath!)} has changed since it was downloaded; fetching it again`);
    await fetchLocked(build.archive, archive, context, roomPerByte);
    return unpack(build, archive, context);
  });
}

/** Where the model of `build` is, and whether it is what came out of the archive. */
export async function findArchive(
  { archive: { md5 = '' } }: Build,
  { root, log }: Pick<FetchContext, 'root' | 'log'>,
  depth: Depth = 'record',
): Promise<{ state: FileState; modelPath?: string }> {
  const verified = new VerifiedFiles(root);
  const tree = await verified.checkTree(md5, depth);
  const entry = (await lookUp(root, md5, log)) ?? (await rebuilt(md5, tree, verified, root, log));
  if (!entry) return { state: 'absent' };
  const { modelPath, modelMd5 } = entry;
  const text = await readFile(modelPath).catch(() => undefined);
  if (text === undefined) return { state: 'absent' };
  const sound = createHash('md5').update(text).digest('hex') === modelMd5;
  // without a record of its files it is the original's download, of which it too checks no more than this
  return { state: sound ? (tree ?? 'verified') : 'damaged', modelPath };
}

/** The index was lost, but our own record says what came out of that archive. */
async function rebuilt(
  md5: string,
  tree: FileState | undefined,
  verified: VerifiedFiles,
  root: string,
  log: FetchContext['log'],
) {
  if (tree !== 'verified') return undefined;
  const modelPath = (await verified.treeOf(md5)).find((path) => path.endsWith('/model/model.json'));
  if (modelPath === undefined) return undefined;
  const modelMd5 = createHash('md5')
    .update(await readFile(modelPath))
    .digest('hex');
  // on a read-only build root it is found out anew each time
  await record(root, md5, { modelPath, modelMd5 }, log).catch(() => undefined);
  return { modelPath, modelMd5 };
}

async function unpack(build: Build, path: string, context: FetchContext) {
  const { md5 = '', file } = build.archive;
  const { root, log, signal } = context;
  log.info(`Extracting ${file}`);
  try {
    const files = await extractArchive(path, (entries) => folderFor(entries, build, path, root), { signal });
    const model = files.find((each) => isModel(each.path))!;
    const verified = new VerifiedFiles(root);
    await verified.remember(
      files.map((each) => [each.path, each.sums]),
      md5,
    );
    await record(root, md5, { modelPath: model.path, modelMd5: model.sums.md5 }, log);
    await rm(path, { force: true });
    await verified.forget([path]);
    return model.path;
  } catch (error) {
    // it is what the card names, so fetching it again would not mend it
    if ((error as { code?: string }).code === 'bad_archive') await rm(path, { force: true });
    throw error;
  }
}

function isModel(path: string): boolean {
  return /(^|\/)model\/model\.json$/.test(path);
}

/**
 * Beside the archive, so that the model is `<build-root>/<model>/model/model.json`; archives whose names begin with
 * the model's folder itself go one level up. What goes into the build root itself stays in the model's own folder.
 */
function folderFor(entries: readonly PlannedEntry[], { name }: Build, archive: string, root: string): string {
  const models = entries.filter(({ path }) => isModel(path));
  if (models.length !== 1) throw badArchive(`it holds ${models.length} model/model.json, not one`);
  const beside = dirname(archive);
  const allIn = (folder: string) =>
    entries.every(({ path }) => path === folder || path.startsWith(`${folder}/`));
  if (relative(root, beside) !== '') return allIn(basename(beside)) ? dirname(beside) : beside;
  if (!allIn(name)) throw badArchive(`not all of it is in ${JSON.stringify(`${name}/`)}`);
  return beside;
}
