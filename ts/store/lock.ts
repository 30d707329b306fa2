/** One process at a time fetches a file. Correctness never rests on it (names are unique); it saves traffic. */
import { mkdir, open, readFile, rm } from 'node:fs/promises';
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

async function tryLock(lock: string): Promise<boolean> {
  try {
    const handle = await open(lock, 'wx');
    await handle.write(String(process.pid));
    await handle.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** `undefined` while the owner is still writing its number, or when the lock has just gone. */
async function ownerOf(lock: string): Promise<number | undefined> {
  const text = await readFile(lock, 'utf8').catch(() => '');
  return text === '' ? undefined : Number(text);
}
