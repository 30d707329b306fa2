import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import xterm from '@xterm/headless';
import type { ExecutionContext } from 'ava';
import { cleanEnv, cliFile } from './cli.js';

const keys = { 'Ctrl-C': '\u0003', 'Ctrl-D': '\u0004', Enter: '\r', Up: '\u001b[A' } as const;
const columns = 160;
const rows = 40;

/** `axllm` in a real pseudo-terminal; a terminal emulator keeps the screen. */
export async function terminal(t: ExecutionContext, args: readonly string[]) {
  const script = fileURLToPath(new URL('pseudo_terminal.py', import.meta.url));
  const command = [script, String(columns), String(rows), process.execPath, cliFile, ...args];
  const child = spawn('python3', command, { env: cleanEnv({ LANG: 'C.UTF-8' }) });
  child.stdin.on('error', () => undefined);
  const emulator = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true });
  child.stdout.on('data', (bytes: Buffer) => emulator.write(bytes));
  const status = once(child, 'close').then(([code]) => code as number);
  const [pid] = (await once(child.stderr, 'data')) as [Buffer];
  t.teardown(() => {
    child.kill('SIGKILL');
    emulator.dispose();
  });

  const screen = () => {
    const { active } = emulator.buffer;
    const line = (row: number) => active.getLine(active.baseY + row)?.translateToString(true) ?? '';
    return Array.from({ length: rows }, (_, row) => line(row))
      .join('\n')
      .trimEnd();
  };
  return {
    status,
    press: (key: keyof typeof keys) => void child.stdin.write(keys[key]),
    /** Types text and Enter. */
    say: (text: string) => void child.stdin.write(`${text}\r`),
    /** Sends SIGTERM to `axllm` itself. */
    terminate: () => process.kill(Number(pid), 'SIGTERM'),
    /** Waits until the screen looks as it should. */
    async see(wanted: RegExp, within = 30_000): Promise<string> {
      const end = Date.now() + within;
      while (!wanted.test(screen())) {
        if (Date.now() > end) throw new Error(`no ${wanted} on the screen:\n${screen()}`);
        await sleep(30);
      }
      return screen();
    },
  };
}
