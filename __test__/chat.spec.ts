/** The plain chat, in a real terminal. */
import anyTest from 'ava';
import { terminal } from './helpers/terminal.js';

const test = anyTest.serial;
const short = ['--pipeline', 'transformers', '--max-tokens', '12'];
const idle = /User: *$/;

test('a chat: welcome, two turns, exit', async (t) => {
  const chat = await terminal(t, short);
  await chat.see(/INFO {4}: Welcome to LLM CLI\. Type 'exit' to quit\.\n(.*\n)*User: *$/);
  chat.say('Hello');
  const first = await chat.see(/User: Hello\nAssistant: \S[^]*\nUser: *$/);
  chat.say('And again');
  t.true((await chat.see(/User: And again\nAssistant: \S[^]*\nUser: *$/)).length > first.length);
  chat.say('exit');
  await chat.see(/INFO {4}: Goodbye!/);
  t.is(await chat.status, 0);
});

for (const [name, leave] of [
  ['quit', (chat: Awaited<ReturnType<typeof terminal>>) => chat.say('quit')],
  ['Ctrl-D', (chat: Awaited<ReturnType<typeof terminal>>) => chat.press('Ctrl-D')],
  ['Ctrl-C', (chat: Awaited<ReturnType<typeof terminal>>) => chat.press('Ctrl-C')],
] as const) {
  test(`${name} at the prompt leaves`, async (t) => {
    const chat = await terminal(t, short);
    await chat.see(idle);
    leave(chat);
    await chat.see(/INFO {4}: Goodbye!/);
    t.is(await chat.status, 0);
  });
}

test('Ctrl-C while answering stops the reply and keeps the chat', async (t) => {
  const chat = await terminal(t, ['-d', 'sim']);
  await chat.see(idle);
  chat.say('Write a very long story about the sea.');
  await chat.see(/Assistant: \S+ \S+/);
  chat.press('Ctrl-C');
  await chat.see(/Assistant: [^]*\nUser: *$/, 5000);
  chat.say('exit');
  await chat.see(/Goodbye!/);
  t.is(await chat.status, 0);
});

test('clear wipes the screen and the history', async (t) => {
  const chat = await terminal(t, [...short, '--show-stats']);
  await chat.see(idle);
  chat.say('Hello');
  await chat.see(/Assistant: [^]*Tokens: \d+\nUser: *$/);
  chat.say('clear');
  await chat.see(/^User: *$/);
  t.pass();
});

test('the arrow brings back what was typed', async (t) => {
  const chat = await terminal(t, short);
  await chat.see(idle);
  chat.say('Hello');
  await chat.see(/Assistant: \S[^]*\nUser: *$/);
  chat.press('Up');
  await chat.see(/User: Hello$/);
  t.pass();
});

test('SIGTERM at the prompt ends with 143 and a terminal in order', async (t) => {
  const chat = await terminal(t, short);
  await chat.see(idle);
  chat.terminate();
  t.is(await chat.status, 143);
});
