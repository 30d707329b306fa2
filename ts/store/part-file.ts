/** A file that appears under its final name only when it is complete, verified and on the disk. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AxllmError } from '../errors.js';
import { isAlive } from './lock.js';

/** What a file is expected to be; whatever is given is checked. */
export interface Expected {
  readonly size?: number | undefined;
  readonly md5?: string | undefined;
  readonly sha256?: string | undefined;
}

/** Size and both checksums, taken in one pass. */
export class Digest {
  bytes = 0;
  private readonly md5 = createHash('md5');
  private readonly sha256 = createHash('sha256');

  update(chunk: Uint8Array): void {
    this.bytes += chunk.byteLength;
    this.md5.update(chunk);
    this.sha256.update(chunk);
  }

  /** What was read, all of it; nothing can be added afterwards. */
  sums(): Required<Expected> {
    return { size: this.bytes, sha256: this.sha256.digest('hex'), md5: this.md5.digest('hex') };
  }

  /** Throws `checksum_mismatch`, with both values, when what was read is not `expected`. */
  check(expected: Expected, what: string): void {
    const got = this.sums();
    for (const key of ['size', 'sha256', 'md5'] as const) {
      if (expected[key] === undefined || expected[key] === got[key]) continue;
      const unit = key === 'size' ? ' bytes' : '';
      throw new AxllmError(
        'checksum_mismatch',
        `${what}: ${key} is ${got[key]}${unit}, expected ${expected[key]}${unit}`,
        { hint: 'the download was damaged or the file has changed at its source; try again' },
      );
    }
  }
}

/** The temporary file beside `target`; `commit` gives it its name, `discard` removes it. */
export class PartFile {
  readonly digest = new Digest();
  private constructor(
    readonly target: string,
    private readonly path: string,
    private readonly handle: FileHandle,
  ) {}

  /** Opens a new temporary file, and removes those that killed processes left. */
  static async create(target: string): Promise<PartFile> {
    const folder = dirname(target);
    await mkdir(folder, { recursive: true });
    await removeStaleParts(folder, basename(target));
    const path = join(folder, `.${basename(target)}.${process.pid}.${randomBytes(4).toString('hex')}.part`);
    return new PartFile(target, path, await open(path, 'wx'));
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.digest.update(chunk);
    for (let at = 0; at < chunk.byteLength;) {
      at += (await this.handle.write(chunk, at)).bytesWritten;
    }
  }

  /** Checks, then data to disk, then the name, then the folder. */
  async commit(expected: Expected, what: string): Promise<void> {
    try {
      this.digest.check(expected, what);
      await this.handle.sync();
      await this.handle.close();
      await rename(this.path, this.target);
      await syncFolder(dirname(this.target));
    } catch (error) {
      await this.discard();
      throw error;
    }
  }

  async discard(): Promise<void> {
    await this.handle.close().catch(() => undefined);
    await rm(this.path, { force: true });
  }
}

/** Makes a rename inside `folder` survive a power cut. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function removeStaleParts(folder: string, name: string): Promise<void> {
  for (const entry of await readdir(folder)) {
    if (!entry.startsWith(`.${name}.`) || !entry.endsWith('.part')) continue;
    const owner = Number(entry.slice(name.length + 2).split('.')[0]);
    if (!isAlive(owner)) await rm(join(folder, entry), { force: true });
  }
}
