import { spawn } from '@lydell/node-pty';
import { setTimeout as sleep } from 'node:timers/promises';
import xterm from '@xterm/headless';
import type { ExecutionContext } from 'ava';
import { cleanEnv, cliFile } from './cli.js';
import { temporary } from './folder.js';

export const keys = {
  'Ctrl-A': '\u0001',
  'Ctrl-C': '\u0003',
  'Ctrl-D': '\u0004',
  'Ctrl-E': '\u0005',
  'Ctrl-G': '\u0007',
  'Ctrl-J': '\n',
  'Ctrl-K': '\u000b',
  'Ctrl-L': '\u000c',
  'Ctrl-R': '\u0012',
  'Ctrl-U': '\u0015',
  'Ctrl-W': '\u0017',
  'Ctrl-Z': '\u001a',
  'Alt-Enter': '\u001b\r',
  Enter: '\r',
  Tab: '\t',
  Up: '\u001b[A',
  Down: '\u001b[B',
  Left: '\u001b[D',
} as const;

interface Options {
  columns?: number;
  rows?: number;
  env?: Record<string, string>;
  /** What runs, `axllm` unless said otherwise. */
  command?: readonly [string, ...string[]];
}

/** `axllm` in a real pseudo-terminal, with folders of its own; a terminal emulator keeps the screen. */
export async function terminal(t: ExecutionContext, args: readonly string[], options: Options = {}) {
  const { columns = 160, rows = 40, env = {}, command = [process.execPath, cliFile] } = options;
  const home = temporary(t);
  const folders = { HOME: home, XDG_STATE_HOME: `${home}/state`, XDG_DATA_HOME: `${home}/data` };
  const [file, ...words] = command;
  const child = spawn(file, [...words, ...args], {
    cols: columns,
    rows,
    // what it sets TERM to
    name: env.TERM ?? 'xterm-256color',
    cwd: home,
    env: cleanEnv({ LANG: 'C.UTF-8', ...folders, ...env }),
  });
  const emulator = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true, scrollback: 10_000 });
  let bytes = '';
  child.onData((data) => {
    bytes += data;
    emulator.write(data);
  });
  let ended = false;
  const status = new Promise<number>((resolve) => {
    child.onExit(({ exitCode, signal }) => {
      ended = true;
      resolve(signal ? 128 + signal : exitCode);
    });
  });
  t.teardown(() => {
    if (!ended) child.kill('SIGKILL');
    emulator.dispose();
  });

  const screen = () => {
    const { active } = emulator.buffer;
    const line = (row: number) => active.getLine(active.baseY + row)?.translateToString(true) ?? '';
    return Array.from({ length: emulator.rows }, (_, row) => line(row))
      .join('\n')
      .trimEnd();
  };
  const type = (text: string) => child.write(text);
  /** Waits until `holds`, which soon does: the time is a guard against hanging. */
  const until = async (holds: () => boolean, within = 60_000) => {
    const end = Date.now() + within;
    while (!holds()) {
      if (Date.now() > end) throw new Error(`waited in vain; on the screen:\n${screen()}`);
      await sleep(30);
    }
  };
  return {
    status,
    pid: child.pid,
    home,
    screen,
    type,
    until,
    /** Everything that was written, as it was. */
    bytes: () => bytes,
    /** What the terminal has been told to do and not told to stop. */
    modes: () => emulator.modes,
    press: (...names: (keyof typeof keys)[]) => names.forEach((name) => type(keys[name])),
    /** Types text and Enter. */
    say: (text: string) => type(`${text}\r`),
    /** A paste as a terminal with bracketed paste sends it. */
    paste: (text: string) => type(`\u001b[200~${text.replaceAll('\n', '\r')}\u001b[201~`),
    resize(newColumns: number, newRows: number) {
      emulator.resize(newColumns, newRows);
      child.resize(newColumns, newRows);
    },
    kill: (signal: NodeJS.Signals) => process.kill(child.pid, signal),
    /** Sends SIGTERM to `axllm` itself. */
    terminate: () => process.kill(child.pid, 'SIGTERM'),
    /** Closes the window: the program gets SIGHUP and a terminal that is gone. */
    hangUp: () => (child as unknown as { destroy(): void }).destroy(),
    /** Waits until the screen looks as it should. */
    async see(wanted: RegExp): Promise<string> {
      await until(() => wanted.test(screen())).catch((error: Error) => {
        throw new Error(`no ${wanted}: ${error.message}`);
      });
      return screen();
    },
  };
}
