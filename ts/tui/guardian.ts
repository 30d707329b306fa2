/**
 * Puts the terminal back when this process cannot: after SIGKILL or a native abort. A shell of a few lines waits on
 * a pipe whose other end only this process holds; when that closes, it writes the sequences and sets the line discipline
 * as it was. It has a session of its own, so neither Ctrl-C nor a hang-up reaches it, and it ends
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

/**
 * What it does once the pipe has closed; the screen's sequences are $1, the line's modes before $2. A shell that comes
 * back has a moment for modes of its own, which it needs for the line that is typed; only where they are still ours they are
 * put back. If it was quicker than the sequences, its prompt is on the screen that is gone: it shows it again when the
 * size changes, there and back.
 */
const script = `read -r _
exec <&1
printf %s "$1"
sleep 0.1
case $(stty -a) in *-isig*) stty "$2" ;; esac
set -- $(stty size)
[ "\${2:-0}" -gt 1 ] && stty cols $(($2 - 1)) || exit
sleep 0.1
[ "$(stty size)" = "$1 $(($2 - 1))" ] && stty cols "$2"`;

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
