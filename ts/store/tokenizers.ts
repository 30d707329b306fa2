/** The tokenizer of a card: the user's folder, the card's zip, the hub; each in turn, and all named when none works. */
import { existsSync } from 'node:fs';
import { readFile, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { AxllmError, asAxllmError } from '../errors.js';
import { extractArchive } from './archive/extract.js';
import { badArchive } from './archive/plan.js';
import type { Card, RemoteFile } from './cards.js';
import { fetchLocked, missingOffline, waitingFor, type FetchContext } from './fetch.js';
import { ensureRepository } from './hub.js';
import { sweepUnpacked, withLock } from './lock.js';
import { replaceFile } from './part-file.js';
import { VerifiedFiles, type Depth, type FileState } from './verified.js';
import { isDiskFault, makeFolder } from './disk.js';

/** What the engine cannot do without. */
const needed = 'tokenizer.json';

/** A folder with the tokenizer's files. */
export async function ensureTokenizer(
  card: Card,
  chosen: string | undefined,
  context: FetchContext,
): Promise<string> {
  if (chosen !== undefined) return chosenFolder(chosen);
  const attempts: string[] = [];
  let last: AxllmError | undefined;
  for (const [what, work] of waysTo(card, context)) {
    try {
      return await work();
    } catch (error) {
      context.signal?.throwIfAborted();
      if (isDiskFault(error)) throw error;
      last = asAxllmError(error);
      attempts.push(`${what}: ${last.message}`);
    }
  }
  throw new AxllmError(
    attempts.length === 1 ? last!.code : 'no_tokenizer',
    `No tokenizer for ${card.name}; tried --tokenizer-dir: not given; ${attempts.join('; ') || 'the card names none'}`,
    { hint: last?.hint ?? 'name a folder with tokenizer.json with --tokenizer-dir', cause: last },
  );
}

function* waysTo(card: Card, context: FetchContext): Generator<[string, () => Promise<string>]> {
  const zip = card.precompiled?.tokenizer;
  if (zip) yield [`the card's zip`, () => ensureZip(card, zip, context)];
  const { modelName } = card;
  if (modelName !== undefined) yield [`the hub (${modelName})`, () => fromHub(modelName, context)];
}

function chosenFolder(chosen: string): string {
  const folder = resolve(chosen);
  if (existsSync(join(folder, needed))) return folder;
  throw new AxllmError('no_tokenizer', `--tokenizer-dir: ${folder} has no ${needed}`, {
    hint: `name a folder with ${needed}, or leave the option out to use the card's`,
  });
}

async function fromHub(repo: string, context: FetchContext): Promise<string> {
  const folder = await ensureRepository(repo, { kind: 'tokenizer' }, context);
  if (existsSync(join(folder, needed))) return folder;
  throw new AxllmError('no_tokenizer', `it has no ${needed}`);
}

/** Where the zip of a card goes. */
export function tokenizerFolder(card: Card, root: string): string {
  return join(root, 'tokenizers', (card.modelName ?? card.name).replaceAll('/', '_'));
}

async function ensureZip(card: Card, zip: RemoteFile, context: FetchContext): Promise<string> {
  const { root } = context;
  const folder = tokenizerFolder(card, root);
  const archive = join(root, 'tokenizers', zip.file);
  const state = await findTokenizer(card, zip, context);
  if (state === 'verified') {
    await sweepUnpacked(archive, root);
    context.log.debug(`Tokenizer already downloaded and verified: ${folder}`);
    return homeOf(folder);
  }
  if (context.offline) throw missingOffline(folder, state);
  return withLock(archive, waitingFor(zip.file, context), async () => {
    if ((await findTokenizer(card, zip, context)) === 'verified') return homeOf(folder);
    await fetchLocked(zip, archive, context, 4);
    await unpack(zip, archive, folder, context);
    return homeOf(folder);
  });
}

/** Whether the files of the zip are there as they came out of it. */
export async function findTokenizer(
  card: Card,
  { md5 = '' }: RemoteFile,
  { root }: Pick<FetchContext, 'root'>,
  depth: Depth = 'record',
): Promise<FileState> {
  const folder = tokenizerFolder(card, root);
  const tree = await new VerifiedFiles(root).checkTree(md5, depth);
  if (!(await isMarked(folder, md5))) return 'absent';
  if (tree !== undefined) return tree;
  return (await homeOf(folder).catch(() => undefined)) === undefined ? 'absent' : 'verified';
}

async function unpack(
  { md5 = '', file }: RemoteFile,
  archive: string,
  folder: string,
  context: FetchContext,
) {
  const { root, signal, log } = context;
  log.info(`Extracting ${file}`);
  try {
    await rm(markerOf(folder), { force: true });
    await makeFolder(folder);
    const files = await extractArchive(
      archive,
      (entries) => {
        if (entries.some(({ path }) => path.split('/').pop() === needed)) return folder;
        throw badArchive(`it holds no ${needed}`);
      },
      { signal },
    );
    const verified = new VerifiedFiles(root);
    await verified.remember(
      files.map((each) => [each.path, each.sums]),
      md5,
    );
    // last of all: whatever lacks it is extracted again
    await replaceFile(markerOf(folder), `${md5}\n`);
    await rm(archive, { force: true });
    await verified.forget([archive]);
  } catch (error) {
    if ((error as { code?: string }).code === 'bad_archive') await rm(archive, { force: true });
    throw error;
  }
}

/** Outside the folder, so that no archive can bring its own. */
export function markerOf(folder: string): string {
  return `${folder}.md5`;
}

/** By our own marker, or by one that the original left in the folder, whatever its name is. */
async function isMarked(folder: string, md5: string): Promise<boolean> {
  if (await holds(markerOf(folder), md5)) return true;
  const names = await readdir(folder).catch(() => []);
  for (const name of names) if (/md5/i.test(name) && (await holds(join(folder, name), md5))) return true;
  return false;
}

async function holds(path: string, md5: string): Promise<boolean> {
  try {
    if ((await stat(path)).size > 200) return false;
    return (await readFile(path, 'utf8')).trim().toLowerCase() === md5;
  } catch {
    return false;
  }
}

/** The folder that has `tokenizer.json`: some zips hold a folder of their own. */
async function homeOf(folder: string): Promise<string> {
  const names = await readdir(folder, { recursive: true });
  const found = names.filter((name) => name === needed || name.endsWith(`/${needed}`)).sort()[0];
  if (found === undefined) throw new AxllmError('no_tokenizer', `${folder} has no ${needed}`);
  return dirname(join(folder, found));
}
