/** Size and checksums of a file, in one pass. */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { AxllmError } from '../errors.js';

/** What a file is expected to be; whatever is given is checked. */
export interface Expected {
  readonly size?: number | undefined;
  readonly md5?: string | undefined;
  readonly sha256?: string | undefined;
  /** The object's name in git, by which the hub knows small files; needs `size`. */
  readonly gitSha1?: string | undefined;
}

/** What it is. */
export interface Sums {
  readonly size: number;
  readonly md5: string;
  readonly sha256: string;
}

/** Taken while the bytes come in. */
export class Digest {
  bytes = 0;
  private readonly md5 = createHash('md5');
  private readonly sha256 = createHash('sha256');
  private readonly git: Hash | undefined;
  private sums: Sums | undefined;
  private gitSha1: string | undefined;

  constructor(private readonly expected: Expected = {}) {
    if (expected.gitSha1 !== undefined) this.git = createHash('sha1').update(`blob ${expected.size}\0`);
  }

  update(chunk: Uint8Array): void {
    this.bytes += chunk.byteLength;
    this.md5.update(chunk);
    this.sha256.update(chunk);
    this.git?.update(chunk);
  }

  /** The end: nothing can be added after it. */
  finish(): Sums {
    this.gitSha1 ??= this.git?.digest('hex');
    this.sums ??= { size: this.bytes, sha256: this.sha256.digest('hex'), md5: this.md5.digest('hex') };
    return this.sums;
  }

  /** Throws `checksum_mismatch`, with both values, when what was read is not what was expected. */
  check(what: string): Sums {
    const got = this.finish();
    for (const key of ['size', 'sha256', 'md5', 'gitSha1'] as const) {
      const value = key === 'gitSha1' ? this.gitSha1 : got[key];
      if (this.expected[key] !== undefined && this.expected[key] !== value) {
        throw mismatch(what, key, value, this.expected[key]);
      }
    }
    return got;
  }
}

/** The error for a file that is another one than expected. */
export function mismatch(what: string, key: keyof Expected, got: unknown, wanted: unknown): AxllmError {
  const [name, unit] = key === 'size' ? ['size', ' bytes'] : [key === 'gitSha1' ? 'git sha1' : key, ''];
  return new AxllmError('checksum_mismatch', `${what}: ${name} is ${got}${unit}, expected ${wanted}${unit}`, {
    hint: 'the download was damaged or the file has changed at its source; try again',
  });
}

/** Reads `path` through. */
export async function digestOf(path: string, expected: Expected = {}, signal?: AbortSignal): Promise<Digest> {
  const digest = new Digest(expected);
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20, signal })) digest.update(chunk);
  return digest;
}
