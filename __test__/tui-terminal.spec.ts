import { execFile } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { cleanEnv, cliFile } from './helpers/cli.js';
import { temporary } from './helpers/folder.js';
import { helper, inTerminal, untouched } from './helpers/tui_terminal.js';

const exec = promisify(execFile);
const scripted = [process.execPath, '--import=tsx', helper('tui_scripted.ts')];
const words = 'A **bold** word, 日本語 and `code`.\n\n- one\n- two\n\n'.repeat(20);
const endless = { SCRIPT: JSON.stringify({ text: words.repeat(50), chunk: 5, everyMs: 5 }) };
const fullScreen = { alternate: true, paste: true, mouse: 'vt200', wrap: false };

/** What the line discipline is set to, by the terminal's own program. */
const lineModes = async (pid: number) => {
  const { stdout } = await exec('stty', ['-a', '-F', readlinkSync(`/proc/${pid}/fd/0`)]);
  return stdout.split('\n').slice(1).join('\n');
};

/** The shell that watches over the terminal of process `pid` of a test; it is known by its name and its terminal. */
async function guardians(tty: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const line = await readFile(`/proc/${pid}/cmdline`, 'utf8');
      if (line.includes('axllm-terminal') && readlinkSync(`/proc/${pid}/fd/1`) === tty) found.push(pid);
    } catch {
      // it has just ended
    }
  }
  return found;
}

/** A shell in the terminal, which outlives the chat: the terminal's state after it is the shell's to see. */
function inShell(t: ExecutionContext, env: Record<string, string> = {}) {
  const command = scripted.map((word) => `'${word}'`).join(' ');
  const script = `before=$(stty -g); ${command}; echo "status $?"; sleep 0.5; [ "$before" = "$(stty -g)" ] && echo same-modes; read -r line`;
  return inTerminal(t, ['/bin/bash', '-c', script], { env });
}

async function chatPid(shell: number): Promise<number> {
  const { stdout } = await exec('pgrep', ['-P', String(shell)]);
  return Number(stdout.split('\n')[0]);
}

for (const [name, end, status] of [
  ['leaving with Ctrl-D twice', undefined, 0],
  ['SIGTERM', 'SIGTERM', 1],
  ['SIGKILL', 'SIGKILL', 137],
] as const) {
  test(`${name}: the terminal is as before, and nothing is left running`, async (t) => {
    const terminal = inShell(t, endless);
    await terminal.see(/Ask something/);
    terminal.press('go\r');
    await terminal.see(/bold word/);
    t.deepEqual(terminal.modes(), fullScreen);
    const tty = readlinkSync(`/proc/${terminal.child.pid}/fd/0`);
    t.is((await guardians(tty)).length, 1);
    if (end === undefined) terminal.press('\u0004\u0004');
    else process.kill(await chatPid(terminal.child.pid), end);
    await terminal.see(new RegExp(`status ${status}`));
    await terminal.see(/same-modes/);
    t.deepEqual(terminal.modes(), untouched);
    t.deepEqual(await guardians(tty), []);
    terminal.press('\r');
    await terminal.ended();
  });
}

test('a crash leaves the terminal as before, with the error to read', async (t) => {
  const terminal = inShell(t, { CRASH: '1' });
  await terminal.see(/Ask something/);
  await terminal.see(/crash on purpose/);
  await terminal.see(/same-modes/);
  t.deepEqual(terminal.modes(), untouched);
});

test('a thousand resizes while a reply streams, down to 1x1', async (t) => {
  const terminal = inTerminal(t, scripted, { env: endless });
  await terminal.see(/Ask something/);
  terminal.press('go\r');
  await terminal.see(/bold word/);
  for (let n = 0; n < 1000; n += 1) {
    terminal.resize(1 + ((n * 37) % 150), 1 + ((n * 13) % 50));
    if (n % 10 === 0) await sleep(5);
  }
  terminal.resize(1, 1);
  await sleep(200);
  terminal.resize(120, 24);
  await terminal.see(/Esc stops/);
  terminal.press('\u001b');
  await terminal.see(/stopped/);
  terminal.press('\u0003\u0003');
  await terminal.ended();
  t.is(terminal.status(), 0);
  t.deepEqual(terminal.modes(), untouched);
});

test('suspended by Ctrl-Z in a shell with jobs, the chat comes back with fg', async (t) => {
  const folder = temporary(t);
  const terminal = inTerminal(t, ['/bin/bash', '--norc', '-i'], { env: { PS1: '$ ', HOME: folder } });
  terminal.press(`${scripted.map((word) => `'${word}'`).join(' ')}\r`);
  await terminal.see(/Ask something/);
  terminal.press('draft');
  await terminal.see(/❯ draft/);
  const running = await lineModes(terminal.child.pid);
  terminal.press('\u001a');
  await terminal.see(/Stopped/);
  // the shell's own line editor has bracketed paste on
  t.deepEqual({ ...terminal.modes(), paste: false }, untouched);
  terminal.press('fg\r');
  await terminal.see(/❯ draft/);
  t.deepEqual(terminal.modes(), fullScreen);
  t.is(await lineModes(terminal.child.pid), running);
  terminal.press('\u0003\u0003\u0003');
  await terminal.see(/left/);
  terminal.press('exit\r');
  await terminal.ended();
});

test('a closed terminal ends the chat and its watcher', async (t) => {
  const terminal = inTerminal(t, scripted, { env: endless });
  await terminal.see(/Ask something/);
  terminal.press('go\r');
  await terminal.see(/bold word/);
  const { pid } = terminal.child;
  const tty = readlinkSync(`/proc/${pid}/fd/0`);
  terminal.child.kill('SIGHUP');
  await terminal.ended();
  for (let n = 0; n < 100 && (await guardians(tty)).length > 0; n += 1) await sleep(50);
  t.deepEqual(await guardians(tty), []);
});

test('bracketed paste, Alt-Enter and a reply with the real program; tmux sees the same screen', async (t) => {
  const socket = `axllm-test-${process.pid}`;
  const env = cleanEnv({ LANG: 'C.UTF-8', SCRIPT: JSON.stringify({ text: words.slice(0, 60) }) });
  const tmux = async (...args: string[]) =>
    (await exec('tmux', ['-L', socket, '-f', '/dev/null', ...args], { env })).stdout;
  const command = scripted.map((word) => `'${word}'`).join(' ');
  await tmux('new-session', '-d', '-x', '80', '-y', '24', `SCRIPT='${env.SCRIPT}' ${command}`);
  t.teardown(() => tmux('kill-server').catch(() => undefined));
  const see = async (wanted: RegExp) => {
    for (let n = 0; n < 600; n += 1) {
      const shown = await tmux('capture-pane', '-p');
      if (wanted.test(shown)) return shown;
      await sleep(50);
    }
    throw new Error(`tmux shows no ${wanted}:\n${await tmux('capture-pane', '-p')}`);
  };
  await see(/Ask something/);
  await tmux('set-buffer', Array.from({ length: 200 }, (_, n) => `line ${n}`).join('\n'));
  await tmux('paste-buffer', '-p');
  await see(/\[pasted 200 lines\]/);
  await tmux('send-keys', 'M-Enter');
  await tmux('send-keys', '-l', 'and this');
  await see(/ {2}and this/);
  await tmux('send-keys', 'Enter');
  const shown = await see(/● A bold word, 日本語 and code/);
  t.regex(shown, /line 199/);
  t.regex(await see(/TTFT: 0\.57s/), /Tokens: 21/);
});

test('TERM=dumb falls back to the plain chat and says why', async (t) => {
  const terminal = inTerminal(t, [process.execPath, cliFile, '--rich-cli'], {
    env: { TERM: 'dumb' },
    columns: 200,
  });
  await terminal.see(/TERM=dumb has no screen; this is the plain one/);
  await terminal.see(/User:/);
  t.deepEqual(terminal.modes(), untouched);
  terminal.press('exit\r');
  await terminal.ended();
  t.is(terminal.status(), 0);
});

test('axllm --rich-cli answers with the default model, inside one screen from the start', async (t) => {
  const terminal = inTerminal(t, [process.execPath, cliFile, '--rich-cli', '--max-tokens', '12']);
  await terminal.see(/Ask something/);
  terminal.press('What is 2+2?\r');
  await terminal.see(/Tokens: \d+ \| CPU %: [\d.]+%.*F1 help/);
  terminal.press('\u001br');
  await terminal.see(/Tokens: [1-9]/);
  terminal.press('/bye\r');
  await terminal.ended();
  t.is(terminal.status(), 0);
  t.deepEqual(terminal.modes(), untouched);
});
