// What the full-screen chat costs: `node benchmarks/tui.mjs`. A reply of 200 tokens/s in a 120x40 terminal,
// under a transcript of 20,000 lines: the share of one core, from a key to its echo, and the memory beside the text.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import pty from '@lydell/node-pty';

const program = fileURLToPath(new URL('../__test__/helpers/tui_scripted.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'axllm-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

/** With the question and the blank rows 58 rows a turn. */
const paragraphs = 28;
const turns = Math.ceil(20_000 / 58);
const part = `Some **bold** words, \`code\` and a [link](https://example.org) in a sentence as long as those that
models write, and a second one that makes a paragraph of it.

- a first point of seven or eight words
- a second one of about as many

`;

/** Starts the chat; `cpu` in seconds, as the kernel counts it; `memory` in bytes after a collection, with the text. */
async function start(script, lines, flags = []) {
  const memory = join(folder, 'memory');
  const env = {
    ...process.env,
    TERM: 'xterm-256color',
    SCRIPT: JSON.stringify(script),
    TURNS: String(lines),
    ROWS: String(paragraphs),
    MEMORY: memory,
  };
  const args = [...flags, `--import=${import.meta.resolve('tsx')}`, program];
  const child = pty.spawn(process.execPath, args, { cols: 120, rows: 40, env });
  let bytes = '';
  child.onData((data) => (bytes = (bytes + data).slice(-100_000)));
  const see = async (wanted) => {
    while (!wanted.test(bytes)) await sleep(1);
  };
  const press = (text) => {
    bytes = '';
    child.write(text);
  };
  await see(lines === 0 ? /Ask something/ : new RegExp(`Answer ${lines},`));
  await sleep(1500);
  return {
    press,
    see,
    shown: () => bytes,
    /** Milliseconds from a key to what it must show. */
    async echo(key, wanted) {
      const pressed = performance.now();
      press(key);
      await see(wanted);
      return performance.now() - pressed;
    },
    cpu() {
      const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1].split(' ');
      return (Number(fields[11]) + Number(fields[12])) / 100;
    },
    async memory() {
      rmSync(memory, { force: true });
      process.kill(child.pid, 'SIGUSR2');
      await sleep(1500);
      return JSON.parse(readFileSync(memory, 'utf8'));
    },
    /** Looks at every row once: a search that finds nothing, and from end to end. */
    async lookAtAll() {
      press('\u0012');
      await see(/search:/);
      press('1 no such line 2 no such line');
      await see(/not found/);
      press('\u001b');
      await sleep(300);
      for (const keys of ['\u001b[1;5H', '\u001b[5~'.repeat(5), '\u001b[1;5F']) {
        press(keys);
        await sleep(300);
      }
    },
    end: () => child.kill('SIGTERM'),
  };
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const load = () => loadavg()[0].toFixed(1);
const began = load();

// what V8 compiles, and throws away again when it likes, is as much as a transcript, and no part of it
const withoutCode = ['--expose-gc', '--no-opt', '--no-sparkplug', '--no-flush-bytecode'];

/** The same script, so that its text is in both, over few turns and over many. */
const script = { text: part, times: 2000, chunk: 4, everyMs: 5 };
async function lookedAt(lines) {
  const chat = await start(script, lines, withoutCode);
  await chat.lookAtAll();
  const found = await chat.memory();
  chat.end();
  return found;
}
const few = await lookedAt(20);
const all = await lookedAt(turns);

// 4 characters are a token here
const chat = await start(script, turns);
await chat.lookAtAll();
const idle = chat.cpu();
await sleep(3000);
const idleShare = (chat.cpu() - idle) / 3;
chat.press('go\r');
/** The share of a core that the chat takes in the next five seconds. */
async function nextShare() {
  const [cpu, since] = [chat.cpu(), performance.now()];
  await sleep(5000);
  return (chat.cpu() - cpu) / ((performance.now() - since) / 1000);
}
// V8 compiles what a reply runs in the first seconds of the first one; who has 20,000 lines has had many
await sleep(500);
const compiling = await nextShare();
await sleep(5000);
const share = median([await nextShare(), await nextShare(), await nextShare()]);
const rate = Number(/Tokens\/sec: ([\d.]+)/.exec(chat.shown())[1]);
const echoes = [];
for (let n = 0; n < 60; n += 1) {
  const mark = String.fromCharCode(0x1400 + n);
  echoes.push(await chat.echo(mark, new RegExp(mark)));
  await sleep(37);
}
chat.end();

// a reply of a megabyte, from before its first character to after its last; a short one has warmed up
const texts = { text: [part, part], times: [100, 4000], chunk: 400, everyMs: 1 };
const long = await start(texts, 0, withoutCode);
long.press('go\r');
await long.see(/TTFT: 0\.57s/);
const before = await long.memory();
long.press('/new\rgo\r');
await long.see(/TTFT: 0\.57s/);
const after = await long.memory();
long.end();

const bound = (value, limit) => `${value}  (bound ${limit})`;
const figures = {
  'core while idle, %': (100 * idleShare).toFixed(1),
  'tokens a second': rate.toFixed(0),
  'core in the first seconds of a first reply, %': (100 * compiling).toFixed(1),
  'core later, median of three times 5 s, %': bound((100 * share).toFixed(1), 5),
  'key to echo while streaming, median ms': bound(median(echoes).toFixed(1), 30),
  'key to echo while streaming, worst of 60, ms': bound(Math.max(...echoes).toFixed(1), 30),
  'text of the transcript, kB': (all.said / 1e3).toFixed(0),
  'memory of the transcript, by its text': bound(((all.heap - few.heap) / (all.said - few.said)).toFixed(2), 2),
  'memory of a reply, by its text': bound(((after.heap - before.heap) / (after.said - before.said)).toFixed(2), 2),
  'load before and after': `${began} ${load()}`,
};
for (const [name, value] of Object.entries(figures)) process.stdout.write(`${name.padEnd(48)}${value}\n`);
process.exit(0);
