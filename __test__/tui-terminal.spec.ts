import { execFile } from 'node:child_process';
import {
  createReadStream,
  existsSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { packageRoot } from '../ts/package-root.js';
import { axllm, cliFile, defaultWeights } from './helpers/cli.js';
import { temporary } from './helpers/folder.js';
import { serve } from './helpers/server.js';
import { inTmux } from './helpers/tmux.js';
import { helper, inTerminal, untouched } from './helpers/tui_terminal.js';

const exec = promisify(execFile);
const scripted = helper('tui_scripted.ts');
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
  // what is said before the watcher has left the alternate screen would go with it
  const script = `before=$(stty -g); ${command}; status=$?; for n in $(seq 300); do [ "$before" = "$(stty -g)" ] && echo same-modes && break; sleep 0.1; done; echo "status $status"; read -r line`;
  return inTerminal(t, ['/bin/bash', '-c', script], { env });
}

async function chatPid(shell: number): Promise<number> {
  const { stdout } = await exec('pgrep', ['-P', String(shell)]);
  return Number(stdout.split('\n')[0]);
}

for (const [name, end, status] of [
  ['leaving with Ctrl-D twice', undefined, 0],
  ['SIGTERM', 'SIGTERM', 1],
  ['SIGHUP', 'SIGHUP', 1],
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
    await terminal.restored(t);
    for (let n = 0; n < 100 && (await guardians(tty)).length > 0; n += 1) await sleep(50);
    t.deepEqual(await guardians(tty), []);
    terminal.press('\r');
    await terminal.ended();
  });
}

for (const [what, late] of [
  ['at once', false],
  ['after the shell has come back', true],
] as const) {
  test(`SIGKILL under a shell with a line editor, the watcher ${what}: its prompt is there, and what is typed is there once`, async (t) => {
    const terminal = inTerminal(t, ['/bin/bash', '--norc', '-i'], { env: { PS1: 'prompt> ' } });
    await terminal.see(/prompt>/);
    terminal.press(`${scripted.map((word) => `'${word}'`).join(' ')}\r`);
    await terminal.see(/Ask something/);
    const [watcher] = await guardians(readlinkSync(`/proc/${terminal.child.pid}/fd/0`));
    if (late) process.kill(Number(watcher), 'SIGSTOP');
    process.kill(await chatPid(terminal.child.pid), 'SIGKILL');
    if (late) {
      await terminal.see(/prompt>/);
      process.kill(Number(watcher), 'SIGCONT');
    }
    await terminal.until('the end of the watcher', () => !existsSync(`/proc/${watcher}`));
    await terminal.see(/prompt> *\n*$/);
    terminal.press('echo typed');
    await terminal.see(/prompt> echo typed/);
    terminal.press('-$((1 + 1))\r');
    await terminal.see(/typed-2/);
    t.is(terminal.lines().filter((line) => line.includes('echo typed')).length, 1);
    terminal.press('exit\r');
    await terminal.ended();
  });
}

for (const kind of ['rejection', 'exception']) {
  test(`a crash by an uncaught ${kind} leaves the terminal as before, with the error to read`, async (t) => {
    const terminal = inShell(t, { CRASH: kind });
    await terminal.see(/Ask something/);
    process.kill(await chatPid(terminal.child.pid), 'SIGUSR2');
    await terminal.see(/crash on purpose/);
    await terminal.see(/same-modes/);
    await terminal.restored(t);
  });
}

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
  await terminal.restored(t);
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
  t.is((await guardians(tty)).length, 1);
  terminal.hangUp();
  await terminal.until('the end of the chat', () => !existsSync(`/proc/${pid}/fd/0`));
  for (let n = 0; n < 100 && (await guardians(tty)).length > 0; n += 1) await sleep(50);
  t.deepEqual(await guardians(tty), []);
});

test('paste, Alt-Enter, a reply and a copy in tmux, which keeps what was copied', async (t) => {
  const script = JSON.stringify({ text: `${words.slice(0, 60)}\n\n\`\`\`js\nlet a = 1;\n\`\`\`` });
  const tmux = await inTmux(t, scripted, { env: { SCRIPT: script } });
  await tmux.see(/Ask something/);
  await tmux.tmux('set-buffer', Array.from({ length: 200 }, (_, n) => `line ${n}`).join('\n'));
  await tmux.tmux('paste-buffer', '-p');
  await tmux.see(/\[pasted 200 lines\]/);
  await tmux.press('M-Enter');
  await tmux.type('and this');
  await tmux.see(/ {2}and this/);
  await tmux.press('Enter');
  await tmux.see(/● A bold word, 日本語 and code/);
  t.regex(await tmux.see(/TTFT: 0\.57s/), /Tokens: 21/);
  await tmux.press('C-Home');
  await tmux.see(/❯ line 0/);
  await tmux.press('C-End');
  await tmux.press('M-k');
  await tmux.see(/Copied the last code block \(by the terminal and tmux\)/);
  t.is(await tmux.tmux('show-buffer'), 'let a = 1;');
  await tmux.press('C-d', 'C-d');
});

test('TERM=dumb falls back to the plain chat and says why', async (t) => {
  const terminal = inTerminal(t, [process.execPath, cliFile, '--rich-cli'], {
    env: { TERM: 'dumb' },
    columns: 200,
  });
  await terminal.see(/TERM=dumb has no screen; this is the plain one/);
  await terminal.see(/User:/);
  t.is(terminal.modes().alternate, false);
  terminal.press('exit\r');
  await terminal.ended();
  t.is(terminal.status(), 0);
});

test('without a terminal on both sides the plain way answers, and says why', async (t) => {
  const { status, stdout, stderr } = await axllm(['--rich-cli', '--max-tokens', '2'], { input: 'Hi' });
  t.is(status, 0);
  t.regex(stderr, /No full-screen chat: it needs a terminal for input and output; this is the plain one/);
  // oxlint-disable-next-line no-control-regex -- none of them is the point
  t.notRegex(stdout + stderr, /\u001b/);
});

test('axllm --rich-cli answers with the default model, inside one screen from the start', async (t) => {
  const terminal = inTerminal(t, [process.execPath, cliFile, '--rich-cli', '--max-tokens', '12']);
  await terminal.see(/Ask something/);
  terminal.press('What is 2+2?\r');
  await terminal.see(/^(?![^]*Esc stops)[^]*Tokens: [1-9]\d* \| CPU %: [\d.]+%.*F1 help/);
  terminal.press('\u001br');
  await terminal.see(/Tokens: [1-9]/);
  terminal.press('/bye\r');
  await terminal.ended();
  t.is(terminal.status(), 0);
  await terminal.restored(t);
  t.false(existsSync(`${terminal.home}/data`), 'what is not asked for is not saved');
});

test('on a card the core temperature shows while the reply runs; SIGTERM then ends with 143', async (t) => {
  const args = ['-d', 'sim', '--rich-cli', '--max-tokens', '4000'];
  const terminal = inTerminal(t, [process.execPath, cliFile, ...args], { columns: 120 });
  await terminal.see(/Ask something/);
  t.regex(terminal.lines()[0]!, /metis-sim:0 · transformers-aipu · temperature 0/);
  terminal.press('Write a long story about the sea.\r');
  await terminal.see(/Esc stops[^]*TTFT: [\d.]+s \| .*Core Temp: 34\.0°C/);
  process.kill(terminal.child.pid, 'SIGTERM');
  await terminal.ended();
  t.is(terminal.status(), 143);
  await terminal.restored(t);
});

test('a download shows how far it is inside the screen, then the model loads and answers what was typed before', async (t) => {
  let goOn!: () => void;
  const seen = new Promise<void>((resolve) => (goOn = resolve));
  const size = statSync(defaultWeights).size;
  const part = Math.floor(size * 0.45);
  const { url } = await serve(t, (_, response) => {
    response.writeHead(200, { 'content-length': size });
    createReadStream(defaultWeights, { end: part - 1 })
      .on('end', () => void seen.then(() => createReadStream(defaultWeights, { start: part }).pipe(response)))
      .pipe(response, { end: false });
  });
  const terminal = inTerminal(
    t,
    [process.execPath, cliFile, 'card.yaml', '--rich-cli', '--max-tokens', '4'],
    {
      env: { AXELERA_BUILD_ROOT: temporary(t) },
    },
  );
  const card = readFileSync(join(packageRoot, 'models', 'smollm2-135m-instruct.yaml'), 'utf8');
  const sources = card.indexOf('          sources:');
  writeFileSync(
    `${terminal.home}/card.yaml`,
    `${card.slice(0, sources)}          sources:\n            - url: ${url}/weights.gguf\n`,
  );
  await terminal.see(/[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] downloading SmolLM2.*\d\.\d s[^]*█░+ 4\d %/);
  terminal.press('Hi\r');
  await terminal.see(/Your message is sent when the model is ready/);
  goOn();
  await terminal.see(/❯ Hi[^]*TTFT: .*Tokens: [1-9]/);
  terminal.press('\u0004\u0004');
  await terminal.ended();
  t.is(terminal.status(), 0);
});

test('a model that cannot be loaded leaves the screen, with the error to read', async (t) => {
  const terminal = inTerminal(t, [process.execPath, cliFile, 'missing.gguf', '--rich-cli'], { columns: 160 });
  await terminal.ended();
  t.is(terminal.status(), 1);
  await terminal.see(/ERROR: .*missing\.gguf/); // what was written last may still be on its way
  await terminal.restored(t);
});

test('the mouse: the wheel scrolls; off, the terminal has it; on again', async (t) => {
  const terminal = inTerminal(t, scripted, { env: { TURNS: '40' } });
  await terminal.see(/Answer 40, second line/);
  terminal.press('\u001b[<64;3;4M'.repeat(5));
  await terminal.see(/↓ more \(Ctrl-End\)/);
  terminal.press('\u001b[<65;3;4M'.repeat(6));
  await terminal.see(/Answer 40, second line/);
  terminal.press('\u001b[17~');
  await terminal.see(/mouse off: the terminal selects text/);
  t.deepEqual(terminal.modes(), { ...fullScreen, mouse: 'none' });
  terminal.press('/mouse\r');
  await terminal.see(/mouse on/);
  t.deepEqual(terminal.modes(), fullScreen);
});

test('the theme follows the ground that the terminal names, and is not asked for where COLORFGBG says it', async (t) => {
  const terminal = inTerminal(t, scripted, { env: { TURNS: '1' } });
  await terminal.see(/Question 1/);
  t.true(terminal.bytes().includes('\u001b]11;?\u0007'));
  const dark = terminal.at('❯ Question 1')!.getBgColor();
  terminal.press('\u001b]11;rgb:fafa/fafa/fafa\u001b\\');
  await terminal.until('the light theme', () => terminal.at('❯ Question 1')!.getBgColor() !== dark);
  terminal.press('\u001b]11;rgb:0000/0000/0000\u0007x');
  await terminal.until('the dark theme', () => terminal.at('❯ Question 1')!.getBgColor() === dark);
  await terminal.see(/❯ x$/m);
  const told = inTerminal(t, scripted, { env: { COLORFGBG: '0;15' } });
  await told.see(/Ask something/);
  t.false(told.bytes().includes(']11;'));
});

test('Ctrl-G: the message in $EDITOR, which has the terminal meanwhile; a failing one changes nothing', async (t) => {
  const terminal = inTerminal(t, scripted, {
    env: {
      EDITOR: `sh -c 'stty -a | grep -o "[-]*icanon" > modes; if grep -q fail "$0"; then exit 3; fi; printf " and more" >> "$0"'`,
    },
  });
  await terminal.see(/Ask something/);
  terminal.press('draft\u0007');
  await terminal.see(/❯ draft and more/);
  t.is(readFileSync(`${terminal.home}/modes`, 'utf8').trim(), 'icanon');
  t.deepEqual(terminal.modes(), fullScreen);
  terminal.press('\u0015fail\u0007');
  await terminal.see(/the editor failed: nothing has changed/);
  await terminal.see(/❯ fail/);
});

test('copying: OSC 52 as it is, in tmux wrapped', async (t) => {
  const code = Buffer.from('Answer 2, first line.\n\nAnswer 2, second line.').toString('base64');
  const terminal = inTerminal(t, scripted, { env: { TURNS: '2' } });
  await terminal.see(/Question 2/);
  terminal.press('\u001bc');
  await terminal.see(/Copied the last reply \(by the terminal\)/);
  t.true(terminal.bytes().includes(`\u001b]52;c;${code}\u0007`));
  const wrapped = inTerminal(t, scripted, { env: { TURNS: '2', TMUX: '/nowhere,1,0' } });
  await wrapped.see(/Question 2/);
  wrapped.press('\u001bc');
  await wrapped.see(/Copied the last reply/);
  t.true(wrapped.bytes().includes(`\u001bPtmux;\u001b\u001b]52;c;${code}\u0007\u001b\\`));
});

test('save, load and export: private files, only when asked for; prompts come back at the next start', async (t) => {
  const terminal = inTerminal(t, scripted, { env: { TURNS: '2', SAVE: '1' }, columns: 140 });
  await terminal.see(/Question 2/);
  terminal.press('/save a talk\r');
  await terminal.see(/Saved as .*a talk\.json/);
  const folder = `${terminal.home}/data/axllm/conversations`;
  t.deepEqual(readdirSync(folder), ['a talk.json']);
  t.is(statSync(`${folder}/a talk.json`).mode & 0o777, 0o600);
  terminal.press('/save talk.md\r');
  await terminal.see(/Saved as .*talk\.md/);
  t.regex(
    readFileSync(`${terminal.home}/talk.md`, 'utf8'),
    /## User\n\nQuestion 1\?\n\n## Assistant\n\nAnswer 1, first line/,
  );
  terminal.press('/new\r');
  await terminal.see(/Ask something/);
  terminal.press('/load a talk\r');
  await terminal.see(/Answer 2, second line/);
  await terminal.see(/Loaded a talk: 2 turns/);
  terminal.press('\u0004\u0004');
  await terminal.see(/left/);
  const history = `${terminal.home}/state/axllm/history`;
  t.is(statSync(history).mode & 0o777, 0o600);
  const again = inTerminal(t, scripted, { env: { SAVE: '1', XDG_STATE_HOME: `${terminal.home}/state` } });
  await again.see(/Ask something/);
  await again.until('an earlier prompt', () => {
    if (again.lines().includes('❯')) again.press('\u001b[A');
    return again.lines().some((line) => /^❯ \/(?:load|new|save)/.test(line));
  });
});
