/** Takes a card's files out of the build root, but for those that another downloaded card needs. */
import { readdir, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { AxllmError } from '../errors.js';
import type { Card } from './cards.js';
import type { FetchContext } from './fetch.js';
import { inventory, isDownloaded, type Artifact } from './inventory.js';
import { record } from './model-index.js';
import { orphans, packedFolder } from './packed.js';
import { markerOf } from './tokenizers.js';
import { VerifiedFiles } from './verified.js';

/**
 * What was removed, also of what was rounded of weights that nobody has any more. `others` are the cards that may share
 * files with `card`.
 */
export async function removeCard(
  card: Card,
  others: readonly Card[],
  place: Pick<FetchContext, 'root' | 'log' | 'env'>,
): Promise<Artifact[]> {
  const { root } = place;
  const shared = new Set<string>();
  for (const other of others) {
    const artifacts = await inventory(other, place);
    if (isDownloaded(artifacts))
      for (const { path, state } of artifacts) if (state !== 'absent') shared.add(path);
  }
  const removed: Artifact[] = [];
  for (const artifact of await inventory(card, place)) {
    const { path, state, own } = artifact;
    if (own || shared.has(path) || (state === 'absent' && artifact.bytes === 0)) continue;
    await removeArtifact(artifact, place);
    removed.push(artifact);
  }
  await removeRests(join(root, card.name));
  // what was rounded of weights that are gone, those removed just now or long ago
  for (const { path, bytes } of await orphans(root)) {
    await rm(path, { force: true });
    removed.push({ kind: 'packed', path, state: 'unchecked', bytes });
  }
  await rmdir(packedFolder(root)).catch(() => undefined);
  return removed;
}

async function removeArtifact(
  { path, kind, archiveMd5 }: Artifact,
  { root, log }: Pick<FetchContext, 'root' | 'log'>,
) {
  const inside = relative(root, path);
  if (inside === '' || inside.startsWith('..'))
    throw new AxllmError('internal', `${path} is not in the build root ${root}`);
  const verified = new VerifiedFiles(root);
  const files = archiveMd5 === undefined ? [path] : await verified.treeOf(archiveMd5);
  // the marks go first: what is half removed must not look complete
  if (kind === 'archive') await record(root, archiveMd5!, undefined, log);
  if (kind === 'tokenizer') await rm(markerOf(path), { force: true });
  await verified.forget(files, archiveMd5);
  for (const file of files) await rm(file, { force: true, recursive: true });
  await rm(path, { recursive: true, force: true });
  if (kind === 'embeddings') await removeCopies(path);
  // a repository's folder and the list of its files
  if (inside.startsWith('hub/')) await rm(dirname(path), { recursive: true, force: true });
  await removeRests(dirname(path));
}

/** The inflated rows that the engine keeps beside an embeddings file: `name.1234abcd.npy` for `name.npz`. */
async function removeCopies(path: string): Promise<void> {
  const stem = `${basename(path, '.npz')}.`;
  for (const name of await readdir(dirname(path)).catch(() => [])) {
    const copy = name.startsWith(stem) && /^[0-9a-f]{8}\.npy$/.test(name.slice(stem.length));
    if (copy) await rm(join(dirname(path), name), { force: true });
  }
}

/** Parts and locks that killed processes left, and the folder when nothing else is in it. */
async function removeRests(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    if (/\.(part|part\.json|lock)$/.test(name)) await rm(join(folder, name), { force: true });
  }
  await rmdir(folder).catch(() => undefined);
}
