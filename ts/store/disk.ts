/** Room on the disk. */
import { statfs } from 'node:fs/promises';
import { AxllmError } from '../errors.js';

/** Throws `enospc` when `folder`'s disk has no room for `bytes` more. */
export async function requireRoom(folder: string, bytes: number): Promise<void> {
  const { bavail, blocks, bsize } = await statfs(folder);
  // a twentieth stays free: a disk that is full to the brim stops more than this program
  const free = Math.max(0, Math.floor(bavail - blocks / 20)) * bsize;
  if (bytes <= free) return;
  throw new AxllmError('enospc', `${folder} has ${free} bytes free, ${Math.ceil(bytes)} are needed`, {
    hint: 'free some disk space, or choose another place with --build-root',
  });
}
