/** A program in tmux: a terminal that somebody else wrote, as a second witness. */
import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { ExecutionContext } from 'ava';
import { cleanEnv } from './cli.js';
import { temporary } from './folder.js';

const exec = promisify(execFile);
let sockets = 0;

export async function inTmux(
  t: ExecutionContext,
  command: readonly string[],
  {
    columns = 80,
    rows = 24,
    env = {},
  }: { columns?: number; rows?: number; env?: Record<string, string> } = {},
) {
  const socket = `axllm-test-${process.pid}-${sockets++}`;
  const home = temporary(t);
  const folders = { HOME: home, XDG_STATE_HOME: `${home}/state`, XDG_DATA_HOME: `${home}/data` };
  const tmux = async (...args: string[]) =>
    (
      await exec('tmux', ['-L', socket, '-f', '/dev/null', ...args], {
        env: cleanEnv({ LANG: 'C.UTF-8', ...folders, ...env }),
      })
    ).stdout;
  const program = command.map((word) => `'${word}'`).join(' ');
  await tmux('new-session', '-d', '-x', String(columns), '-y', String(rows), program);
  await tmux('set', '-g', 'status', 'off');
  t.teardown(() => tmux('kill-server').catch(() => undefined));
  const screen = () => tmux('capture-pane', '-p');
  const until = async (what: string, done: () => Promise<boolean>) => {
    for (const end = Date.now() + 60_000; !(await done()); await sleep(50)) {
      if (Date.now() > end) throw new Error(`tmux shows no ${what}:\n${await screen()}`);
    }
  };
  return {
    screen,
    /** Any other command of tmux. */
    tmux,
    /** Keys by tmux's names. */
    press: (...keys: string[]) => tmux('send-keys', ...keys),
    type: (text: string) => tmux('send-keys', '-l', text),
    titled: (wanted: string) =>
      until(
        `title ${wanted}`,
        async () => (await tmux('display-message', '-p', '#{pane_title}')).trim() === wanted,
      ),
    async see(wanted: RegExp): Promise<string> {
      await until(String(wanted), async () => wanted.test(await screen()));
      return screen();
    },
  };
}
