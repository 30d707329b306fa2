/** The vendor's guide, command by command, as its lines stand there; the published cards come from a loopback host. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import anyTest, { type TestFn } from 'ava';
import { axllm, cleanEnv, cliFile, errorLines, outcome, start } from './helpers/cli.js';
import { packageRoot } from '../ts/package-root.js';
import { published, type World } from './helpers/published.js';
import { terminal } from './helpers/terminal.js';

const test = (anyTest as TestFn<World>).serial;
const llama = 'llama-3-2-1b-1024-4core-static';
const velvet = 'velvet-2b-1024-4core-static';
let world: World;

test.before(async () => {
  world = await published([llama, velvet]);
});
test.after.always(() => world?.close());

const extractor = join(packageRoot, 'dist', 'axextractembeddings.js');
const program = `axllm() { ${process.execPath} ${cliFile} "$@"; }
axextractembeddings() { ${process.execPath} ${extractor} "$@"; }`;

/** A line of the guide in a shell. */
function shell(line: string): Promise<{ status: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const env = cleanEnv(world.env);
    const child = execFile('bash', ['-c', `${program}\n${line}`], { env }, (error, stdout, stderr) =>
      resolve({ status: error ? Number(error.code) : 0, stdout, stderr }),
    );
    child.stdin?.end();
  });
}

/** A line of the guide in a terminal; long replies prove no more. */
function inTerminal(t: Parameters<typeof terminal>[0], line: string) {
  const env = { ...world.env, AXLLM_MAX_TOKENS: '24' };
  return terminal(t, [], { command: ['bash', '-c', `${program}\n${line}`], env });
}

test('single prompt: the first time everything is fetched and verified', async (t) => {
  const run = await shell(`axllm ${llama} --prompt "Give me a joke"`);
  t.is(run.status, 0, run.stderr);
  t.regex(run.stdout, /^\S[^]*\n$/);
  t.deepEqual(world.asked.map((path) => path.split('/').at(-1)).sort(), [
    'llama1b_1024_mc_model.tar.gz',
    'llama_3_2_1b_embeddings.npz',
    'meta-llama_Llama-3.2-1B-Instruct_tokenizer.zip',
  ]);
  for (const file of [
    `${llama}/model/model.json`,
    `${llama}/llama_3_2_1b_embeddings.npz`,
    'downloaded_models.json',
  ]) {
    t.true(existsSync(join(world.buildRoot, file)), file);
  }
});

test('statistics: the lines of the example in their order, and nothing is fetched again', async (t) => {
  const before = world.asked.length;
  const run = await shell(`axllm ${llama} --show-stats --prompt "Give me a joke"`);
  t.is(run.status, 0, run.stderr);
  t.is(world.asked.length, before);
  const time = String.raw`\d+\.\d(?:\d\d)?(?:us|ms|s)`;
  const wanted = [
    `Model already downloaded and verified: ${world.buildRoot}/${llama}/model/model\\.json`,
    String.raw`Firmware version matches: v\S+`,
    String.raw`Loaded embeddings: vocab_size=\d+, embedding_dim=\d+`,
    `EmbeddingProcessor initialized with file: ${world.buildRoot}/${llama}/llama_3_2_1b_embeddings\\.npz`,
    `AxInstance initialized with model: ${world.buildRoot}/${llama}/model/model\\.json`,
    String.raw`Tokenization: ${time} \| Prefill: ${time} \| TTFT: ${time} \| Gen: ${time} \| Tokens/sec: \d+\.\d\d \| Tokens: \d+`,
    String.raw`CPU %: \d+\.\d%`,
    String.raw`Core Temp: 34\.0°C`,
  ].map((line) => new RegExp(`^INFO    : ${line}$`));
  const lines = run.stderr.trimEnd().split('\n');
  const found = wanted.map((line) => lines.findIndex((each) => line.test(each)));
  t.deepEqual(
    found,
    [...found].sort((a, b) => a - b),
    run.stderr,
  );
  t.false(found.includes(-1), run.stderr);
});

test('temperature', async (t) => {
  const line = `axllm ${llama} --temperature 0.7 --prompt "Write a creative story about a robot."`;
  const run = await shell(`AXLLM_MAX_TOKENS=24 ${line}`);
  t.is(run.status, 0, run.stderr);
  t.regex(run.stdout, /\S/);
});

test('pipelines: both spellings, and a published card is no model for the CPU unless its original can be had', async (t) => {
  const aipu = await shell(`axllm ${llama} --pipeline=transformers-aipu -n 2 --prompt "Hi"`);
  t.is(aipu.status, 0, aipu.stderr);
  const cpu = await shell(
    `unset AXELERA_DEVICE_SELECTOR; axllm ${llama} --pipeline=transformers --offline -n 2 --prompt "Hi"`,
  );
  t.is(cpu.status, 1);
  t.is(errorLines({ ...cpu, signal: null }).length, 1);
  t.regex(cpu.stderr, /^ERROR: .*meta-llama\/Llama-3\.2-1B-Instruct/m);
});

const idle = /User: *$/;

test('interactive: the chat of the guide remembers, and says Goodbye!', async (t) => {
  const chat = await inTerminal(t, `axllm ${llama}`);
  await chat.see(/INFO {4}: Welcome to LLM CLI\. Type 'exit' to quit\.\nUser: *$/);
  chat.say('give me a joke');
  await chat.see(/User: give me a joke\nAssistant: \S[^]*\nUser: *$/);
  chat.say('what did I ask');
  await chat.see(/User: what did I ask\nAssistant: \S[^]*\nUser: *$/);
  chat.say('/history');
  await chat.see(/ 1 {2}give me a joke\n {2}2 {2}what did I ask\nUser: *$/);
  chat.say('exit');
  await chat.see(/User: exit\nINFO {4}: Goodbye!$/);
  t.is(await chat.status, 0);
});

test('system prompt: the vendor’s by default, one’s own, and none for Velvet', async (t) => {
  const own = 'You are a helpful assistant that always answers in haiku.';
  for (const [line, wanted] of [
    [`axllm ${llama}`, /System prompt: You are a helpful and concise chatbot by Axelera AI/],
    [`axllm ${llama} --system-prompt "${own}"`, new RegExp(`System prompt: ${own}`)],
    [`axllm ${velvet}`, /System prompt: \(the model's own\)/],
  ] as const) {
    const chat = await inTerminal(t, line);
    await chat.see(idle);
    chat.say('/system');
    await chat.see(wanted);
    chat.press('Ctrl-D');
    t.is(await chat.status, 0);
  }
});

for (const line of [
  `axllm ${llama} --rich-cli`,
  `axllm ${llama} --system-prompt "You are a pirate." --temperature 1.0 --rich-cli`,
]) {
  test(`full screen: ${line}`, async (t) => {
    const chat = await inTerminal(t, line);
    const screen = await chat.see(/Ask something/);
    t.true(screen.includes(llama) && screen.includes('metis-sim:0'));
    t.regex(screen, line.includes('1.0') ? /temperature 1\b/ : /temperature 0\b/);
    chat.type('give me a joke');
    await chat.see(/❯ give me a joke/);
    chat.press('Enter');
    await chat.see(/Tokens\/sec: \d+\.\d\d \| Tokens: \d+/);
    chat.say('/bye');
    t.is(await chat.status, 0);
  });
}

/** Waits until `child` has printed a line like this, and gives what it captures. */
function printed(child: ReturnType<typeof start>, line: RegExp): Promise<string> {
  let text = '';
  return new Promise((resolve, reject) => {
    child.stdout.on('data', (piece) => {
      text += String(piece);
      const match = line.exec(text);
      if (match) resolve(match[1]!);
    });
    child.on('close', () => reject(new Error(`no ${line} in ${text}`)));
  });
}

test('web: --ui local says where the page is, and the model answers there', async (t) => {
  const child = start([llama, '--ui', 'local'], { ...world.env, AXLLM_PORT: '0' });
  const end = outcome(child);
  const url = await printed(child, /^Running on local URL: {2}(http:\/\/127\.0\.0\.1:\d+)$/m);
  const page = await fetch(url);
  t.is(page.status, 200);
  t.regex(page.headers.get('content-type') ?? '', /^text\/html/);
  const messages = [{ role: 'user', content: 'Give me a joke' }];
  const ask = () =>
    fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: llama, messages, max_tokens: 8 }),
    });
  let answer = await ask();
  // the page is there before the model is
  while (answer.status === 503) answer = await ask();
  t.is(answer.status, 200);
  const { choices } = (await answer.json()) as { choices: { message: { content: string } }[] };
  t.regex(choices[0]!.message.content, /\S/);
  child.kill('SIGINT');
  const { status, stderr } = await end;
  t.is(status, 130, stderr);
});

test('web: a bare --ui prints a public link beside the local one', async (t) => {
  // what stands for the service is a program that forwards nothing, as the port is on the loopback already
  const env = { AXLLM_SHARE_COMMAND: 'echo http://127.0.0.1:{port}; exec sleep 600', AXLLM_PORT: '0' };
  const child = start([llama, '--ui'], { ...world.env, ...env });
  const end = outcome(child);
  const [local, link] = await Promise.all([
    printed(child, /^Running on local URL: {2}(http:\S+)$/m),
    printed(child, /^Running on public URL: (http:\S+)$/m),
  ]);
  t.not(new URL(local).port, new URL(link).port);
  t.true(new URL(link).hash.length > 20, 'a secret');
  t.is((await fetch(link)).status, 200);
  child.kill('SIGTERM');
  const { status, stderr } = await end;
  t.is(status, 143, stderr);
  t.regex(stderr, /Whoever has this link can use the model/);
});

test('help', async (t) => {
  for (const line of ['axllm --help', 'axextractembeddings --help']) {
    const run = await shell(line);
    t.is(run.status, 0, run.stderr);
    t.regex(run.stdout, /^axllm /, line);
  }
  const names = (await axllm(['--help-network'], { env: world.env })).stdout.split('\n');
  t.true(names.includes(llama) && names.includes(velvet));
});
