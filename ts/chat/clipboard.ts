/** Copying from a terminal: OSC 52 reaches through ssh and tmux, the desktop's tools where a terminal lacks it. */
import { spawn } from 'node:child_process';
import { isDumb, type Env } from '../terminal.js';

/** What common terminals take in one sequence, in base64 characters. */
const longestOsc52 = 74_994;

/** The sequence that sets the clipboard; `undefined` where the terminal, or for a text that long, knows none. */
export function osc52(text: string, env: Env): string | undefined {
  if (isDumb(env)) return undefined;
  const content = Buffer.from(text).toString('base64');
  if (content.length > longestOsc52) return undefined;
  const sequence = `\u001b]52;c;${content}\u0007`;
  // tmux passes on what is wrapped, with each escape doubled
  return env.TMUX ? `\u001bPtmux;\u001b${sequence}\u001b\\` : sequence;
}

/** The desktop's tools that may work here, best first. */
export function clipboardTools(env: Env, platform = process.platform): string[][] {
  if (platform === 'darwin') return [['pbcopy']];
  if (platform === 'win32') return [['clip']];
  return [
    ...(env.WAYLAND_DISPLAY ? [['wl-copy']] : []),
    ...(env.DISPLAY ? [['xclip', '-selection', 'clipboard']] : []),
    ...(env.WSL_DISTRO_NAME ? [['clip.exe']] : []),
  ];
}

/** Copies by each way that may work; the names of those that took it. `write` goes to the terminal as it is. */
export async function copy(text: string, env: Env, write: (bytes: string) => void): Promise<string[]> {
  const ways: string[] = [];
  const sequence = osc52(text, env);
  if (sequence !== undefined) {
    write(sequence);
    ways.push('the terminal');
  }
  // tmux drops the sequence unless it is set up to pass it on; its own command always reaches its buffer
  if (env.TMUX && (await feed('tmux', ['load-buffer', '-w', '-'], text))) ways.push('tmux');
  for (const [tool, ...args] of clipboardTools(env)) {
    if (!(await feed(tool!, args, text))) continue;
    ways.push(tool!);
    break;
  }
  return ways;
}

/** These tools stay in the background to serve the clipboard: what matters is that they took the text. */
function feed(tool: string, args: string[], text: string): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(tool, args, { stdio: ['pipe', 'ignore', 'ignore'], timeout: 2000 });
    child.on('error', () => resolve(false));
    child.on('exit', (status) => resolve(status === 0));
    child.stdin.on('error', () => undefined);
    child.stdin.end(text);
  });
}
