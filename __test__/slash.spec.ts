/** Every slash command, as a function from state to state and effects. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { contextMeter } from '../ts/chat/context-use.js';
import { ConversationStore } from '../ts/chat/conversation-store.js';
import { before, branch, newConversation, withTurn } from '../ts/chat/conversation.js';
import { perform } from '../ts/chat/perform.js';
import { replyOptions, settingsOf } from '../ts/chat/settings.js';
import { completions, helpLines, interpret, runSlash, slashCommands } from '../ts/chat/slash/table.js';
import type { ChatState, Effect, ServiceEffect } from '../ts/chat/slash/types.js';
import { resolve } from '../ts/resolve.js';
import { temporary } from './helpers/folder.js';

const reply = 'See:\n\n```js\nold()\n```\n\n- in a list:\n\n  ```\n  new()\n  ```\n';
const fresh: ChatState = {
  conversation: newConversation('be brief'),
  settings: settingsOf(resolve('run', {}).values),
  modelName: 'small',
  info: { pipeline: 'transformers', device: 'cpu', contextLength: 2048, isa: 'avx2', threads: 2 } as never,
};
const talked: ChatState = {
  ...fresh,
  conversation: withTurn(withTurn(fresh.conversation, 'one', 'first'), 'two', reply),
  lastResult: {
    completionTokens: 21,
    tokensPerSecond: 9.95,
    tokenizeMs: 1,
    prefillMs: 1,
    ttftMs: 573,
  } as never,
};

function type(text: string, state = talked) {
  const input = interpret(text);
  if (input.kind === 'message') throw new Error(`sent to the model: ${input.text}`);
  const [next, effects] = runSlash(state, input);
  return {
    next,
    effects,
    said: effects.flatMap(said).join('\n'),
    users: branch(next.conversation).map((turn) => turn.user),
  };
}

function said(effect: Effect): string[] {
  if (effect.kind === 'say') return [...effect.lines];
  return effect.kind === 'complain' ? [`ERROR ${effect.error.message} / ${effect.error.hint}`] : [];
}

for (const [typed, effects, users] of [
  ['/clear', [{ kind: 'clear-screen' }], []],
  ['clear', [{ kind: 'clear-screen' }], []],
  ['/regen', [{ kind: 'send', text: 'two' }], ['one']],
  ['/retry', [{ kind: 'send', text: 'two' }], ['one']],
  ['/edit', [{ kind: 'compose', text: 'two', replaces: 1 }], ['one', 'two']],
  ['/edit 1', [{ kind: 'compose', text: 'one', replaces: 0 }], ['one', 'two']],
  ['/copy', [{ kind: 'copy', text: reply, what: 'the last reply' }], ['one', 'two']],
  ['/copy 1', [{ kind: 'copy', text: 'first', what: 'reply 1' }], ['one', 'two']],
  ['/copy code', [{ kind: 'copy', text: 'new()', what: 'the last code block' }], ['one', 'two']],
  ['/save', [{ kind: 'save', name: undefined }], ['one', 'two']],
  ['/save my talk', [{ kind: 'save', name: 'my talk' }], ['one', 'two']],
  ['/save talk.md', [{ kind: 'export', path: 'talk.md' }], ['one', 'two']],
  ['/load x', [{ kind: 'load', name: 'x' }], ['one', 'two']],
  ['/read "a b.txt" sum it up', [{ kind: 'read', path: 'a b.txt', prompt: 'sum it up' }], ['one', 'two']],
  ['/input a.txt', [{ kind: 'read', path: 'a.txt', prompt: '' }], ['one', 'two']],
  ['/context', [{ kind: 'context' }], ['one', 'two']],
  ['/devices', [{ kind: 'devices' }], ['one', 'two']],
  ['/BYE', [{ kind: 'leave' }], ['one', 'two']],
  ['/exit', [{ kind: 'leave' }], ['one', 'two']],
  ['quit', [{ kind: 'leave' }], ['one', 'two']],
] as const) {
  test(`typed: ${typed}`, (t) => {
    const result = type(typed);
    t.deepEqual(result.effects, effects as unknown as Effect[]);
    t.deepEqual(result.users, [...users]);
  });
}

for (const [typed, wanted] of [
  ['/?', /\/copy \[N\|code\] +copy reply/],
  ['/new', /new conversation/],
  ['/undo', /^Taken back: two$/],
  ['/system', /^System prompt: be brief$/],
  ['/show system', /^System prompt: be brief$/],
  ['/show', /^model +small\npipeline +transformers\ndevice +cpu \(avx2, 2 threads\)\ncontext +2048 tokens$/],
  ['/model', /^model +small/],
  ['/show parameters', /^temperature +0\n/],
  ['/set', /^temperature +0\n[^]*seed +default/],
  ['/set temp', /^temperature = 0: 0 always gives/],
  ['/stats', /TTFT: 0\.573s/],
  ['/history', /^ {2}1 {2}one\n {2}2 {2}two$/],
  ['/set tempratur 1', /^ERROR There is no setting "tempratur" \/ did you mean temperature\?$/],
  ['/set temp hot', /^ERROR temperature is a number from 0 to 100, not "hot"/],
  ['/copy 9', /^ERROR There is no message "9", they count from 1 to 2/],
  ['/show template', /^ERROR \/show knows/],
  ['/read', /^ERROR \/read needs a file/],
  ['/cler', /^ERROR There is no command \/cler \/ did you mean \/clear/],
  ['/zzzzzzz', /^ERROR There is no command \/zzzzzzz \/ \/help lists them/],
] as const) {
  test(`says: ${typed}`, (t) => {
    t.regex(type(typed).said, wanted);
  });
}

test('settings change what the engine is asked for, with the table’s checks', (t) => {
  let { next } = type('/set parameter temperature 0.7');
  next = type('/set top_k 40', next).next;
  next = type('/set stop END', next).next;
  next = type('/stats on', next).next;
  t.like(replyOptions(next.settings), { temperature: 0.7, topK: 40, stop: ['END'], onOverflow: 'drop' });
  t.true(next.settings['show-stats']);
  t.is(type('/set temp default', next).next.settings.temperature, 0);
});

test('the system prompt changes, and goes', (t) => {
  t.is(type('/system you are\na pirate').next.conversation.system, 'you are\na pirate');
  t.is(type('/set system x').next.conversation.system, 'x');
  t.is(type('/system none').next.conversation.system, undefined);
});

test('/version goes round among the versions of an edited message', (t) => {
  const conversation = withTurn(before(withTurn(talked.conversation, 'three', 'third'), 1), 'TWO', 'other');
  const edited = { ...talked, conversation };
  const back = type('/version', edited);
  t.deepEqual(back.users, ['one', 'two', 'three']);
  t.is(back.said, 'Message 2: version 1 of 2');
  t.deepEqual(type('/version 2', back.next).users, ['one', 'TWO']);
  t.regex(type('/version 1', edited).said, /^ERROR Message 1 has no other version/);
  t.regex(type('/version').said, /^ERROR No message has another version/);
});

test('before anything is said, what needs a turn says so', (t) => {
  for (const word of ['/regen', '/undo', '/edit', '/copy', '/copy code', '/save']) {
    t.regex(type(word, fresh).said, /^ERROR Nothing has been said yet/, word);
  }
});

test('a slash that is meant: // at the start, or not at the start', (t) => {
  t.deepEqual(interpret('//etc/passwd?'), { kind: 'message', text: '/etc/passwd?' });
  t.deepEqual(interpret(' and /or '), { kind: 'message', text: 'and /or' });
  t.deepEqual(interpret('clear the table'), { kind: 'message', text: 'clear the table' });
  t.deepEqual(interpret('constructor'), { kind: 'message', text: 'constructor' });
});

test('help and completion know every command; no word means two', (t) => {
  const words = slashCommands.flatMap(({ name, aliases = [] }) => [name, ...aliases]);
  t.deepEqual(words, [...new Set(words)]);
  for (const word of words)
    t.regex(helpLines().join('\n'), new RegExp(`/${word.replace('?', '\\?')}\\b|/\\?`));
  t.true(helpLines().every((line) => line.length <= 100));
  t.deepEqual(completions('/re'), ['/regen', '/retry', '/read']);
  t.deepEqual(completions('/read x'), []);
});

test('effects on the world: save, list, load, export, read', async (t) => {
  const folder = temporary(t);
  const env = { XDG_DATA_HOME: folder };
  const counter = { info: fresh.info, responseSpace: 128, countTokens: (text: string) => text.length };
  const services = {
    env,
    store: new ConversationStore(env),
    meter: contextMeter(counter),
    listDevices: () => Promise.reject(new Error('no runtime')),
    writeTerminal: () => undefined,
  };
  const go = async (effect: ServiceEffect, state = talked) => {
    const [next, effects] = await perform(state, effect, services);
    return { next, effects, said: effects.flatMap(said).join('\n') };
  };
  t.regex((await go({ kind: 'load', name: undefined })).said, /No conversation is saved/);
  t.regex((await go({ kind: 'save', name: 'mine' })).said, /^Saved as .*conversations\/mine\.json$/);
  t.regex((await go({ kind: 'load', name: undefined })).said, /^\d{4}-\d\d-\d\dT\d\d:\d\d {2}mine$/);
  const loaded = await go({ kind: 'load', name: 'mine' }, fresh);
  t.deepEqual(loaded.next.conversation, talked.conversation);
  t.regex((await go({ kind: 'export', path: join(folder, 'x.md') })).said, /^Saved as .*x\.md$/);
  const read = await go({ kind: 'read', path: join(folder, 'x.md'), prompt: 'short, please' });
  t.regex((read.effects[0] as { text: string }).text, /^# Conversation with small\n[^]*\n\nshort, please$/);
  t.regex((await go({ kind: 'context' })).said, /^system +8 tokens +0 %\nhistory/);
  writeFileSync(join(folder, 'binary'), Buffer.from([0xff, 0xfe, 0]));
  for (const [path, wanted] of [
    [join(folder, 'none'), /^ERROR ENOENT/],
    [folder, /^ERROR EISDIR/],
    [join(folder, 'binary'), /not a text file/],
    ['/dev/zero', /larger than/],
  ] as const) {
    t.regex((await go({ kind: 'read', path, prompt: '' })).said, wanted);
  }
  t.regex((await go({ kind: 'devices' })).said, /^ERROR no runtime/);
});
