/** One process at a time fetches a file. Correctness never rests on it (names are unique); it saves traffic. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { link, open, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeFolder, named } from './disk.js';

/** How often a holder says that it lives; those on other machines cannot see its process. */
const beatMs = 10_000;
const silentMs = 60_000;
/** A lock without a name in it: its owner was killed between the two calls. */
const namelessMs = 2_000;

/** The locks that this process holds now. */
const held = new Set<string>();

/** Runs `work` while holding `<path>.lock`; a lock whose process is gone is taken over. */
export async function withLock<T>(
  path: string,
  { signal, waiting }: { signal?: AbortSignal | undefined; waiting?: (pid: number) => void },
  work: () => Promise<T>,
): Promise<T> {
  const lock = `${path}.lock`;
  let told = false;
  while (!(await tryLock(lock))) {
    const holder = await holderOf(lock);
    if (!holder) continue;
    if (isStale(holder, lock)) {
      await bury(lock, holder.text);
      continue;
    }
    if (!told && holder.text !== '') waiting?.(Number.parseInt(holder.text, 10));
    told = true;
    await sleep(200, undefined, { signal });
  }
  held.add(lock);
  const beat = setInterval(() => void touch(lock), beatMs);
  beat.unref();
  try {
    return await work();
  } finally {
    clearInterval(beat);
    held.delete(lock);
    // one that stays is taken over: by this process at once, by others when it has been silent for long
    await rm(lock, { force: true }).catch(() => undefined);
  }
}

/** Removes the locks that killed processes left at `path`, and at the notes of the build root. */
export async function sweepLocks(path: string, root: string): Promise<void> {
  for (const each of [path, join(root, 'verified.json'), join(root, 'downloaded_models.json')]) {
    const lock = `${each}.lock`;
    const holder = await holderOf(lock);
    if (holder && isStale(holder, lock)) await bury(lock, holder.text).catch(() => undefined);
  }
}

/** What a process that was killed after it unpacked `archive` may have left: its locks, and the archive. */
export async function sweepUnpacked(archive: string, root: string): Promise<void> {
  await sweepLocks(archive, root);
  await rm(archive, { force: true }).catch(() => undefined);
}

/** This process, in names of temporary files: its number, and when it began where the system says so. */
export const ownerMark = markOf(process.pid);

/** What an {@link ownerMark} looks like inside a file name. */
export const ownerPattern = String.raw`(\d+(?:_\d+)?)`;

/** Whether the process that `mark` stands for exists on this machine; another one with its number does not count. */
export function isAlive(mark: string): boolean {
  const pid = Number.parseInt(mark, 10);
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  return !mark.includes('_') || markOf(pid) === mark;
}

function markOf(pid: number): string {
  try {
    // the program's name stands in brackets and may hold anything
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ');
    return `${pid}_${fields[19]}`;
  } catch {
    return String(pid);
  }
}

interface Holder {
  readonly text: string;
  readonly ageMs: number;
}

function isStale({ text, ageMs }: Holder, lock: string): boolean {
  if (text === '') return ageMs > namelessMs;
  const [mark = '', host] = text.split(' ');
  if (ageMs > silentMs) return true;
  return host === hostname() && (mark === ownerMark ? !held.has(lock) : !isAlive(mark));
}

async function tryLock(lock: string): Promise<boolean> {
  try {
    const handle = await open(lock, 'wx');
    try {
      await named(lock, () => handle.write(`${ownerMark} ${hostname()}`));
      return true;
    } catch (error) {
      // without a name in it others would wait for nobody
      await rm(lock, { force: true }).catch(() => undefined);
      throw error;
    } finally {
      await handle.close();
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EEXIST' && code !== 'ENOENT') throw error;
    // the last one to leave an empty folder takes it away
    if (code === 'ENOENT') await makeFolder(dirname(lock));
    return false;
  }
}

async function holderOf(lock: string): Promise<Holder | undefined> {
  try {
    const { mtimeMs } = await stat(lock);
    return { text: await readFile(lock, 'utf8'), ageMs: Date.now() - mtimeMs };
  } catch {
    return undefined;
  }
}

/** Takes the lock away by a rename, which only one of several waiters can; a new one taken by mistake goes back. */
async function bury(lock: string, text: string): Promise<void> {
  const grave = `${lock}.${ownerMark}.${randomBytes(4).toString('hex')}`;
  try {
    await rename(lock, grave);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if ((await readFile(grave, 'utf8')) !== text) await link(grave, lock).catch(() => undefined);
  await rm(grave, { force: true });
}

async function touch(lock: string): Promise<void> {
  const now = new Date();
  await utimes(lock, now, now).catch(() => undefined);
}
