/** `$XDG_CONFIG_HOME/axllm/config.toml`: option values by their keys. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { AxllmError } from './errors.js';
import { allOptions } from './options.js';
import { closeMatches } from './suggest.js';
import type { Env } from './terminal.js';

/** Where the file is looked for. */
export function configPath(env: Env): string {
  const folder = env.XDG_CONFIG_HOME || join(env.HOME || homedir(), '.config');
  return join(folder, 'axllm', 'config.toml');
}

/** The file's values; none where there is no file. A key that no option has is an error. */
export async function readConfig(env: Env): Promise<Record<string, unknown>> {
  const path = configPath(env);
  const text = readIfThere(path);
  if (text === undefined) return {};
  // loaded only by those who have such a file
  const { parse } = await import('smol-toml');
  let values: Record<string, unknown>;
  try {
    values = parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n', 1)[0] : String(cause);
    throw new AxllmError('bad_config', `${path}: ${reason}`, {
      cause,
      hint: 'the file is TOML, for example: temperature = 0.7',
    });
  }
  const keys = allOptions().map(([, row]) => row.key);
  for (const key of Object.keys(values)) if (!keys.includes(key)) throw unknownKey(path, key, keys);
  return values;
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw new AxllmError('bad_config', `${path} cannot be read: ${(error as Error).message}`, {
      cause: error,
      hint: 'mend it, or name another folder in XDG_CONFIG_HOME',
    });
  }
}

function unknownKey(path: string, key: string, keys: readonly string[]): AxllmError {
  const close = closeMatches(key.replaceAll('-', '_'), keys);
  return new AxllmError('bad_config', `${path}: there is no option ${JSON.stringify(key)}`, {
    hint: close.length > 0 ? `did you mean ${close.join(', ')}?` : 'axllm config lists the keys',
  });
}
