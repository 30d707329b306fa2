import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Env } from '../terminal.js';

/**
 * Where downloads live: `explicit` (`--build-root` or AXELERA_BUILD_ROOT), `$AXELERA_FRAMEWORK/build`,
 * `$XDG_CACHE_HOME/axllm`, `~/.cache/axllm`.
 */
export function buildRoot(explicit: string | undefined, env: Env): string {
  const given = explicit || env.AXELERA_BUILD_ROOT;
  if (given) return resolve(given);
  if (env.AXELERA_FRAMEWORK) return resolve(env.AXELERA_FRAMEWORK, 'build');
  const cache = env.XDG_CACHE_HOME || join(env.HOME || homedir(), '.cache');
  return resolve(cache, 'axllm');
}
