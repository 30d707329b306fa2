/** Raw mode and bracketed paste; whatever ends or stops the process puts the terminal back first. */
import { writeSync } from 'node:fs';
import type { Context } from '../../context.js';

const enterModes = '\u001b[?2004h';
const leaveModes = '\u001b[?2004l';

export class RawTerminal {
  private active = false;

  constructor(
    private readonly stdin: NodeJS.ReadStream,
    private readonly stdout: Context['stdout'],
    /** Called after the process was stopped and goes on: the screen is no longer what it was. */
    private readonly resumed: () => void,
  ) {}

  /** Takes the terminal. */
  enter(): void {
    this.raw();
    process.on('exit', this.restore);
    process.on('SIGTSTP', this.stop);
    process.on('SIGCONT', this.goOn);
  }

  /** Gives it back for good. */
  leave(): void {
    process.off('exit', this.restore);
    process.off('SIGTSTP', this.stop);
    process.off('SIGCONT', this.goOn);
    this.restore();
  }

  /** Gives it to `use`, another program, for as long as that takes. */
  async lend<T>(use: () => Promise<T>): Promise<T> {
    this.restore();
    this.stdin.pause();
    try {
      return await use();
    } finally {
      this.stdin.resume();
      this.raw();
    }
  }

  /** What Ctrl-Z does: stops every process of the job, as the terminal would. */
  suspend(): void {
    process.kill(0, 'SIGTSTP');
  }

  private raw(): void {
    this.stdin.setRawMode(true);
    this.stdout.write(enterModes);
    this.active = true;
  }

  private readonly restore = () => {
    if (!this.active) return;
    this.active = false;
    try {
      this.stdin.setRawMode(false);
      // on the way out only what is written synchronously arrives
      writeSync((this.stdout as { fd?: number }).fd ?? 1, leaveModes);
    } catch {
      // the terminal is gone
    }
  };

  private readonly stop = () => {
    this.restore();
    process.kill(process.pid, 'SIGSTOP');
  };

  private readonly goOn = () => {
    this.raw();
    this.resumed();
  };
}
