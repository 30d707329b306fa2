/** Reads messages from a terminal that knows no escape sequences (`TERM=dumb`): editing is the terminal's own. */
import { createInterface, type Interface } from 'node:readline';
import type { Context } from '../../context.js';
import { sanitise } from '../../sanitise.js';
import type { Prompt } from './layout.js';
import { sendable } from './editor.js';
import type { EditorHost, MessageReader, Waiting } from './line-editor.js';

export class DumbReader implements MessageReader {
  private readonly early: string[] = [];
  private lines: Interface | undefined;
  /** The lines of a block that is not closed yet. */
  private block: readonly string[] = [];
  private waiting: Waiting | undefined;
  private ended = false;
  private release: () => void = nothing;

  constructor(
    private readonly context: Context,
    private readonly host: EditorHost,
  ) {}

  open(): void {
    const { stdin, signal } = this.context;
    this.release = this.context.onInterrupt(() => this.interrupt());
    this.lines = createInterface({ input: stdin, terminal: false });
    this.lines.on('line', (line) => this.take(line)).on('close', () => this.end());
    signal.addEventListener('abort', this.onAbort);
  }

  close(): void {
    this.context.signal.removeEventListener('abort', this.onAbort);
    this.release();
    this.lines?.close();
  }

  /** There is no way to put `text` on the line, so it stands above: to be typed again with its change. */
  read({ painted }: Prompt, text = ''): Promise<string | undefined> {
    this.context.signal.throwIfAborted();
    this.context.stdout.write(`${text === '' ? '' : `${sanitise(text)}\n`}${painted}`);
    const read = new Promise<string | undefined>((resolve, reject) => {
      this.waiting = { resolve, reject };
    });
    while (this.waiting && this.early.length > 0) this.take(this.early.shift()!);
    if (this.ended) this.answer(undefined);
    return read;
  }

  private take(line: string): void {
    if (!this.waiting) return void this.early.push(line);
    const lines = [...this.block, line];
    const text = sendable(lines.join('\n'));
    this.block = text === undefined ? lines : [];
    if (text !== undefined) this.answer(text);
  }

  private interrupt(): void {
    if (this.waiting) return this.answer(undefined);
    this.early.length = 0;
    if (this.host.interrupt()) return;
    this.release();
    process.kill(process.pid, 'SIGINT');
  }

  private end(): void {
    this.ended = true;
    if (this.early.length === 0) this.answer(undefined);
  }

  private answer(text: string | undefined): void {
    const { waiting } = this;
    if (!waiting) return;
    this.waiting = undefined;
    // a line that was sent has ended itself
    if (text === undefined) this.context.stdout.write('\n');
    waiting.resolve(text);
  }

  private readonly onAbort = () => {
    const { waiting } = this;
    this.waiting = undefined;
    waiting?.reject(this.context.signal.reason);
  };
}

const nothing = () => undefined;
