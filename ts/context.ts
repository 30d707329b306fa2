import { readConfig } from './config-file.js';
import { createLog, type LogValues } from './logging.js';
import type { CommandName } from './options.js';
import { resolve, type Resolved } from './resolve.js';
import type { Env, Log, Output } from './terminal.js';

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
  /** How many milliseconds an orderly end may take after `signal`; a second one ends the process at once. */
  graceMs: number;
  /** Errors go to stdout as JSON: set once the options are known. */
  jsonErrors: boolean;
}

/** The option values for `command`: its flags, the environment, the config file, `card`'s wishes, defaults. */
export async function settings(
  context: Context,
  command: CommandName,
  flags: Readonly<Record<string, unknown>>,
  card?: Readonly<Record<string, unknown>>,
): Promise<Resolved> {
  const config = await readConfig(context.env);
  const resolved = resolve(command, { flags, env: context.env, config, card });
  context.jsonErrors = resolved.values.json;
  return resolved;
}

/** The log that the options ask for. */
export function logFor(context: Context, values: LogValues): Log {
  return createLog(context.stderr, values);
}
