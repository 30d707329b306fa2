/**
 * Puts the terminal back when this process cannot: after SIGKILL or a native abort. A shell of a few lines waits on
 * a pipe whose other end only this process holds; when that closes without a word, it writes the sequences and sets
 * the line discipline as it was. It has a session of its own, so neither Ctrl-C nor a hang-up reaches it, and it ends
 * with this process in every case.
 */
import { execFileSync, spawn } from 'node:child_process';

/** Ends every mode that the screen turns on; each is harmless where it was not on. */
export const restoreSequence = [
  '\u001b[?2026l', // synchronised output
  '\u001b[?1006l\u001b[?1000l', // mouse
  '\u001b[?2004l', // bracketed paste
  '\u001b[<u', // kitty keys
  '\u001b[?7h\u001b[0m\u001b[?25h', // wrapping, colours, cursor
  '\u001b[?1049l', // alternate screen
].join('');

const script = 'read -r word; [ "$word" = done ] && exit; printf %s "$1"; stty "$2" <&1';

/** Starts to watch; the function returned ends it. Where there is no `stty` or no shell, nothing watches. */
export function startGuardian(): () => void {
  let modes: string;
  try {
    modes = execFileSync('stty', ['-g'], { stdio: ['inherit', 'pipe', 'ignore'], encoding: 'utf8' }).trim();
  } catch {
    return () => undefined;
  }
  const child = spawn('/bin/sh', ['-c', script, 'axllm-terminal', restoreSequence, modes], {
    detached: true,
    stdio: ['pipe', 'inherit', 'ignore'],
  });
  child.on('error', () => undefined);
  child.stdin.on('error', () => undefined);
  child.unref();
  (child.stdin as unknown as { unref(): void }).unref();
  return () => {
    // at once, and before this process ends: a word in the pipe might come too late
    child.kill('SIGKILL');
  };
}
