/**
 * A file that appears under its final name only when it is complete, verified and on the disk. Until then it is
 * `.NAME.<owner>.<random>.part`, with a `.json` beside it that says where the bytes come from, so that a later
 * process can go on with it. No two processes ever write to one of them: a part is adopted by renaming it.
 */
import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readFile, readdir, rename, rm, stat, writeFile, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Digest, type Expected, type Sums } from './digest.js';
import { isAlive, ownerMark, ownerPattern } from './lock.js';
import { makeFolder, named } from './disk.js';

/** Where the bytes of a part come from, and what tells that the source still is the same. */
export interface Origin {
  readonly url: string;
  readonly etag: string;
}

const openParts = new Set<string>();

/** The temporary file beside `target`; `commit` gives it its name, `keep` leaves it to a later try. */
export class PartFile {
  /** Set by `describe`, or by the process that began this part. */
  origin: Origin | undefined;
  private digest: Digest;
  private constructor(
    readonly target: string,
    private readonly path: string,
    private readonly handle: FileHandle,
    private readonly expected: Expected,
  ) {
    this.digest = new Digest(expected);
    openParts.add(path);
  }

  /** Goes on with what an earlier process has fetched from `url`, else begins a new part. */
  static async open(target: string, expected: Expected = {}, url?: string): Promise<PartFile> {
    const folder = dirname(target);
    await makeFolder(folder);
    const path = join(folder, `.${basename(target)}.${ownerMark}.${randomBytes(4).toString('hex')}.part`);
    const origin = await adopt(folder, basename(target), path, url);
    const part = new PartFile(target, path, await open(path, origin ? 'r+' : 'wx'), expected);
    if (origin) {
      for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) part.digest.update(chunk);
      part.origin = origin;
    }
    return part;
  }

  get bytes(): number {
    return this.digest.bytes;
  }

  /** Remembers where the bytes come from, for whoever goes on with them. */
  async describe(origin: Origin | undefined): Promise<void> {
    this.origin = origin;
    const note = `${this.path}.json`;
    if (origin) await named(note, () => writeFile(note, JSON.stringify(origin)));
    else await rm(note, { force: true });
  }

  /** Forgets all bytes. */
  async restart(): Promise<void> {
    await this.describe(undefined);
    await named(this.path, () => this.handle.truncate(0));
    this.digest = new Digest(this.expected);
  }

  async write(chunk: Uint8Array): Promise<void> {
    const start = this.digest.bytes;
    this.digest.update(chunk);
    await named(this.path, async () => {
      for (let at = 0; at < chunk.byteLength;) {
        at += (await this.handle.write(chunk, at, chunk.byteLength - at, start + at)).bytesWritten;
      }
    });
  }

  /** Throws `checksum_mismatch` unless the bytes are what they should be; nothing can be written after it. */
  check(what: string): Sums {
    return this.digest.check(what);
  }

  /** Data to disk, then the name, then the folder. */
  async commit(what: string): Promise<Sums> {
    try {
      const sums = this.check(what);
      await named(this.path, () => this.handle.sync());
      await this.handle.close();
      await rm(`${this.path}.json`, { force: true });
      await rename(this.path, this.target);
      await syncFolder(dirname(this.target));
      openParts.delete(this.path);
      return sums;
    } catch (error) {
      await this.discard();
      throw error;
    }
  }

  /** Closes it for a later try; without an origin there is nothing to go on with. */
  async keep(): Promise<void> {
    if (!this.origin || this.bytes === 0) return this.discard();
    await this.handle.close().catch(() => undefined);
    openParts.delete(this.path);
  }

  async discard(): Promise<void> {
    await this.handle.close().catch(() => undefined);
    await rm(`${this.path}.json`, { force: true });
    await rm(this.path, { force: true });
    openParts.delete(this.path);
  }
}

/** Makes a rename inside `folder` survive a power cut. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await named(folder, () => handle.sync());
  } finally {
    await handle.close();
  }
}

/** Writes a small file so that it is there whole or not at all, also after a power cut. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const part = await PartFile.open(path);
  try {
    await part.write(Buffer.from(text));
  } catch (error) {
    await part.discard();
    throw error;
  }
  await part.commit(path);
}

/** Gives the longest part that fits to `path` and removes the others that nobody works on. */
async function adopt(folder: string, name: string, path: string, url?: string): Promise<Origin | undefined> {
  let best: { from: string; size: number; origin: Origin } | undefined;
  for (const from of await idleParts(folder, name)) {
    const origin = await originOf(from);
    const size = await stat(from).then(
      (found) => found.size,
      () => 0,
    );
    const fits = origin !== undefined && origin.url === url && size > (best?.size ?? 0);
    const worse = fits ? best?.from : from;
    if (fits) best = { from, size, origin };
    if (worse) await removePart(worse);
  }
  if (!best) return undefined;
  try {
    await rename(best.from, path);
  } catch {
    // another process was faster
    return undefined;
  }
  await rename(`${best.from}.json`, `${path}.json`).catch(() => undefined);
  return best.origin;
}

async function idleParts(folder: string, name: string): Promise<string[]> {
  const pattern = new RegExp(String.raw`^\.${escape(name)}\.${ownerPattern}\.[0-9a-f]+\.part(\.json)?$`);
  const parts = new Set<string>();
  for (const entry of await readdir(folder)) {
    const owner = pattern.exec(entry)?.[1];
    const path = join(folder, entry.replace(/\.json$/, ''));
    if (owner && !openParts.has(path) && (owner === ownerMark || !isAlive(owner))) parts.add(path);
  }
  return [...parts];
}

async function originOf(part: string): Promise<Origin | undefined> {
  try {
    const { url, etag } = JSON.parse(await readFile(`${part}.json`, 'utf8')) as Partial<Origin>;
    return typeof url === 'string' && typeof etag === 'string' ? { url, etag } : undefined;
  } catch {
    return undefined;
  }
}

async function removePart(part: string): Promise<void> {
  await rm(part, { force: true });
  await rm(`${part}.json`, { force: true });
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}
