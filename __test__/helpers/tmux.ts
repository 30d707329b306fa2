import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import { cleanEnv, cliFile } from './cli.js';

let count = 0;

/** `axllm` in a real terminal of 160 columns; tmux keeps the screen. */
export function terminal(t: ExecutionContext, args: readonly string[]) {
  const socket = `axllm-test-${process.pid}-${count++}`;
  const tmux = (...words: string[]) =>
    execFileSync('tmux', ['-L', socket, '-f', '/dev/null', ...words]).toString();
  const quoted = [process.execPath, cliFile, ...args].map((word) => `'${word}'`).join(' ');
  const variables = Object.entries(cleanEnv()).map(([name, value]) => `${name}='${value}'`);
  const command = `env -i ${variables.join(' ')} LANG=C.UTF-8 ${quoted}; echo "status $?"; exec sleep 600`;
  tmux('new-session', '-d', '-x', '160', '-y', '40', command);
  t.teardown(() => tmux('kill-server'));
  const screen = () => tmux('capture-pane', '-p').trimEnd();
  return {
    screen,
    /** Types text and Enter. */
    say: (text: string) => void (tmux('send-keys', '-l', text), tmux('send-keys', 'Enter')),
    /** Presses a key by tmux's name for it: `C-c`, `C-d`, `Up`. */
    press: (key: string) => void tmux('send-keys', key),
    /** Sends SIGTERM to `axllm`. */
    terminate: () => {
      const shell = tmux('display-message', '-p', '#{pane_pid}').trim();
      const [child] = readFileSync(`/proc/${shell}/task/${shell}/children`, 'utf8').split(' ');
      process.kill(Number(child), 'SIGTERM');
    },
    /** Waits until the screen looks as it should. */
    async see(wanted: RegExp, within = 60_000): Promise<string> {
      const end = Date.now() + within;
      while (!wanted.test(screen())) {
        if (Date.now() > end) throw new Error(`no ${wanted} on the screen:\n${screen()}`);
        await sleep(50);
      }
      return screen();
    },
  };
}
