/**
 * `<build-root>/verified.json` remembers what was checked: of each file its sums, size, time and inode, so that a
 * start hashes nothing again; of each archive which files came out of it.
 */
import { readFile, stat } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { digestOf, type Expected, type Sums } from './digest.js';
import { isDiskFault } from './disk.js';
import { withLock } from './lock.js';
import { replaceFile } from './part-file.js';

interface Stamp extends Sums {
  readonly mtimeMs: number;
  readonly ino: number;
}

/** What came out of one archive: the files, by their path from the build root. */
export interface Tree {
  readonly files: readonly string[];
}

/** What a file on disk turned out to be. */
export type FileState = 'absent' | 'verified' | 'damaged';

/** `record`: hash what is not on record; `hash`: everything. */
export type Depth = 'record' | 'hash';

interface Contents {
  readonly files: Readonly<Record<string, Stamp>>;
  readonly trees: Readonly<Record<string, Tree>>;
}

/** The files below one build root that have been checked. */
export class VerifiedFiles {
  constructor(private readonly root: string) {}

  /** Compares with the record, and hashes a file that changed since or was never seen. */
  async check(path: string, expected: Expected, depth: Depth = 'record'): Promise<FileState> {
    const found = await look(path);
    if (!found) return 'absent';
    if (expected.size !== undefined && found.size !== expected.size) return 'damaged';
    const known = (await this.read()).files[this.key(path)];
    const unchanged = known !== undefined && isSame(known, found);
    if (unchanged && depth === 'record') return agrees(known, expected) ? 'verified' : 'damaged';
    try {
      const sums = (await digestOf(path, expected)).check(path);
      if (!unchanged) await this.remember([[path, sums]]);
      return 'verified';
    } catch (error) {
      if ((error as { code?: string }).code === 'checksum_mismatch') return 'damaged';
      throw error;
    }
  }

  /** As the record has it, and `unchecked` where that would take reading the file. */
  async look(path: string, expected: Expected): Promise<FileState | 'unchecked'> {
    const found = await look(path);
    if (!found) return 'absent';
    const known = (await this.read()).files[this.key(path)];
    return known && isSame(known, found) ? this.check(path, expected) : 'unchecked';
  }

  /** The state of the files of an archive, all together; `undefined` where nothing is known of it. */
  async checkTree(id: string, depth: Depth = 'record'): Promise<FileState | undefined> {
    const { files, trees } = await this.read();
    const tree = trees[id];
    if (!tree) return undefined;
    const states = new Set<FileState>();
    for (const key of tree.files) {
      const known = files[key];
      const { size, md5, sha256 } = known ?? {};
      states.add(known ? await this.check(resolve(this.root, key), { size, md5, sha256 }, depth) : 'absent');
    }
    if (states.has('damaged')) return 'damaged';
    return states.has('absent') || states.size === 0 ? 'absent' : 'verified';
  }

  /** The files of an archive. */
  async treeOf(id: string): Promise<string[]> {
    const { trees } = await this.read();
    return (trees[id]?.files ?? []).map((key) => resolve(this.root, key));
  }

  /** Records files as checked just now, and that they are what archive `id` holds. */
  async remember(files: readonly (readonly [string, Sums])[], id?: string): Promise<void> {
    const stamps: Record<string, Stamp> = {};
    for (const [path, { size, md5, sha256 }] of files) {
      const found = await look(path);
      if (found) stamps[this.key(path)] = { size, md5, sha256, mtimeMs: found.mtimeMs, ino: found.ino };
    }
    await this.change((record) => ({
      files: { ...record.files, ...stamps },
      trees: id === undefined ? record.trees : { ...record.trees, [id]: { files: Object.keys(stamps) } },
    }));
  }

  /** Forgets `paths`, and the archive that they came out of. */
  async forget(paths: readonly string[], id?: string): Promise<void> {
    const gone = new Set(paths.map((path) => this.key(path)));
    await this.change(({ files, trees }) => ({
      files: Object.fromEntries(Object.entries(files).filter(([key]) => !gone.has(key))),
      trees: Object.fromEntries(Object.entries(trees).filter(([key]) => key !== id)),
    }));
  }

  private key(path: string): string {
    return relative(this.root, path);
  }

  /** A record that cannot be written only costs a hash next time. */
  private async change(edit: (record: Contents) => Contents): Promise<void> {
    const target = join(this.root, 'verified.json');
    try {
      await withLock(target, {}, async () => {
        await replaceFile(target, `${JSON.stringify(edit(await this.read()), null, 1)}\n`);
      });
    } catch (error) {
      if (!isDiskFault(error)) throw error;
    }
  }

  private async read(): Promise<Contents> {
    try {
      const text = await readFile(join(this.root, 'verified.json'), 'utf8');
      const { files, trees } = JSON.parse(text) as Record<string, unknown>;
      return { files: entries(files, isStamp), trees: entries(trees, isTree) };
    } catch {
      return { files: {}, trees: {} };
    }
  }
}

function agrees(known: Sums, expected: Expected): boolean {
  return (['md5', 'sha256'] as const).every(
    (key) => expected[key] === undefined || expected[key] === known[key],
  );
}

/** The entries that are what they should be: the file may have been edited, or torn by a power cut. */
function entries<T>(value: unknown, fits: (entry: Partial<T>) => boolean): Record<string, T> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return {};
  const good = Object.entries(value).filter(
    ([, entry]) => typeof entry === 'object' && entry !== null && fits(entry as Partial<T>),
  );
  return Object.fromEntries(good) as Record<string, T>;
}

function isStamp({ size, md5, sha256 }: Partial<Stamp>): boolean {
  return typeof size === 'number' && typeof md5 === 'string' && typeof sha256 === 'string';
}

function isTree({ files }: Partial<Tree>): boolean {
  // never out of the build root, whoever wrote the record
  return Array.isArray(files) && files.every((each) => typeof each === 'string' && isInside(each));
}

function isInside(path: string): boolean {
  return path !== '' && !path.startsWith('/') && !path.split('/').includes('..');
}

type Look = Pick<Stamp, 'size' | 'mtimeMs' | 'ino'>;

function isSame(known: Look, found: Look): boolean {
  return known.size === found.size && known.mtimeMs === found.mtimeMs && known.ino === found.ino;
}

async function look(path: string): Promise<Look | undefined> {
  try {
    const { size, mtimeMs, ino } = await stat(path);
    return { size, mtimeMs, ino };
  } catch {
    return undefined;
  }
}
