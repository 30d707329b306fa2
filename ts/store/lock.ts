/** One process at a time fetches a file. Correctness never rests on it (names are unique); it saves traffic. */
import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Runs `work` while holding `<path>.lock`; a lock whose process is gone is taken over. */
export async function withLock<T>(
  path: string,
  { signal, waiting }: { signal?: AbortSignal | undefined; waiting?: (pid: number) => void },
  work: () => Promise<T>,
): Promise<T> {
  const lock = `${path}.lock`;
  await mkdir(dirname(lock), { recursive: true });
  let told = false;
  while (!(await tryLock(lock))) {
    const owner = await ownerOf(lock);
    if (owner !== undefined && !isAlive(owner)) {
      await rm(lock, { force: true });
      continue;
    }
    if (!told && owner !== undefined) waiting?.(owner);
    told = true;
    await sleep(200, undefined, { signal });
  }
  try {
    return await work();
  } finally {
    await rm(lock, { force: true });
  }
}

/** Whether process `pid` exists on this machine. */
export function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** The lock appears with its owner's number in it: one without, of a process killed in between, would hold for ever. */
async function tryLock(lock: string): Promise<boolean> {
  const own = `${lock}.${process.pid}-${randomUUID().slice(0, 8)}`;
  try {
    await writeFile(own, String(process.pid));
    await link(own, lock);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(own, { force: true });
  }
}

/** `undefined` when the lock has just gone; an unreadable number is nobody's. */
async function ownerOf(lock: string): Promise<number | undefined> {
  const text = await readFile(lock, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : Number(text);
}
