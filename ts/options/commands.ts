/** Which commands take an option: those that several rows name together. */
import type { CommandName } from '../option-row.js';

export const run = ['run'] as const;
/** The commands that talk to a model. */
export const talks = ['run', 'serve'] as const;
/** Those that listen: `run` does with `--ui`. */
export const serving = ['run', 'serve'] as const;
/** The commands that load one. */
export const loads = ['run', 'serve', 'bench', 'doctor'] as const;
export const every = [
  ...loads,
  'compile',
  'extract-embeddings',
  'devices',
  'config',
  'pull',
  'list',
  'show',
  'verify',
  'rm',
] as const satisfies readonly CommandName[];
