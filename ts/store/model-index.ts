/**
 * `<build-root>/downloaded_models.json`, as the original keeps it: the MD5 of an archive, and which `model.json` came
 * out of it with which MD5. It is a cache: whatever is wrong with it is told and rebuilt.
 */
import { readFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import type { Log } from '../terminal.js';
import { withLock } from './lock.js';
import { replaceFile } from './part-file.js';

/** One archive's model. */
export interface IndexEntry {
  /** `model.json`, absolute. */
  readonly modelPath: string;
  readonly modelMd5: string;
}

const name = 'downloaded_models.json';

/** What the index says of the archive with this MD5; nothing where it says what cannot be. */
export async function lookUp(root: string, md5: string, log: Log): Promise<IndexEntry | undefined> {
  const raw = (await readIndex(root, log))[md5];
  if (raw === undefined) return undefined;
  const { model_path: path, model_md5: sum } = (raw ?? {}) as Record<string, unknown>;
  const odd = (why: string) => {
    log.warning(`${join(root, name)}: the entry ${md5} ${why}; it is not used`);
    return undefined;
  };
  if (typeof path !== 'string' || typeof sum !== 'string') return odd('is damaged');
  const modelPath = resolve(root, path);
  if (relative(root, modelPath).startsWith('..')) return odd(`points out of the build root, to ${path}`);
  return { modelPath, modelMd5: sum.toLowerCase() };
}

/** Adds an entry, or with `undefined` takes it away; all others stay as they are. */
export async function record(
  root: string,
  md5: string,
  entry: IndexEntry | undefined,
  log: Log,
): Promise<void> {
  const path = join(root, name);
  await withLock(path, {}, async () => {
    const { [md5]: before, ...others } = await readIndex(root, log);
    if (entry === undefined && before === undefined) return;
    const own = entry && { [md5]: { model_path: entry.modelPath, model_md5: entry.modelMd5 } };
    await replaceFile(path, `${JSON.stringify({ ...others, ...own }, null, 2)}\n`);
  });
}

async function readIndex(root: string, log: Log): Promise<Record<string, unknown>> {
  const path = join(root, name);
  try {
    const index: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (typeof index === 'object' && index !== null && !Array.isArray(index)) {
      return index as Record<string, unknown>;
    }
    log.warning(`${path} is no index of models; it is made anew`);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT') log.warning(`${path} cannot be read (${message}); it is made anew`);
  }
  return {};
}
