/** The Hugging Face hub: its address, the user's token, and where access is asked for. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Env } from '../terminal.js';
import type { Token } from './http.js';

/** `HF_ENDPOINT`, else the public hub; without a slash at its end. */
export function hubEndpoint(env: Env): string {
  return (env.HF_ENDPOINT || 'https://huggingface.co').replace(/\/+$/, '');
}

/** Address of one file. */
export function hubUrl(repo: string, file: string, revision: string, env: Env): string {
  const path = file.split('/').map(encodeURIComponent).join('/');
  return `${hubEndpoint(env)}/${repo}/resolve/${encodeURIComponent(revision)}/${path}`;
}

/** `HF_TOKEN`, else the file that `hf auth login` writes; for the hub's own host only. */
export function tokenFor(env: Env): Token | undefined {
  const value = (env.HF_TOKEN || env.HUGGING_FACE_HUB_TOKEN || readToken(env)).trim();
  // a line break in a header would be a second header
  if (!/^[\x21-\x7e]+$/.test(value)) return undefined;
  return { origin: new URL(hubEndpoint(env)).origin, value };
}

/** Where Python's hub client keeps things. */
export function hubHome(env: Env): string {
  const cache = env.XDG_CACHE_HOME || join(env.HOME || homedir(), '.cache');
  return env.HF_HOME || join(cache, 'huggingface');
}

/** What to do about a repository that is not open to everyone. */
export function gatedHint(repo: string, env: Env): string {
  const hub = hubEndpoint(env);
  return `ask for access at ${hub}/${repo}, make a token at ${hub}/settings/tokens and give it in HF_TOKEN`;
}

function readToken(env: Env): string {
  try {
    return readFileSync(env.HF_TOKEN_PATH || join(hubHome(env), 'token'), 'utf8');
  } catch {
    return '';
  }
}
