/** The saved conversations: one private JSON file each under `$XDG_DATA_HOME/axllm/conversations`. */
import { readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { AxllmError } from '../errors.js';
import { closeMatches } from '../suggest.js';
import type { Env } from '../terminal.js';
import type { Conversation } from './conversation.js';
import { fromJson, toJson } from './conversation-file.js';
import { dataFolder, makePrivate, privateFile } from './paths.js';

/** Far more than any model's context holds; a bigger file is not one of ours. */
const largest = 64 * 2 ** 20;
const suffix = '.json';

/** A saved conversation in a listing. */
export interface Saved {
  readonly name: string;
  readonly path: string;
  readonly modified: Date;
}

export class ConversationStore {
  readonly folder: string;

  constructor(env: Env) {
    this.folder = join(dataFolder(env), 'conversations');
  }

  /** The saved ones, the latest first. */
  async list(): Promise<Saved[]> {
    const names = await readdir(this.folder).catch(() => [] as string[]);
    const saved = names
      .filter((file) => file.endsWith(suffix))
      .map(async (file) => {
        const path = join(this.folder, file);
        const { mtime } = await stat(path);
        return { name: basename(file, suffix), path, modified: mtime };
      });
    const found = await Promise.allSettled(saved);
    return found
      .flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
      .sort((a, b) => b.modified.getTime() - a.modified.getTime());
  }

  /** Writes the file whole or not at all; returns its path. Without a name, the time is the name. */
  async save(conversation: Conversation, model: string, name = timeName(new Date())): Promise<string> {
    const path = this.pathOf(name);
    await writePrivate(path, toJson(conversation, model), this.folder);
    return path;
  }

  async load(name: string): Promise<Conversation> {
    const path = this.pathOf(name);
    const size = await stat(path).then(
      (found) => found.size,
      () => undefined,
    );
    if (size === undefined) throw await this.missing(name);
    if (size > largest) {
      throw new AxllmError('bad_conversation', `${path} is too large for a conversation: ${size} bytes`);
    }
    return fromJson(await readFile(path, 'utf8'), path);
  }

  private pathOf(name: string): string {
    if (/^[\p{L}\p{N}_][\p{L}\p{N}_. -]{0,99}$/u.test(name)) return join(this.folder, `${name}${suffix}`);
    throw new AxllmError('bad_name', `${JSON.stringify(name)} cannot be the name of a conversation`, {
      hint: 'use letters, digits, spaces, dots, - and _, at most 100',
    });
  }

  private async missing(name: string): Promise<AxllmError> {
    const names = (await this.list()).map((each) => each.name);
    const near = closeMatches(name, names);
    return new AxllmError('no_conversation', `No conversation is saved as ${JSON.stringify(name)}`, {
      hint: near.length > 0 ? `did you mean ${near.join(' or ')}?` : '/load alone lists the saved ones',
    });
  }
}

/** Puts a private file in place in one step. `folder` is made when it is missing. */
export async function writePrivate(path: string, text: string, folder?: string): Promise<void> {
  if (folder !== undefined) await makePrivate(folder);
  const part = `${path}.${process.pid}.part`;
  try {
    await writeFile(part, text, { mode: privateFile, flush: true });
    await rename(part, path);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

/** `2026-11-24 10.15.30`, in local time. */
function timeName(now: Date): string {
  const local = new Date(now.getTime() - now.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 19).replace('T', ' ').replaceAll(':', '.');
}
