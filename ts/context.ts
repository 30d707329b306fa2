import type { Env, Log, LogLevel, Output } from './terminal.js';
import { createLog, logLevels } from './terminal.js';

/** What a command may touch of the process; `cli.ts` makes the real one. */
export interface Context {
  readonly env: Env;
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: Output & { columns?: number };
  readonly stderr: Output & { columns?: number };
  /** Aborted by a signal; its reason is a `Stopped`. */
  readonly signal: AbortSignal;
  /** Takes Ctrl-C away from `signal` until the returned function is called. */
  onInterrupt(handler: () => void): () => void;
}

/** The log that `-v` and `-q` ask for. */
export function logFor(
  context: Context,
  { verbose = 0, quiet = 0 }: { verbose?: number; quiet?: number },
): Log {
  const at = logLevels.indexOf('INFO') - verbose + quiet;
  const level: LogLevel = logLevels[Math.max(0, Math.min(logLevels.length - 1, at))]!;
  return createLog(context.stderr, level);
}
