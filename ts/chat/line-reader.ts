import { createInterface } from 'node:readline';
import type { Context } from '../context.js';

/** Reads one line at a time; between two lines the terminal is back in its normal mode, so Ctrl-C is a signal. */
export class LineReader {
  private waiting: string[] = [];
  private history: string[] = [];

  constructor(private readonly context: Context) {}

  /** The next line, or `undefined` for Ctrl-C and Ctrl-D. */
  read(prompt: string): Promise<string | undefined> {
    const pasted = this.waiting.shift();
    if (pasted !== undefined) {
      this.context.stdout.write(`${prompt}${pasted}\n`);
      return Promise.resolve(pasted);
    }
    const { stdin, stdout, signal } = this.context;
    const reader = createInterface({
      input: stdin,
      output: stdout,
      terminal: true,
      history: [...this.history],
    });
    return new Promise((resolve, reject) => {
      let first: string | undefined;
      const abort = () => reader.close();
      signal.addEventListener('abort', abort, { once: true });
      reader.on('history', (lines) => (this.history = lines));
      reader.on('line', (line) => {
        if (first === undefined) {
          first = line;
          // lines of the same paste arrive in this very turn
          setImmediate(() => reader.close());
        } else this.waiting.push(line);
      });
      reader.on('SIGINT', () => reader.close());
      reader.on('close', () => {
        signal.removeEventListener('abort', abort);
        stdin.pause();
        if (first === undefined) stdout.write('\n');
        if (signal.aborted) reject(signal.reason);
        else resolve(first);
      });
      reader.setPrompt(prompt);
      reader.prompt();
    });
  }
}
