/** `<build-root>/verified.json` remembers which files were checked, so that a start hashes nothing again. */
import { createReadStream } from 'node:fs';
import { readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { Digest, type Expected } from './part-file.js';

interface Stamp {
  readonly size: number;
  readonly mtimeMs: number;
  readonly ino: number;
  readonly expected: string;
}

/** What a file on disk turned out to be. */
export type FileState = 'absent' | 'verified' | 'damaged';

/** The files below one build root that have been checked. */
export class VerifiedFiles {
  constructor(private readonly root: string) {}

  /** Compares with the record; hashes only a file that changed since, or was never seen. */
  async check(path: string, expected: Expected): Promise<FileState> {
    const stamp = await stampOf(path, expected);
    if (!stamp) return 'absent';
    if (expected.size !== undefined && stamp.size !== expected.size) return 'damaged';
    const known = (await this.read())[relative(this.root, path)];
    if (known && JSON.stringify(known) === JSON.stringify(stamp)) return 'verified';
    try {
      const digest = new Digest();
      for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) digest.update(chunk);
      digest.check(expected, path);
    } catch (error) {
      if ((error as { code?: string }).code === 'checksum_mismatch') return 'damaged';
      throw error;
    }
    await this.remember(path, expected);
    return 'verified';
  }

  /** Records `path` as checked just now. A record that cannot be written only costs a hash next time. */
  async remember(path: string, expected: Expected): Promise<void> {
    const stamp = await stampOf(path, expected);
    if (!stamp) return;
    const record = { ...(await this.read()), [relative(this.root, path)]: stamp };
    const target = join(this.root, 'verified.json');
    const part = `${target}.${process.pid}.part`;
    try {
      await writeFile(part, `${JSON.stringify(record, null, 2)}\n`);
      await rename(part, target);
    } catch {
      // a read-only build root: checked again at the next start
    }
  }

  private async read(): Promise<Record<string, Stamp>> {
    try {
      const record: unknown = JSON.parse(await readFile(join(this.root, 'verified.json'), 'utf8'));
      return typeof record === 'object' && record !== null ? (record as Record<string, Stamp>) : {};
    } catch {
      return {};
    }
  }
}

async function stampOf(path: string, expected: Expected): Promise<Stamp | undefined> {
  try {
    const { size, mtimeMs, ino } = await stat(path);
    return { size, mtimeMs, ino, expected: expected.sha256 ?? expected.md5 ?? '' };
  } catch {
    return undefined;
  }
}
