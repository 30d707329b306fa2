/** Reads messages from the terminal with a line editor that stays on the lines it needs. */
import type { Context } from '../../context.js';
import { editorState, press, withText, type EditorEvent, type EditorState, type Key } from './editor.js';
import { editOutside } from './external.js';
import { KeyReader } from './key-reader.js';
import { folded, layOut, visible, type Layout, type Prompt } from './layout.js';
import { RawTerminal } from './raw-terminal.js';

/** What the editor asks of the chat. */
export interface EditorHost {
  /** What was typed before, oldest first. */
  past(): readonly string[];
  /** What the text so far may become. */
  complete(text: string): readonly string[];
  /** Ctrl-C while nothing is read; false when there is nothing to stop: the program then ends. */
  interrupt(): boolean;
}

/** Where a chat's messages come from. */
export interface MessageReader {
  /** Takes the terminal; what is typed while nothing is read waits for the next `read`. */
  open(): void;
  close(): void;
  /**
   * The next message, which may begin with `text`; `undefined` for Ctrl-C and Ctrl-D with nothing typed, and when the
   * terminal is gone.
   */
  read(prompt: Prompt, text?: string): Promise<string | undefined>;
}

/** Whoever waits for a message. */
export interface Waiting {
  resolve(text: string | undefined): void;
  reject(reason: unknown): void;
}

export class LineEditor implements MessageReader {
  private readonly terminal: RawTerminal;
  private readonly keys = new KeyReader((key, pasted) => this.onKey(key, pasted));
  private readonly early: [Key, boolean][] = [];
  private state: EditorState = editorState([]);
  private waiting: (Waiting & { readonly prompt: Prompt }) | undefined;
  private drawn: Layout | undefined;
  private busy = false;
  private stale = false;
  private release: () => void = nothing;

  constructor(
    private readonly context: Context,
    private readonly host: EditorHost,
  ) {
    this.terminal = new RawTerminal(context.stdin, context.stdout, () => this.redraw());
  }

  open(): void {
    const { stdin, stdout, signal } = this.context;
    this.terminal.enter();
    const release = this.context.onInterrupt(() => this.onKey({ name: 'c', ctrl: true }, false));
    this.release = () => {
      this.release = nothing;
      release();
    };
    stdin.on('data', this.onData).on('end', this.onEnd).on('error', this.onEnd).resume();
    stdout.on('resize', this.onResize);
    signal.addEventListener('abort', this.onAbort);
  }

  close(): void {
    const { stdin, stdout, signal } = this.context;
    stdin.off('data', this.onData).off('end', this.onEnd).off('error', this.onEnd).pause();
    stdout.off('resize', this.onResize);
    signal.removeEventListener('abort', this.onAbort);
    this.release();
    this.terminal.leave();
  }

  read(prompt: Prompt, text = ''): Promise<string | undefined> {
    this.context.signal.throwIfAborted();
    const read = new Promise<string | undefined>((resolve, reject) => {
      this.waiting = { prompt, resolve, reject };
    });
    this.state = editorState(this.host.past(), text);
    this.draw();
    while (this.waiting && !this.busy && this.early.length > 0) this.onKey(...this.early.shift()!);
    return read;
  }

  private readonly onData = (chunk: Buffer) => this.keys.push(chunk);
  private readonly onEnd = () => this.finish(undefined);
  private readonly onAbort = () => {
    const { waiting } = this;
    this.waiting = undefined;
    waiting?.reject(this.context.signal.reason);
  };

  private onKey(key: Key, pasted: boolean): void {
    if (this.waiting && !this.busy) {
      const [state, event] = press(this.state, key, pasted);
      this.state = state;
      if (event) this.on(event);
      else this.drawSoon();
    } else if (key.ctrl && key.name === 'c') {
      this.early.length = 0;
      if (this.host.interrupt()) return;
      this.release();
      process.kill(process.pid, 'SIGINT');
    } else if (key.ctrl && key.name === 'z') this.terminal.suspend();
    else this.early.push([key, pasted]);
  }

  private on(event: EditorEvent): void {
    switch (event.kind) {
      case 'submit':
        return this.finish(event.text);
      case 'interrupt':
      case 'end':
        return this.finish(undefined);
      case 'clear-screen':
        this.drawn = undefined;
        this.context.stdout.write('\u001b[H\u001b[2J');
        return this.draw();
      case 'suspend':
        return this.terminal.suspend();
      case 'complete':
        return this.complete();
      case 'open-editor':
        void this.editOutside();
        return undefined;
      default:
        return event satisfies never;
    }
  }

  private complete(): void {
    const { text } = this.state.draft;
    const found = this.host.complete(text);
    const common = found.reduce((a, b) => {
      let same = 0;
      while (same < a.length && a[same] === b[same]) same += 1;
      return a.slice(0, same);
    }, found[0] ?? '');
    if (found.length === 1) this.state = withText(this.state, `${common} `);
    else if (common.length > text.length) this.state = withText(this.state, common);
    this.draw();
  }

  private async editOutside(): Promise<void> {
    this.busy = true;
    try {
      const text = await this.terminal.lend(() => editOutside(this.state.draft.text, this.context.env));
      this.state = withText(this.state, text ?? this.state.draft.text);
    } finally {
      this.busy = false;
      this.redraw();
      while (this.waiting && this.early.length > 0) this.onKey(...this.early.shift()!);
    }
  }

  private finish(text: string | undefined): void {
    const { waiting } = this;
    if (!waiting) return;
    this.show(folded(this.layout(waiting.prompt), this.height()));
    this.context.stdout.write('\r\n');
    this.waiting = undefined;
    this.drawn = undefined;
    waiting.resolve(text);
  }

  /** Once for all keys that have arrived together. */
  private drawSoon(): void {
    if (!this.stale) setImmediate(() => this.stale && this.draw());
    this.stale = true;
  }

  /** Draws below whatever is on the screen now. */
  private redraw(): void {
    this.drawn = undefined;
    this.draw();
  }

  private draw(): void {
    this.stale = false;
    if (this.waiting) this.show(visible(this.layout(this.waiting.prompt), this.height()));
  }

  private layout(prompt: Prompt): Layout {
    return layOut(this.state, prompt, this.context.stdout.columns || 80);
  }

  private height(): number {
    return Math.max(1, ((this.context.stdout as { rows?: number }).rows || 24) - 1);
  }

  private show(layout: Layout): void {
    const { rows, row, column } = layout;
    const back = this.drawn ? `\r${up(this.drawn.row)}\u001b[J` : '';
    const place = `\r${up(rows.length - 1 - row)}${column > 0 ? `\u001b[${column}C` : ''}`;
    this.context.stdout.write(`${back}${rows.join('\r\n')}${place}`);
    this.drawn = layout;
  }

  /** A terminal that became narrower has wrapped the rows that no longer fit. */
  private readonly onResize = () => {
    if (!this.drawn) return;
    const columns = this.context.stdout.columns || 80;
    const { widths, row, column } = this.drawn;
    const above = widths
      .slice(0, row)
      .reduce((sum, width) => sum + Math.max(1, Math.ceil(width / columns)), 0);
    this.drawn = { ...this.drawn, row: above + Math.floor(Math.max(0, column - 1) / columns) };
    this.draw();
  };
}

const nothing = () => undefined;
const up = (rows: number) => (rows > 0 ? `\u001b[${rows}A` : '');
