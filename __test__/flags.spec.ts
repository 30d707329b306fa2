/** Flags by what they do, where no other file does it: through the program, on a real model. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import anyTest from 'ava';
import { parseCard } from '../ts/store/card-format.js';
import { findCard, defaultModel } from '../ts/store/cards.js';
import { compiledName } from '../ts/store/compiled.js';
import { defaultSystemPrompt, vendorSystemPrompt } from '../ts/system-prompt.js';
import { axllm, simulator } from './helpers/cli.js';
import { temporary } from './helpers/folder.js';
import { terminal } from './helpers/terminal.js';

const test = anyTest.serial;
const cpu = ['--pipeline', 'transformers', '-q'];
const hamlet = ['--prompt', 'Who wrote Hamlet?'];

/** The reply of a run that has to succeed. */
async function reply(args: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const { status, stdout, stderr } = await axllm(args, { env });
  if (status !== 0) throw new Error(`status ${status}: ${stderr}`);
  return stdout;
}

function card(name: string, llm = ''): ReturnType<typeof parseCard> {
  const text = `axelera-model-format: 1.0.0
name: ${name}
models:
  ${name}:
    precompiled_url: https://models.example/icdf/x.tar.gz
    precompiled_path: build/x
    precompiled_md5: 608e6058f117995efd2c770211ef4eca
    task_category: LanguageModel
    extra_kwargs:
      llm:
        embeddings_url: https://models.example/x.npz
        embeddings_md5: bd4c51008c6841e2c5433ff063401693
${llm}`;
  return parseCard(text, 'card.yaml');
}

test('the default system prompt: the vendor’s for its models, none for Velvet and others, a card’s own first', (t) => {
  t.is(defaultSystemPrompt(card('llama-3-2-1b-1024-4core-static')), vendorSystemPrompt);
  t.is(defaultSystemPrompt(card('velvet-2b-1024-4core-static')), undefined);
  t.is(defaultSystemPrompt(card('renamed', '        model_name: Almawave/Velvet-2B\n')), undefined);
  t.is(defaultSystemPrompt(card('velvet-2b', '        system_prompt: own\n')), 'own');
  t.is(defaultSystemPrompt(findCard(defaultModel)), undefined);
});

/** Tokens of the prompt that a question makes with these flags. */
async function promptTokens(...args: string[]): Promise<number> {
  const text = await reply([...cpu, '-n', '1', '--json', ...hamlet, ...args]);
  return (JSON.parse(text) as { usage: { prompt_tokens: number } }).usage.prompt_tokens;
}

test('--system-prompt is what the model is told', async (t) => {
  const own = await promptTokens();
  const long = await promptTokens('--system-prompt', 'word '.repeat(100));
  const none = await promptTokens('-s', '');
  t.true(long > own + 50 && none < own, `${own} ${long} ${none}`);
});

test('sampling: what leaves one token to draw from is what temperature 0 gives', async (t) => {
  const said = [...cpu, '-n', '12', ...hamlet];
  const greedy = await reply(said);
  for (const one of [
    ['--top-k', '1'],
    ['--top-p', '0'],
    ['--min-p', '1'],
  ]) {
    t.is(await reply([...said, '--temperature', '5', ...one]), greedy, one.join(' '));
  }
  t.not(await reply([...said, '--temperature', '5', '--seed', '1']), greedy);
});

/** How often the word comes that comes most. */
function most(text: string): number {
  const words = text.toLowerCase().match(/\w+/g) ?? [];
  return Math.max(...words.map((word) => words.filter((each) => each === word).length));
}

test('penalties keep it from saying the same again', async (t) => {
  const said = [...cpu, '-n', '24', '--prompt', 'Say the word "sea" ten times: sea sea sea sea'];
  const plain = await reply(said);
  for (const penalty of ['--repeat-penalty=5', '--frequency-penalty=2', '--presence-penalty=2']) {
    const text = await reply([...said, penalty]);
    t.not(text, plain, penalty);
    t.true(most(text) <= most(plain), `${penalty}: ${text}`);
  }
});

test('--stop ends the reply before the text, however often it is given', async (t) => {
  const said = [...cpu, '-n', '24', ...hamlet];
  const whole = await reply(said);
  const word = /\s(\w{4,})/.exec(whole.slice(10))![1]!;
  t.is(
    await reply([...said, '--stop', 'never said', '--stop', word]),
    `${whole.slice(0, whole.indexOf(word))}\n`,
  );
});

test('--threads changes the time and not the text', async (t) => {
  const said = [...cpu, '-n', '8', ...hamlet];
  t.is(await reply([...said, '--threads', '1']), await reply(said));
});

test('--tokenizer-dir wins over the model’s own; a folder without a tokenizer is named', async (t) => {
  const out = join(temporary(t), 'out');
  await reply(['compile', defaultModel, '--out', out, '--max-tokens', '256', '-q']);
  const files = join(out, 'tokenizer');
  const archive = join(out, `${compiledName(defaultModel, 256)}_tokenizer.zip`);
  execFileSync('python3', ['-m', 'zipfile', '-e', archive, files]);
  const said = [...cpu, '-n', '8', ...hamlet];
  t.is(await reply([...said, '--tokenizer-dir', files]), await reply(said));
  const empty = join(out, 'empty');
  mkdirSync(empty);
  const run = await axllm([...said, '--tokenizer-dir', empty]);
  t.is(run.status, 1);
  t.true(run.stderr.includes(empty), run.stderr);
  // a chat template that says something else shows that these files are the ones in use
  const config = join(files, 'tokenizer_config.json');
  writeFileSync(
    config,
    JSON.stringify({ chat_template: '{{ messages[-1].content }} is by', eos_token: '<|im_end|>' }),
  );
  t.not(await reply([...said, '--tokenizer-dir', files]), await reply(said));
});

test('a device by index, by either spelling of its name, and by the guide’s variable', async (t) => {
  const env = { AXLLM_RUNTIME_LIB: simulator, AXSIM_NAMES: 'metis-0:1:0,metis-0:3:0' };
  const args = ['-q', '-n', '1', '--json', ...hamlet];
  const device = async (flags: string[], more: Record<string, string> = {}) =>
    (JSON.parse(await reply([...args, ...flags], { ...env, ...more })) as { device: string }).device;
  t.is(await device(['-dsim']), 'metis-0:1:0');
  t.is(await device(['-dsim:1']), 'metis-0:3:0');
  t.is(await device(['-dsim:metis-0:3:0']), 'metis-0:3:0');
  t.is(await device(['--devices', 'sim:metis-0-3-0']), 'metis-0:3:0');
  t.is(await device([], { AXELERA_DEVICE_SELECTOR: 'sim:metis-0-3-0' }), 'metis-0:3:0');
  t.is(await device(['-dsim:0'], { AXELERA_DEVICE_SELECTOR: 'sim:1' }), 'metis-0:1:0');
});

test('the levels of the log, and what is kept for compatibility', async (t) => {
  const args = ['--pipeline', 'transformers', '-n', '1', ...hamlet, '--data-root', '/d'];
  const said = async (...flags: string[]) => (await axllm([...args, ...flags])).stderr;
  t.regex(await said('-v'), /^DEBUG {3}: --data-root is accepted, but nothing is kept there$/m);
  t.notRegex(await said(), /^DEBUG/m);
  t.regex(await said('--loglevel', 'TRACE', '-q'), /^DEBUG/m);
  t.is(await said('--loglevel', 'ERROR'), '');
  t.is(await said('-qq'), '');
});

const idle = /User: *$/;

test('--no-history: every message stands alone', async (t) => {
  const chat = await terminal(t, ['--pipeline', 'transformers', '-n', '12', '--no-history']);
  const replies: string[] = [];
  for (let round = 1; round <= 2; round++) {
    await chat.see(idle);
    chat.press('Ctrl-L');
    await chat.see(/^User: *$/);
    chat.say('Tell me a story');
    const screen = await chat.see(/Assistant: \S[^]*\nUser: *$/);
    replies.push(/Assistant: ([^]*?)\n(?:INFO|User)/.exec(screen)![1]!);
  }
  t.is(replies[0], replies[1]);
  chat.say('/context');
  await chat.see(/history +0 tokens/);
  chat.press('Ctrl-D');
  t.is(await chat.status, 0);
});

test('--on-overflow error: a turn that no longer fits fails, and nothing is dropped unsaid', async (t) => {
  const chat = await terminal(t, ['-d', 'sim', '--max-tokens', '3', '--on-overflow', 'error']);
  await chat.see(idle);
  writeFileSync(join(chat.home, 'long.txt'), 'the sea is wide and blue. '.repeat(60));
  for (let round = 1; round <= 2; round++) {
    chat.say('/read long.txt');
    await chat.see(new RegExp(`(long\\.txt\nAssistant: [^]*){${round}}User: *$`));
  }
  chat.say('/read long.txt');
  const screen = await chat.see(/ERROR: [^]*\[context_length_exceeded\]\s+hint: [^]*User: *$/);
  t.notRegex(screen, /no longer sees/);
  // what was said before stands
  chat.say('/history');
  await chat.see(/ 2 {2}the sea[^\n]*\nUser: *$/);
  chat.press('Ctrl-D');
  t.is(await chat.status, 0);
});
