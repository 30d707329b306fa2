/** A public address for a local port, made by a program that runs as long as the address shall hold. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { createInterface } from 'node:readline';
import { PassThrough } from 'node:stream';
import { AxllmError } from '../errors.js';
import type { Env } from '../terminal.js';

/** How a tunnel is made. */
export interface TunnelPlan {
  /** What people call it, such as `cloudflared`. */
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  /** The public address in a line that the program prints. */
  addressIn(line: string): string | undefined;
  /** What to do about a failure whose last words are these. */
  hint(lastWords: string): string;
}

export interface Tunnel {
  readonly url: string;
  /** Resolves with the reason when the program ends. */
  readonly ended: Promise<string>;
  close(): void;
}

/** How long a program may take to print its address. */
const patienceMs = 45_000;

/**
 * Runs its arguments and ends with them. When its stdin closes, because who started it let go or died, SIGKILL
 * included, it takes its whole process group along.
 */
const guardian = `
exec 3<&0
"$@" 3<&- </dev/null &
tunnel=$!
( read -r line <&3; kill 0 ) &
wait $tunnel
`;

/** Starts the program and waits for the address. Throws `share_failed`, naming the step. */
export async function openTunnel(plan: TunnelPlan, env: Env, signal: AbortSignal): Promise<Tunnel> {
  signal.throwIfAborted();
  const child = spawn('/bin/sh', ['-c', guardian, 'sh', ...plan.command], {
    env: { ...env },
    // a group of its own, for the guardian to end
    detached: true,
  });
  const close = () => child.stdin.destroy();
  child.stdin.on('error', () => undefined);
  let lastWords = '';
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, by) => {
      close();
      resolve(`${plan.name} ended (${by ?? `status ${code}`})${lastWords && `: ${lastWords}`}`);
    });
  });
  signal.addEventListener('abort', close, { once: true });
  void ended.then(() => signal.removeEventListener('abort', close));
  const found = addressOf(child, plan, (line) => (lastWords = line));
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`${plan.name} gave no address in ${patienceMs / 1000} s`), patienceMs);
  });
  try {
    const first = await Promise.race([found, Promise.race([ended, late]).then((reason) => ({ reason }))]);
    if (typeof first === 'string') return { url: first, ended, close };
    signal.throwIfAborted();
    throw new AxllmError('share_failed', `No public link: ${first.reason}`, { hint: plan.hint(lastWords) });
  } catch (error) {
    close();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** The first address in what the program prints; the rest is read too, so that it never blocks. */
function addressOf(
  { stdout, stderr }: ChildProcessWithoutNullStreams,
  { addressIn }: TunnelPlan,
  onLine: (line: string) => void,
): Promise<string> {
  return new Promise((resolve) => {
    for (const stream of [stdout, stderr]) {
      createInterface({ input: stream.pipe(new PassThrough()) }).on('line', (raw) => {
        const line = raw.trim();
        if (line === '') return;
        onLine(line);
        const address = addressIn(line);
        if (address !== undefined) resolve(address.replace(/\/+$/, ''));
      });
    }
  });
}
