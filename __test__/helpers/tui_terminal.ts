/** A program in a real pseudo-terminal, with a terminal emulator that keeps its screen. */
import pty from '@lydell/node-pty';
import xterm from '@xterm/headless';
import type { ExecutionContext } from 'ava';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { cleanEnv } from './cli.js';
import { temporary } from './folder.js';

const tsx = import.meta.resolve('tsx');

/** The command that runs a TypeScript file of this folder, from any folder. */
export const helper = (name: string, ...options: string[]): string[] => [
  process.execPath,
  ...options,
  `--import=${tsx}`,
  fileURLToPath(new URL(name, import.meta.url)),
];

export function inTerminal(
  t: ExecutionContext,
  command: readonly string[],
  {
    columns = 80,
    rows = 24,
    env = {},
  }: { columns?: number; rows?: number; env?: Record<string, string> } = {},
) {
  const emulator = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true });
  const [file, ...args] = command;
  const home = temporary(t);
  const folders = { HOME: home, XDG_STATE_HOME: `${home}/state`, XDG_DATA_HOME: `${home}/data` };
  const child = pty.spawn(file!, args, {
    cols: columns,
    rows,
    cwd: home,
    env: cleanEnv({ LANG: 'C.UTF-8', ...folders, ...env }),
  });
  let title = '';
  let bytes = '';
  let status: number | undefined;
  emulator.onTitleChange((text) => (title = text));
  child.onData((data) => {
    bytes += data;
    emulator.write(data);
  });
  child.onExit(({ exitCode }) => (status = exitCode));
  t.teardown(() => {
    if (status === undefined) child.kill('SIGKILL');
    emulator.dispose();
  });
  const lines = () => {
    const { active } = emulator.buffer;
    return Array.from({ length: emulator.rows }, (_, row) =>
      (active.getLine(active.baseY + row)?.translateToString(true) ?? '').trimEnd(),
    );
  };
  const until = async (what: string, done: () => boolean) => {
    for (const end = Date.now() + 60_000; !done(); await sleep(20)) {
      if (Date.now() > end) throw new Error(`${what} did not come:\n${lines().join('\n')}`);
    }
  };
  return {
    child,
    home,
    lines,
    /** The cell where `text` begins. */
    at(text: string) {
      const row = lines().findIndex((line) => line.includes(text));
      const { active } = emulator.buffer;
      return active.getLine(active.baseY + row)?.getCell(lines()[row]!.indexOf(text));
    },
    /** Closes the window: the program gets SIGHUP and a terminal that is gone. */
    hangUp: () => (child as unknown as { destroy(): void }).destroy(),
    press: (text: string) => child.write(text),
    bytes: () => bytes,
    status: () => status,
    resize(width: number, height: number) {
      child.resize(width, height);
      emulator.resize(width, height);
    },
    title: () => title,
    titled: (wanted: string) => until(`title ${wanted}`, () => title === wanted),
    see: (wanted: RegExp) => until(String(wanted), () => wanted.test(lines().join('\n'))),
    until,
    ended: () => until('the end', () => status !== undefined),
    /** Waits until the terminal is as it was before: what was written last may still be on its way. */
    async restored(test: ExecutionContext) {
      await until('the terminal as before', () => isDeepStrictEqual(modes(), untouched));
      test.deepEqual(modes(), untouched);
    },
    modes,
  };
  /** What an application may have left on. */
  function modes() {
    const { modes: set, buffer } = emulator;
    return {
      alternate: buffer.active.type === 'alternate',
      paste: set.bracketedPasteMode,
      mouse: set.mouseTrackingMode,
      wrap: set.wraparoundMode,
    };
  }
}

export const untouched = { alternate: false, paste: false, mouse: 'none', wrap: true };
