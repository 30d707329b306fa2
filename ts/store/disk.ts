/** Room on the disk, folders, and which errors are the disk's own. */
import { mkdir, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
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

/** Whether no other source and no other try would mend it. */
export function isDiskFault(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return /^(enospc|edquot|eio|erofs|eacces|eperm|emfile|enotdir)$/i.test(String(code));
}

/** What `work` does with an open file: its errors say which file it is, as Node's do for paths. */
export async function named<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const fault = error as NodeJS.ErrnoException;
    if (fault.syscall !== undefined && fault.path === undefined) {
      fault.path = path;
      fault.message += ` '${path}'`;
    }
    throw error;
  }
}

/** A folder and those above it. On a read-only disk Node says ENOENT; this says what it is. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' && dirname(path) !== path) {
      await makeFolder(dirname(path));
      await mkdir(path);
      return;
    }
    throw error;
  }
}
