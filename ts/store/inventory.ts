/** What of a card is in the build root: for those who list, check or remove it. */
import { readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { findArchive } from './archive-model.js';
import type { Card, RemoteFile } from './cards.js';
import { compiledFolder, compiledName } from './compiled.js';
import type { FetchContext } from './fetch.js';
import { cachedFile, cachedRepository } from './hub-cache.js';
import { knownSnapshot, repositoryFolder } from './hub.js';
import type { Want } from './hub-select.js';
import { packedFrom } from './packed.js';
import { findTokenizer, tokenizerFolder } from './tokenizers.js';
import { VerifiedFiles, type Depth, type FileState } from './verified.js';

/** One thing that a card names. */
export interface Artifact {
  readonly kind: 'archive' | 'embeddings' | 'tokenizer' | 'weights' | 'compiled' | 'packed';
  /** The file, or the folder of the files. */
  readonly path: string;
  /** `unchecked`: there, but not compared with a checksum, or there is none: of what another program unpacked. */
  readonly state: FileState | 'unchecked';
  readonly bytes: number;
  /** The archive that the folder came out of. */
  readonly archiveMd5?: string;
  /** The user's own: never removed. */
  readonly own?: boolean;
}

type Place = Pick<FetchContext, 'root' | 'log' | 'env'>;

/** Everything that `card` names. Without `depth` nothing is read but the record of what was checked. */
export async function inventory(card: Card, place: Place, depth?: Depth): Promise<Artifact[]> {
  const { precompiled, weights, modelName } = card;
  const found: Artifact[] = [];
  for (const build of precompiled?.builds ?? []) {
    const { state, modelPath } = await findArchive(build, place, depth);
    const folder = modelPath
      ? dirname(modelPath)
      : join(place.root, dirname(build.path).replace(/^\.$/, build.name), 'model');
    found.push({
      kind: 'archive',
      path: folder,
      state: await asFarAsKnown(state, build.archive, place),
      bytes: await sizeOf(folder),
      archiveMd5: build.archive.md5!,
    });
  }
  if (precompiled) found.push(await fileOf('embeddings', card.name, precompiled.embeddings, place, depth));
  if (precompiled?.tokenizer) {
    const path = tokenizerFolder(card, place.root);
    const state = await findTokenizer(card, precompiled.tokenizer, place, depth);
    found.push({
      kind: 'tokenizer',
      path,
      state: await asFarAsKnown(state, precompiled.tokenizer, place),
      bytes: await sizeOf(path),
      archiveMd5: precompiled.tokenizer.md5!,
    });
  } else if (precompiled && modelName !== undefined) {
    found.push(await repositoryOf('tokenizer', modelName, { kind: 'tokenizer' }, place, depth));
  }
  if (weights && 'sources' in weights) found.push(await fileOf('weights', card.name, weights, place, depth));
  if (weights && 'repo' in weights) {
    const want = { kind: 'model', choice: weights.choice } as const;
    found.push(await repositoryOf('weights', weights.repo, want, place, depth));
  }
  if (weights && 'path' in weights) {
    const bytes = await sizeOf(weights.path);
    const state = bytes > 0 ? 'unchecked' : 'absent';
    found.push({ kind: 'weights', path: weights.path, state, bytes, own: true });
  }
  return [...found, ...(await simulated(card.name, place.root)), ...(await packed(card, found, place))];
}

/** The state of what came out of an archive: without a record of its files none of them has a checksum. */
async function asFarAsKnown(
  state: FileState,
  { md5 = '' }: RemoteFile,
  { root }: Place,
): Promise<Artifact['state']> {
  if (state !== 'verified') return state;
  return (await new VerifiedFiles(root).treeOf(md5)).length > 0 ? state : 'unchecked';
}

/** What was rounded of the card's weights, whatever commit or cache they came from. */
async function packed(
  { weights, modelName }: Card,
  found: readonly Artifact[],
  { root, env }: Place,
): Promise<Artifact[]> {
  const repo = weights && 'repo' in weights ? weights.repo : weights ? undefined : modelName;
  const repositories = repo === undefined ? [] : [repositoryFolder(repo, root), cachedRepository(repo, env)];
  const files = found.filter(({ kind }) => kind === 'weights').map(({ path }) => path);
  const cached = weights && 'sources' in weights ? cachedCopies(weights, env) : [];
  const from = await packedFrom([...repositories, ...files, ...cached], root);
  return from.map(({ path, bytes }) => ({ kind: 'packed', path, state: 'unchecked', bytes }));
}

/** Where Python's client has the file, if it has it. */
function cachedCopies({ sources }: RemoteFile, env: Place['env']): string[] {
  return sources.flatMap((source) =>
    source.kind === 'hub' ? (cachedFile(source.repo, source.file, env) ?? []) : [],
  );
}

/** Whether what the card is run from is there. */
export function isDownloaded(artifacts: readonly Artifact[]): boolean {
  const there = (kind: Artifact['kind']) =>
    artifacts.some((each) => each.kind === kind && !['absent', 'damaged'].includes(each.state));
  return there('weights') || (there('archive') && there('embeddings'));
}

async function fileOf(
  kind: Artifact['kind'],
  folder: string,
  remote: RemoteFile,
  { root }: Place,
  depth: Depth | undefined,
): Promise<Artifact> {
  const path = join(root, folder, remote.file);
  const verified = new VerifiedFiles(root);
  const state = depth ? await verified.check(path, remote, depth) : await verified.look(path, remote);
  return { kind, path, state, bytes: await sizeOf(path) };
}

async function repositoryOf(
  kind: Artifact['kind'],
  repo: string,
  want: Want,
  { root }: Place,
  depth: Depth | undefined,
): Promise<Artifact> {
  const home = repositoryFolder(repo, root);
  const snapshot = await knownSnapshot(home, want);
  const path = snapshot ? join(home, snapshot.commit) : home;
  const verified = new VerifiedFiles(root);
  const states = new Set<Artifact['state']>();
  for (const file of snapshot?.files ?? []) {
    const each = join(path, file.path);
    states.add(depth ? await verified.check(each, file, depth) : await verified.look(each, file));
  }
  const worst = (['damaged', 'absent', 'unchecked'] as const).find((state) => states.has(state));
  return { kind, path, state: worst ?? (snapshot ? 'verified' : 'absent'), bytes: await sizeOf(path) };
}

/** What `-d sim` has compiled, for whatever context. */
async function simulated(name: string, root: string): Promise<Artifact[]> {
  const folder = dirname(compiledFolder(root, name, 0));
  const names = await readdir(folder).catch(() => []);
  const contexts = names.map((each) => Number(/-(\d+)-sim$/.exec(each)?.[1] ?? 0));
  const own = names.filter((each, at) => each === compiledName(name, contexts[at]!));
  return Promise.all(
    own.map(async (each) => {
      const path = join(folder, each);
      return { kind: 'compiled' as const, path, state: 'unchecked' as const, bytes: await sizeOf(path) };
    }),
  );
}

/** Bytes of a file, or of all files of a folder. */
export async function sizeOf(path: string): Promise<number> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isDirectory()) return found?.size ?? 0;
  const names = await readdir(path, { recursive: true }).catch(() => []);
  const sizes = names.map((name) =>
    stat(join(path, name)).then(
      (each) => (each.isFile() ? each.size : 0),
      () => 0,
    ),
  );
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}
