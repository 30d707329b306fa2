/** Faults of the disk at one system call, by strace: what `pull-one.ts` does is followed, and disturbed where asked. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

/** The system calls that change what is on the disk. */
export const changing = [
  'openat',
  'write',
  'pwrite64',
  'ftruncate',
  'fsync',
  'rename',
  'unlink',
  'rmdir',
  'mkdir',
];

/** One system call of the pulling thread. */
export interface Call {
  readonly name: string;
  /** Which one of its name, from 1. */
  readonly at: number;
  readonly line: string;
}

/** The calls in a log of strace. */
export function callsIn(log: string): Call[] {
  const counts = new Map<string, number>();
  return log.split('\n').flatMap((line) => {
    const name = /^(\w+)\(/.exec(line)?.[1];
    if (name === undefined) return [];
    const at = (counts.get(name) ?? 0) + 1;
    counts.set(name, at);
    return [{ name, at, line }];
  });
}

/** The process as one file: it starts in a third of the time. */
export async function bundled(folder: string): Promise<string> {
  const outfile = join(folder, 'pull-one.mjs');
  const js = `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);`;
  await build({
    entryPoints: [join(import.meta.dirname, 'pull-one.ts')],
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    outfile,
    banner: { js },
    logLevel: 'warning',
  });
  return outfile;
}

/** How a pull under strace went. */
export interface Disturbed {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
  readonly log: string;
}

/** Pulls `card` into `root`, with these arguments for strace from the first byte of that on. */
export async function pullUnder(
  options: readonly string[],
  { program, card, root }: { program: string; card: string; root: string },
): Promise<Disturbed> {
  const side = `${root}.side`;
  mkdirSync(side, { recursive: true });
  const env = { PATH: process.env.PATH ?? '', HOME: side, UV_THREADPOOL_SIZE: '1' };
  const child = spawn(process.execPath, [program, card], { env });
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  let stderr = '';
  child.stderr.on('data', (text) => (stderr += String(text)));
  const thread = String(await said(child, child.stdout, () => stderr)).trim();
  const log = join(side, 'calls');
  const strace = spawn('strace', ['-y', '-s', '0', '-o', log, '-p', thread, ...options], { env });
  const traced = once(strace, 'close');
  // whoever waits for itself is told from whoever was killed
  const guard = setTimeout(() => child.kill('SIGTERM'), 60_000);
  try {
    await said(strace, strace.stderr, () => 'strace (scripts/test-tools.sh installs it) ended at once');
    child.stdin.end(`${root}\n`);
    const [status, signal] = await ended;
    await traced;
    return { status, signal, stderr, log: readFileSync(log, 'utf8') };
  } finally {
    clearTimeout(guard);
    child.kill('SIGKILL');
    rmSync(side, { recursive: true, force: true });
  }
}

/** The first words, unless the process ends or cannot be started. */
async function said(child: ChildProcess, stream: NodeJS.ReadableStream, why: () => string): Promise<unknown> {
  const end = once(child, 'exit').then(() => Promise.reject(new Error(why())));
  end.catch(() => undefined);
  return Promise.race([once(stream, 'data'), end]);
}
