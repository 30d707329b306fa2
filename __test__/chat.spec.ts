/** The plain chat, in a real terminal. */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import anyTest from 'ava';
import { cliFile } from './helpers/cli.js';
import { terminal } from './helpers/terminal.js';

const test = anyTest.serial;
const short = ['--pipeline', 'transformers', '--max-tokens', '12'];
const idle = /User: *$/;
type Terminal = Awaited<ReturnType<typeof terminal>>;

async function leaves(t: { is(a: unknown, b: unknown): void }, chat: Terminal) {
  await chat.see(idle);
  chat.say('exit');
  await chat.see(/Goodbye!/);
  t.is(await chat.status, 0);
  await chat.until(() => !chat.modes().bracketedPasteMode);
}

/** Says something and waits for the reply. */
async function ask(chat: Terminal, text: string) {
  await chat.see(idle);
  chat.say(text);
  await chat.see(new RegExp(`User: ${text}\nAssistant: \\S[^]*\nUser: *$`));
}

test('a chat: welcome, two turns, exit', async (t) => {
  const chat = await terminal(t, short);
  await chat.see(/INFO {4}: Welcome to LLM CLI\. Type 'exit' to quit\.\n(.*\n)*User: *$/);
  t.true(chat.bytes().includes('\u001b[36mUser: '), 'cyan');
  chat.say('Hello');
  const first = await chat.see(/User: Hello\nAssistant: \S[^]*\nUser: *$/);
  t.true(chat.bytes().includes('\u001b[32mAssistant: '), 'green');
  chat.say('And again');
  t.true((await chat.see(/User: And again\nAssistant: \S[^]*\nUser: *$/)).length > first.length);
  await leaves(t, chat);
});

for (const [name, leave] of [
  ['quit', (chat: Terminal) => chat.say('quit')],
  ['/bye', (chat: Terminal) => chat.say('/bye')],
  ['Ctrl-D', (chat: Terminal) => chat.press('Ctrl-D')],
  ['Ctrl-C', (chat: Terminal) => chat.press('Ctrl-C')],
  ['Ctrl-C twice, where something is typed', (chat: Terminal) => chat.press('Left', 'Ctrl-C', 'Ctrl-C')],
] as const) {
  test(`${name} at the prompt leaves`, async (t) => {
    const chat = await terminal(t, short);
    await chat.see(idle);
    if (name.includes('typed')) chat.type('something');
    leave(chat);
    await chat.see(/INFO {4}: Goodbye!/);
    t.is(await chat.status, 0);
  });
}

test('Ctrl-C while answering stops the reply and keeps what was said', async (t) => {
  const chat = await terminal(t, ['-d', 'sim']);
  await chat.see(idle);
  chat.say('Write a very long story about the sea.');
  await chat.see(/Assistant: \S+ \S+/);
  chat.press('Ctrl-C');
  await chat.see(/Assistant: [^]*\nUser: *$/);
  chat.say('/history');
  await chat.see(/ 1 {2}Write a very long story/);
  await leaves(t, chat);
});

test('Ctrl-C at random moments: the chat always goes on', async (t) => {
  const chat = await terminal(t, ['--pipeline', 'transformers'], { rows: 60 });
  await chat.see(idle);
  for (let round = 1; round <= 25; round++) {
    chat.say('Write a very long story about the sea.');
    await chat.see(/sea\.\nAssistant:/);
    await sleep(Math.random() * 200);
    chat.press('Ctrl-C');
    await chat.see(/\nUser: *$/);
    chat.say('/clear');
    await chat.see(/^User: *$/);
  }
  await leaves(t, chat);
});

test('clear wipes the screen and the history', async (t) => {
  const chat = await terminal(t, [...short, '--show-stats']);
  await ask(chat, 'Hello');
  t.regex(chat.screen(), /Tokens: \d+\nUser: *$/);
  chat.say('clear');
  await chat.see(/^User: *$/);
  chat.say('/history');
  await chat.see(/Nothing has been said yet/);
  await leaves(t, chat);
});

test('what was typed comes back, in the next chat too, from a private file', async (t) => {
  const chat = await terminal(t, short);
  await ask(chat, 'Hello');
  chat.press('Up');
  await chat.see(/User: Hello$/);
  chat.press('Ctrl-U');
  await leaves(t, chat);
  const file = join(chat.home, 'state', 'axllm', 'history');
  t.is(statSync(file).mode & 0o777, 0o600);
  t.is(readFileSync(file, 'utf8'), '"Hello"\n"exit"\n');
  const again = await terminal(t, short, { env: { XDG_STATE_HOME: join(chat.home, 'state') } });
  await again.see(idle);
  again.press('Ctrl-R');
  again.type('Hel');
  await again.see(/\(search\) Hel: Hello$/);
  again.press('Ctrl-E', 'Ctrl-U');
  await leaves(t, again);
});

test('--no-save leaves no trace', async (t) => {
  const chat = await terminal(t, [...short, '--no-save']);
  await ask(chat, 'Hello');
  await leaves(t, chat);
  t.false(existsSync(join(chat.home, 'state')));
});

const manyLines = Array.from({ length: 200 }, (_, at) => `line ${at + 1}`).join('\n');

test('200 pasted lines are one message, with and without paste marks', async (t) => {
  const chat = await terminal(t, ['--pipeline', 'transformers', '--max-tokens', '3']);
  await chat.see(idle);
  t.true(chat.modes().bracketedPasteMode);
  chat.paste(manyLines);
  await chat.see(/line 200$/);
  chat.press('Enter');
  await chat.see(/User: line 1\nline 2\n[^]*\[… \d+ more rows\]\nAssistant: [^]*\nUser: *$/);
  chat.say('/history');
  await chat.see(/\n {2}1 {2}line 1 line 2 [^\n]*\nUser: *$/);
  chat.say('/clear');
  await chat.see(/^User: *$/);
  chat.type(`${manyLines.replaceAll('\n', '\r')}\r`);
  await chat.see(/more rows\]\nAssistant: [^]*\nUser: *$/);
  chat.say('/history');
  await chat.see(/\n {2}1 {2}line 1 line 2 [^\n]*\nUser: *$/);
  await leaves(t, chat);
});

test('turns that no longer fit are announced when they drop out, and once', async (t) => {
  const chat = await terminal(t, ['-d', 'sim', '--max-tokens', '3']);
  await chat.see(idle);
  writeFileSync(join(chat.home, 'long.txt'), 'the sea is wide and blue. '.repeat(60));
  for (let round = 1; round <= 3; round++) {
    chat.say('/read long.txt');
    await chat.see(new RegExp(`(long\\.txt\nAssistant: [^]*){${round}}User: *$`));
  }
  chat.say('Hi');
  const screen = await chat.see(/User: Hi\nAssistant: [^]*\nUser: *$/);
  const announced = [...screen.matchAll(/The context is full: the model no longer sees (\d) earlier turn/g)];
  t.deepEqual(
    announced.map(([, count]) => count),
    ['1'],
  );
  await leaves(t, chat);
});

test('every slash command works in the terminal', async (t) => {
  const chat = await terminal(t, short, { rows: 50 });
  await ask(chat, 'Hello');
  for (const [typed, wanted] of [
    ['/help', /\/copy \[N\|code\]/],
    ['/?', /\/regen \/retry/],
    ['/set temp 0.5', /temperature = 0\.5/],
    ['/set temp hot', /ERROR: temperature is a number/],
    ['/system be brief', /System prompt changed/],
    ['/show', /pipeline +transformers/],
    ['/model', /context +\d+ tokens/],
    ['/stats', /Tokens\/sec: /],
    ['/context', /history +\d+ tokens/],
    ['/devices', /ERROR: .*|\d: /],
    ['/history', / 1 {2}Hello/],
    ['/regen', /\/regen\nAssistant: \S/],
    ['/copy', /Copied the last reply \(by the terminal\)/],
    ['/copy code', /ERROR: The last reply holds no code block/],
    ['/save talk', /Saved as .*talk\.json/],
    ['/save talk.md', /Saved as .*talk\.md/],
    ['/undo', /Taken back: Hello/],
    ['/load talk', /Loaded talk: 2 turns/],
    ['/read none.txt', /ERROR: ENOENT/],
    ['/new', /A new conversation begins/],
    ['/cler', /hint: did you mean \/clear/],
  ] as const) {
    await chat.see(idle);
    chat.press('Ctrl-L');
    await chat.see(/^User: *$/);
    chat.say(typed);
    await chat.see(new RegExp(`${wanted.source}[^]*\nUser: *$`));
    t.pass();
  }
  t.true(chat.bytes().includes('\u001b]52;c;'), 'OSC 52');
  t.is(statSync(join(chat.home, 'data', 'axllm', 'conversations', 'talk.json')).mode & 0o777, 0o600);
  chat.say('/load talk');
  await chat.see(/Loaded/);
  chat.say('/edit');
  await chat.see(/User: Hello$/);
  chat.say(' there');
  await chat.see(/User: Hello there\nAssistant: \S[^]*\nUser: *$/);
  chat.say('/history');
  await chat.see(/ 1 {2}Hello there \(\+2 versions\)/);
  chat.type('/und');
  chat.press('Tab');
  await chat.see(/User: \/undo *$/);
  chat.press('Ctrl-U');
  await leaves(t, chat);
});

test('many lines: """, Ctrl-J, Alt-Enter, and an editor of one’s own', async (t) => {
  const chat = await terminal(t, short, { env: { EDITOR: 'echo from the editor >' } });
  await chat.see(idle);
  chat.type('"""');
  for (const line of ['', 'one', 'two"""']) {
    chat.type(line);
    chat.press('Enter');
    await sleep(60);
  }
  await chat.see(/User: """\none\ntwo"""\nAssistant: \S[^]*\nUser: *$/);
  chat.type('a');
  chat.press('Ctrl-J');
  chat.type('b');
  chat.press('Alt-Enter');
  await chat.see(/User: a\nb$/);
  chat.press('Ctrl-C', 'Ctrl-G');
  await chat.see(/User: from the editor$/);
  chat.press('Ctrl-U');
  await leaves(t, chat);
});

test('wide characters, hostile text and resizing leave the input whole', async (t) => {
  const chat = await terminal(t, short, { columns: 40, rows: 12 });
  await chat.see(idle);
  chat.paste('日本語🐢\u001b[31mred\u202e');
  await chat.see(/User: 日本語🐢\^\[\[31mred<U\+202E>$/);
  const text = `${'word '.repeat(20)}end`;
  chat.press('Ctrl-U');
  chat.type(text);
  await chat.see(/end$/);
  for (const columns of [30, 21, 70, 33, 40]) {
    chat.resize(columns, 12);
    await sleep(150);
    t.is(chat.screen().match(/User: /g)?.length, 1, `${columns} columns:\n${chat.screen()}`);
    t.is(
      chat
        .screen()
        .replaceAll('\n', '')
        .replace(/^[^]*User: /, ''),
      text,
    );
  }
  for (const [columns, rows] of [
    [13, 4],
    [1, 1],
    [40, 12],
  ] as const) {
    chat.resize(columns, rows);
    await sleep(100);
  }
  chat.press('Ctrl-L');
  await chat.see(/^User: (word[ \n]+){20}end$/);
  chat.press('Ctrl-U');
  await leaves(t, chat);
});

test('a stopped job goes on where it was, and the shell has its terminal meanwhile', async (t) => {
  const shell = await terminal(t, ['--norc', '-i'], { command: ['bash'], env: { PS1: 'sh> ' } });
  await shell.see(/sh> *$/);
  shell.say(`${process.execPath} ${cliFile} ${short.join(' ')}`);
  await shell.see(idle);
  shell.type('draft');
  await shell.see(/User: draft$/);
  shell.press('Ctrl-Z');
  await shell.see(/Stopped[^]*sh> *$/);
  shell.say('stty -a | grep -o " icanon"; echo "[$?]"');
  await shell.see(/\n icanon\n\[0\]/);
  shell.say('fg');
  await shell.see(/fg[^]*User: draft$/);
  t.true(shell.modes().bracketedPasteMode);
  shell.press('Ctrl-C', 'Ctrl-D');
  await shell.see(/Goodbye!\n[^]*sh> *$/);
  shell.say('stty -a | grep -o " echo "; echo "<$?>"');
  await shell.see(/\n echo\s*\n<0>/);
});

for (const [signal, status] of [
  ['SIGTERM', 143],
  ['SIGINT', 0],
] as const) {
  test(`${signal} at the prompt: status ${status}, and the terminal in order`, async (t) => {
    const chat = await terminal(t, short);
    await chat.see(idle);
    chat.kill(signal);
    t.is(await chat.status, status);
    await chat.until(() => !chat.modes().bracketedPasteMode);
  });
}

for (const when of ['at the prompt', 'while answering'] as const) {
  test(`the terminal closes ${when}: no process is left`, async (t) => {
    const chat = await terminal(t, ['--pipeline', 'transformers']);
    await chat.see(idle);
    if (when === 'while answering') {
      chat.say('Write a very long story about the sea.');
      await chat.see(/Assistant: \S+/);
    }
    chat.hangUp();
    const alive = () =>
      existsSync(`/proc/${chat.pid}`) &&
      !/^State:\s+Z/m.test(readFileSync(`/proc/${chat.pid}/status`, 'utf8'));
    await chat.until(() => !alive());
    t.pass();
  });
}

test('a terminal that is dumb gets no escape sequence, and the chat works', async (t) => {
  const chat = await terminal(t, [...short, '--rich-cli'], { env: { TERM: 'dumb' } });
  await chat.see(/No full-screen chat: [^]*User: *$/);
  chat.say('Hello');
  await chat.see(/User: Hello\nAssistant: \S[^]*\nUser: *$/);
  chat.say('"""');
  chat.say('one');
  chat.say('two"""');
  await chat.see(/two"""\nAssistant: \S[^]*\nUser: *$/);
  chat.say('/history');
  await chat.see(/ 2 {2}one two\nUser: *$/);
  chat.say('/edit 1');
  await chat.see(/\/edit 1\nHello\nUser: *$/);
  chat.say('Hello there');
  await chat.see(/User: Hello there\nAssistant: \S[^]*\nUser: *$/);
  chat.say('clear');
  await chat.see(/clear\nUser: *$/);
  chat.press('Ctrl-C');
  await chat.see(/Goodbye!/);
  t.is(await chat.status, 0);
  t.false(chat.bytes().includes('\u001b'));
});

test('a dumb terminal: Ctrl-C stops the reply, Ctrl-D leaves', async (t) => {
  const chat = await terminal(t, ['-d', 'sim'], { env: { TERM: 'dumb', AXSIM_TOKENS_PER_SECOND: '8' } });
  await chat.see(idle);
  chat.say('Write a very long story about the sea.');
  await chat.see(/Assistant: \S+ \S+/);
  chat.press('Ctrl-C');
  await chat.see(/Assistant: [^]*\nUser: *$/);
  chat.press('Ctrl-D');
  await chat.see(/Goodbye!/);
  t.is(await chat.status, 0);
});

test('a storm of resizing while a reply comes and while one types', async (t) => {
  const chat = await terminal(t, ['--pipeline', 'transformers', '-n', '60'], { columns: 60, rows: 20 });
  await chat.see(idle);
  chat.say('Write a very long story about the sea.');
  await chat.see(/Assistant: \S+/);
  const storm = async () => {
    for (let round = 0; round < 300; round++) {
      chat.resize(1 + ((round * 37) % 90), 1 + ((round * 17) % 30));
      if (round % 20 === 0) await sleep(5);
    }
    chat.resize(60, 20);
  };
  await storm();
  await chat.see(/User: *$/);
  chat.type('draft');
  await storm();
  await sleep(200);
  chat.press('Ctrl-L');
  await chat.see(/^User: draft$/);
  chat.press('Ctrl-C');
  await leaves(t, chat);
});

for (const [what, args, env] of [
  ['NO_COLOR', [], { NO_COLOR: '1' }],
  ['--no-color', ['--no-color'], { FORCE_COLOR: '1' }],
] as const) {
  test(`no colour with ${what}`, async (t) => {
    const chat = await terminal(t, [...short, ...args], { env });
    await ask(chat, 'Hello');
    await leaves(t, chat);
    // oxlint-disable-next-line no-control-regex -- looking for them is the purpose
    t.notRegex(chat.bytes(), /\u001b\[[\d;]*m/);
  });
}

test('Ctrl-C ends a one-shot in a shell with 130, and the terminal is as it was', async (t) => {
  const shell = await terminal(t, ['--norc', '-i'], { command: ['bash'], env: { PS1: 'sh> ' } });
  await shell.see(/sh> *$/);
  shell.say('stty -g > before');
  shell.say(`${process.execPath} ${cliFile} -q -d sim --prompt 'Write a very long story about the sea.'`);
  await shell.see(/\n\w+ \w+/);
  shell.press('Ctrl-C');
  shell.say('echo "[$?]"; stty -g | diff - before && echo the same');
  await shell.see(/\n\[130\]\nthe same\nsh> *$/);
  shell.say('exit');
  t.is(await shell.status, 0);
});

test('a terminal that says it has no rows and columns', async (t) => {
  const shell = await terminal(t, ['--norc', '-i'], { command: ['bash'], env: { PS1: 'sh> ' } });
  await shell.see(/sh> *$/);
  shell.say('stty rows 0 cols 0');
  shell.say(
    `${process.execPath} ${cliFile} --help | tail -1; ${process.execPath} ${cliFile} ${short.join(' ')}`,
  );
  await shell.see(/a chat on the simulated card[^]*User: *$/);
  shell.say('Hello');
  await shell.see(/User: Hello\nAssistant: \S[^]*\nUser: *$/);
  shell.press('Ctrl-D');
  await shell.see(/Goodbye!\n[^]*sh> *$/);
  shell.say('exit');
  t.is(await shell.status, 0);
});
