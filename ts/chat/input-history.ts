/** What was typed, for the arrow keys and Ctrl-R: one JSON string a line, so that a message may have many. */
import { appendFile, chmod, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Env } from '../terminal.js';
import { writePrivate } from './conversation-store.js';
import { makePrivate, privateFile, stateFolder } from './paths.js';

const kept = 1000;

/** Never fails: a history that cannot be kept is no reason not to chat. */
export class InputHistory {
  private readonly path: string;
  private lines: string[] = [];

  constructor(
    private readonly env: Env,
    /** Off (`--no-save`): remembered while the program runs, and written nowhere. */
    private readonly saved: boolean,
  ) {
    this.path = join(stateFolder(env), 'history');
  }

  /** Oldest first. */
  get entries(): readonly string[] {
    return this.lines;
  }

  async load(): Promise<void> {
    if (!this.saved) return;
    const text = await readFile(this.path, 'utf8').catch(() => '');
    const all = text.split('\n').flatMap(entry);
    this.lines = [...all.slice(-kept), ...this.lines];
    if (all.length <= 2 * kept) return;
    await writePrivate(this.path, this.lines.map(line).join('')).catch(() => undefined);
  }

  /** Keeps `text`, unless it is what was typed last. */
  async add(text: string): Promise<void> {
    if (text.trim() === '' || this.lines.at(-1) === text) return;
    this.lines.push(text);
    if (!this.saved) return;
    try {
      await makePrivate(stateFolder(this.env));
      await appendFile(this.path, line(text), { mode: privateFile });
      await chmod(this.path, privateFile);
    } catch {
      // a read-only home
    }
  }
}

const line = (text: string) => `${JSON.stringify(text)}\n`;

function entry(text: string): string[] {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'string' ? [value] : [];
  } catch {
    return [];
  }
}
