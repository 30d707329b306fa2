/** An archive becomes files: planned, checked, written to a temporary folder, and only then put in place. */
import { lstat, mkdir, mkdtemp, open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { AxllmError } from '../../errors.js';
import { Digest, type Sums } from '../digest.js';
import { makeFolder, named, requireRoom } from '../disk.js';
import { isAlive, ownerMark, ownerPattern } from '../lock.js';
import { syncFolder } from '../part-file.js';
import { gunzip } from './gzip.js';
import { Plan, badArchive, maxDepth, maxEntries, type Limits, type PlannedEntry } from './plan.js';
import { readTar, type Sink } from './tar.js';
import { readZip } from './zip-entries.js';

export interface ExtractOptions {
  readonly signal?: AbortSignal | undefined;
  /** For tests; otherwise from the archive's size and the free space. */
  readonly limits?: Partial<Limits> | undefined;
}

/** One file that came out of an archive, and what it is. */
export interface Extracted {
  readonly path: string;
  readonly sums: Sums;
}

/**
 * Extracts the `.tar.gz` or `.zip` file `archive` into a folder, which may depend on the entries, and returns its
 * files there. Throws `bad_archive`, with the folder as it was, for anything but plain files and folders with plain
 * names. Folders that are there already are kept down to the second level (`<model>/`), so that what lies beside stays.
 */
export async function extractArchive(
  archive: string,
  into: string | ((entries: readonly PlannedEntry[]) => string),
  { signal, limits }: ExtractOptions = {},
): Promise<Extracted[]> {
  const bounds = { ...(await limitsFor(archive)), ...limits };
  const plan = new Plan(bounds);
  await read(archive, plan, guarded(signal));
  const folder = typeof into === 'string' ? into : into(plan.entries);
  await makeFolder(folder);
  await removeStale(folder);
  const needed = plan.entries.reduce((sum, { size }) => sum + size, 0);
  await requireRoom(folder, needed);
  const part = await mkdtemp(join(folder, `.extract-${ownerMark}-`));
  const writer = new Writer(part, signal);
  try {
    await read(archive, new Plan(bounds), writer);
    await place(part, folder, 2);
  } finally {
    await writer.close();
    await rm(part, { recursive: true, force: true });
  }
  return [...writer.sums].map(([path, sums]) => ({ path: join(folder, path), sums }));
}

async function read(archive: string, plan: Plan, sink: Sink): Promise<void> {
  const magic = await firstBytes(archive);
  if (magic.startsWith('1f8b')) return readTar(gunzip(archive), plan, sink);
  if (magic === '504b0304' || magic === '504b0506') return readZip(archive, plan, sink);
  throw badArchive('it is neither a .tar.gz nor a .zip file');
}

async function firstBytes(path: string): Promise<string> {
  const handle = await open(path);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0);
    return buffer.toString('hex', 0, bytesRead);
  } finally {
    await handle.close();
  }
}

async function limitsFor(archive: string): Promise<Limits> {
  const { size } = await stat(archive);
  return { entries: maxEntries, depth: maxDepth, total: Math.max(2 * 2 ** 30, 20 * size) };
}

/** Reads the archive through, so that damage anywhere in it is known before anything is written. */
function guarded(signal: AbortSignal | undefined): Sink {
  const check = async () => signal?.throwIfAborted();
  return { begin: check, data: check, end: check };
}

class Writer implements Sink {
  readonly sums = new Map<string, Sums>();
  private handle: FileHandle | undefined;
  private digest = new Digest();
  private path = '';

  constructor(
    private readonly root: string,
    private readonly signal: AbortSignal | undefined,
  ) {}

  async begin({ path, kind }: PlannedEntry): Promise<void> {
    const target = join(this.root, path);
    const parent = kind === 'folder' ? target : join(target, '..');
    await mkdir(parent, { recursive: true, mode: 0o755 });
    if (kind !== 'file') return;
    this.handle = await open(target, 'wx', 0o644);
    this.digest = new Digest();
    this.path = path;
  }

  async data(chunk: Uint8Array): Promise<void> {
    this.signal?.throwIfAborted();
    this.digest.update(chunk);
    await named(join(this.root, this.path), async () => {
      for (let at = 0; at < chunk.byteLength;) at += (await this.handle!.write(chunk, at)).bytesWritten;
    });
  }

  async end(): Promise<void> {
    const { handle } = this;
    if (!handle) return;
    await named(join(this.root, this.path), () => handle.sync());
    await this.close();
    this.sums.set(this.path, this.digest.finish());
  }

  async close(): Promise<void> {
    const { handle } = this;
    this.handle = undefined;
    await handle?.close();
  }
}

/** Moves what is in `from` to `to`, replacing what has the same name; folders above `levels` are merged. */
async function place(from: string, to: string, levels: number): Promise<void> {
  for (const name of await readdir(from)) {
    const [source, target] = [join(from, name), join(to, name)];
    const old = await lstat(target).catch(() => undefined);
    if (old?.isSymbolicLink())
      throw new AxllmError('bad_build_root', `${target} is a link; the store does not write through links`);
    if (levels > 1 && old?.isDirectory() && (await lstat(source)).isDirectory()) {
      await place(source, target, levels - 1);
      continue;
    }
    if (old) await rm(target, { recursive: true });
    await rename(source, target);
  }
  await syncFolder(to);
}

const stale = new RegExp(`^\\.extract-${ownerPattern}-`);

async function removeStale(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const owner = stale.exec(basename(name))?.[1];
    if (owner && !isAlive(owner)) await rm(join(folder, name), { recursive: true, force: true });
  }
}
