import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildRoot } from '../../ts/store/build-root.js';
import { packageRoot } from '../../ts/package-root.js';

/** Where `npm test` has put the default model. */
export const sharedRoot = buildRoot(undefined, process.env);
export const defaultWeights = join(sharedRoot, 'smollm2-135m-instruct', 'SmolLM2-135M-Instruct.Q4_1.gguf');
export const cliFile = join(packageRoot, 'dist', 'cli.js');
export const simulator = join(packageRoot, 'sim', 'libaxruntime.so');

/** Simulated cards are held through files in here: each test file has cards of its own, as if each had a machine. */
const runtimeFolder = mkdtempSync(join(tmpdir(), 'axllm-run-'));
process.env.XDG_RUNTIME_DIR = runtimeFolder;
process.on('exit', () => rmSync(runtimeFolder, { recursive: true, force: true }));

export interface Outcome {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

type Env = Record<string, string>;

/** An environment with nothing of the tester's own in it but the path and the build root. */
export function cleanEnv(env: Env = {}): Env {
  const { PATH = '', HOME = homedir() } = process.env;
  const fixed = { AXELERA_BUILD_ROOT: sharedRoot, XDG_RUNTIME_DIR: runtimeFolder, TERM: 'xterm-256color' };
  return { PATH, HOME, ...fixed, ...env };
}

/** Starts `axllm`; stdin stays open until closed. */
export function start(args: readonly string[], env: Env = {}): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, [cliFile, ...args], { env: cleanEnv(env) });
}

/** Runs `axllm` to its end. */
export async function axllm(
  args: readonly string[],
  { env = {}, input = '' }: { env?: Env; input?: string } = {},
) {
  const child = start(args, env);
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  return outcome(child);
}

/** Waits for the end and gathers what was said. */
export async function outcome(child: ChildProcessWithoutNullStreams): Promise<Outcome> {
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [status, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
    child.on('close', (code, by) => resolve([code, by]));
  });
  return { status, signal, stdout, stderr };
}

/** The `ERROR: …` lines of a run. */
export function errorLines({ stderr }: Outcome): string[] {
  return stderr.split('\n').filter((line) => line.startsWith('ERROR'));
}
