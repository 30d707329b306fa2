/** Writing a message in `$VISUAL` or `$EDITOR`. */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Env } from '../../terminal.js';
import { privateFile } from '../paths.js';

/** The text after the editor was left; `undefined` where it failed or there is none. */
export async function editOutside(text: string, env: Env): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'axllm-edit-'));
  const file = join(folder, 'message.md');
  try {
    await writeFile(file, text, { mode: privateFile });
    // the variables may hold arguments, so a shell takes them apart, as for git
    const command = `${env.VISUAL || env.EDITOR || 'vi'} "$1"`;
    const child = spawn('/bin/sh', ['-c', command, 'sh', file], { stdio: 'inherit' });
    const status = await new Promise((resolve) => {
      child.on('error', () => resolve(undefined)).on('exit', resolve);
    });
    return status === 0 ? (await readFile(file, 'utf8')).replace(/\n+$/, '') : undefined;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
