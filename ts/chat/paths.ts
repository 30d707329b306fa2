/** Where the chat keeps what is the user's own: the XDG folders, readable by nobody else. */
import { mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import type { Env } from '../terminal.js';

/** Permissions of the folders and files made here. */
export const privateFolder = 0o700;
export const privateFile = 0o600;

/** `$XDG_STATE_HOME/axllm`: what was typed. */
export const stateFolder = (env: Env) => xdg(env.XDG_STATE_HOME, env, '.local/state');

/** `$XDG_DATA_HOME/axllm`: what was saved. */
export const dataFolder = (env: Env) => xdg(env.XDG_DATA_HOME, env, '.local/share');

/** Makes a folder and its parents, for this user alone. */
export async function makePrivate(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: privateFolder });
}

/** The specification says to ignore a relative path. */
function xdg(given: string | undefined, env: Env, usual: string): string {
  return join(given && isAbsolute(given) ? given : join(env.HOME || homedir(), usual), 'axllm');
}
