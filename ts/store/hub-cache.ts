/** What Python's hub client has downloaded already: `<HF_HOME>/hub/models--OWNER--NAME/snapshots/<commit>/`. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Env } from '../terminal.js';
import { hubHome } from './hub-host.js';

/** The folder of all repositories. */
function cacheFolder(env: Env): string {
  return env.HF_HUB_CACHE || env.HUGGINGFACE_HUB_CACHE || join(hubHome(env), 'hub');
}

/** Where Python's client keeps `repo`. */
export function cachedRepository(repo: string, env: Env): string {
  return join(cacheFolder(env), `models--${repo.replace('/', '--')}`);
}

/** The snapshots of `repo`, the one that `main` points to first. */
export function cachedSnapshots(repo: string, env: Env): { commit: string; folder: string }[] {
  const folder = cachedRepository(repo, env);
  const main = read(join(folder, 'refs', 'main')).trim();
  const commits = list(join(folder, 'snapshots')).filter((name) => /^[0-9a-f]{40}$/.test(name));
  return commits
    .sort((a, b) => Number(b === main) - Number(a === main))
    .map((commit) => ({ commit, folder: join(folder, 'snapshots', commit) }));
}

/** The path of one file, in the newest snapshot that has it. */
export function cachedFile(repo: string, file: string, env: Env): string | undefined {
  return cachedSnapshots(repo, env)
    .map(({ folder }) => join(folder, file))
    .find((path) => existsSync(path));
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
