/**
 * The terminal: alternate screen, modes, drawing, input. The only place that knows blessed, and that mends it: blessed
 * cannot tell the width of emoji, does not know bracketed paste and reads `{tags}` in text, so its program sets modes
 * and moves the cursor while rows are encoded and input is decoded here.
 */
import { writeSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import blessed from 'blessed';
import type { Env } from '../terminal.js';
import { createDecoder, type Answer, type Input } from './decode.js';
import { encode, type Abilities } from './encode.js';
import { restoreSequence, startGuardian } from './guardian.js';
import type { ThemeName } from './theme.js';
import type { Frame } from './view.js';

/** How long a lone Escape byte may be the start of a sequence. */
const escapeMs = 50;

const askBackground = '\u001b]11;?\u0007';

export interface ScreenOptions {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly env: Env;
  readonly theme: ThemeName;
  onInput(input: Input): void;
  onResize(columns: number, rows: number): void;
  /** The screen has been drawn over, or what was to be drawn could not be: draw again. */
  onStale(): void;
}

export class Screen {
  private readonly program: ReturnType<typeof blessed.program>;
  private abilities: Abilities;
  private readonly decoder = createDecoder();
  private shown: string[] = [];
  private cursor = '';
  private open = false;
  private closed = false;
  private mouseOn = true;
  private readonly fd: number;
  private escapeTimer: NodeJS.Timeout | undefined;
  private readonly endGuardian: () => void;

  constructor(private readonly options: ScreenOptions) {
    const { stdin, stdout, env, theme } = options;
    this.fd = (stdout as unknown as { fd: number }).fd;
    this.abilities = { theme, links: env.TERM !== 'linux' };
    this.endGuardian = startGuardian();
    // without tput blessed compiles no terminfo, which fails loudly on today's entries; input is read here
    const settings = { input: new PassThrough(), output: stdout, tput: false, terminal: env.TERM ?? 'xterm' };
    this.program = blessed.program(settings as never);
    stdin.on('data', this.read);
    stdout.on('resize', this.resized);
    stdout.on('drain', this.options.onStale);
    process.on('exit', this.close);
    process.on('uncaughtExceptionMonitor', this.close);
    process.on('SIGTSTP', this.suspend);
    process.on('SIGCONT', this.continued);
    this.enter();
    // a terminal that knows its ground answers, and the theme follows; COLORFGBG is somebody's word
    if ((theme === 'dark' || theme === 'light') && env.COLORFGBG === undefined) this.write(askBackground);
  }

  get size(): { columns: number; rows: number } {
    const { columns, rows } = this.options.stdout;
    return { columns: Math.max(1, columns || 80), rows: Math.max(1, rows || 24) };
  }

  /** Shows the frame by writing the rows that differ. `false`: the terminal is behind; `onStale` will tell. */
  draw({ lines, cursor }: Frame): boolean {
    if (!this.open) return true;
    if (this.options.stdout.writableNeedDrain) return false;
    const { columns, rows } = this.size;
    let bytes = '';
    for (let row = 0; row < rows; row += 1) {
      const encoded = encode(lines[row] ?? [], columns, this.abilities);
      if (this.shown[row] === encoded) continue;
      this.shown[row] = encoded;
      bytes += `\u001b[${row + 1};1H${encoded}`;
    }
    const place = cursor ? `\u001b[${cursor.y + 1};${cursor.x + 1}H\u001b[?25h` : '\u001b[?25l';
    if (bytes === '' && place === this.cursor) return true;
    this.cursor = place;
    // one write, shown at once where the terminal can: no half-drawn frame is seen
    this.program.write(`\u001b[?2026h\u001b[?25l${bytes}${place}\u001b[?2026l`);
    return true;
  }

  /** Forgets what is on the screen: the next frame is drawn whole. */
  forget(): void {
    this.shown = [];
    this.cursor = '';
    this.program.write('\u001b[0m\u001b[2J');
  }

  setMouse(on: boolean): void {
    this.mouseOn = on;
    this.program.setMouse({ vt200Mouse: on, sgrMouse: on } as never, on);
  }

  /** Bytes for the terminal itself, such as a copy; nothing that moves the cursor. */
  write(bytes: string): void {
    if (!this.closed) this.program.write(bytes);
  }

  /** Gives the terminal to `use`, then takes it back. */
  async lend<T>(use: () => Promise<T>): Promise<T> {
    this.leave();
    try {
      return await use();
    } finally {
      if (!this.closed) {
        this.enter();
        this.resized();
      }
    }
  }

  /** Stops the job as Ctrl-Z does elsewhere; goes on where it was after `fg`. */
  readonly suspend = (): void => {
    if (!this.open) return;
    void this.lend(async () => {
      process.off('SIGTSTP', this.suspend);
      process.kill(0, 'SIGTSTP');
      // the clock stands while the job is stopped; where a shell has no jobs nothing stops, and we are back at once
      await new Promise((resolve) => setTimeout(resolve, 100));
      if (!this.closed) process.on('SIGTSTP', this.suspend);
    });
  };

  /** Leaves the terminal as it was. Synchronous and safe to call twice: it runs when the process ends, too. */
  readonly close = (): void => {
    if (this.closed) return;
    this.closed = true;
    const { stdin, stdout } = this.options;
    this.leave();
    clearTimeout(this.escapeTimer);
    stdin.off('data', this.read);
    stdout.off('resize', this.resized);
    stdout.off('drain', this.options.onStale);
    process.off('exit', this.close);
    process.off('uncaughtExceptionMonitor', this.close);
    process.off('SIGTSTP', this.suspend);
    process.off('SIGCONT', this.continued);
    this.program.destroy();
    this.endGuardian();
  };

  private enter(): void {
    this.open = true;
    this.raw(true);
    this.options.stdin.resume();
    this.program.setMode('?1049');
    this.program.setMode('?2004');
    this.program.resetMode('?7');
    if (this.options.env.TERM !== 'linux') this.program.write('\u001b[>1u');
    this.setMouse(this.mouseOn);
    this.forget();
  }

  private leave(): void {
    if (!this.open) return;
    this.open = false;
    this.options.stdin.pause();
    try {
      // not through the stream: this must be out before the process ends
      writeSync(this.fd, restoreSequence);
    } catch {
      // the terminal is gone, or takes no more
      this.program.write(restoreSequence);
    }
    this.raw(false);
  }

  private raw(on: boolean): void {
    try {
      this.options.stdin.setRawMode(on);
    } catch {
      // the terminal is gone; its end is announced by SIGHUP
    }
  }

  private readonly continued = (): void => {
    if (!this.open) return;
    // whoever stopped us may have changed the line's modes
    this.leave();
    this.enter();
    this.resized();
  };

  private readonly resized = (): void => {
    const { columns, rows } = this.size;
    this.forget();
    this.options.onResize(columns, rows);
  };

  private readonly read = (bytes: Buffer): void => {
    clearTimeout(this.escapeTimer);
    this.decoder.push(bytes).forEach(this.take);
    if (!this.decoder.waiting) return;
    this.escapeTimer = setTimeout(() => this.decoder.flush().forEach(this.take), escapeMs);
  };

  private readonly take = (input: Input | Answer): void => {
    if (input.kind !== 'background') return this.options.onInput(input);
    const theme = input.light ? 'light' : 'dark';
    if (theme === this.abilities.theme) return undefined;
    this.abilities = { ...this.abilities, theme };
    this.options.onStale();
  };
}
