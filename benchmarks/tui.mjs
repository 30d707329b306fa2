// What the full-screen chat costs: `node benchmarks/tui.mjs`. A reply of 200 tokens/s in a 120x40 terminal, under a
// transcript of 20,000 lines; the share of one core, the time from a key to its echo, and the memory per text.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import pty from '@lydell/node-pty';

const program = fileURLToPath(new URL('../__test__/helpers/tui_scripted.ts', import.meta.url));
const reply = 'Some **bold** words, `code` and a [link](https://example.org).\n\n- one\n- two\n\n'.repeat(400);
const script = JSON.stringify({ text: reply, chunk: 4, everyMs: 4 });
/** A question and an answer of this many rows each, blank ones included. */
const rowsOfTurn = 6;

/** Starts the chat; `cpu` in seconds and `memory` in bytes are the process's own, as the kernel counts them. */
async function start(turns) {
  const env = { ...process.env, TERM: 'xterm-256color', SCRIPT: script, TURNS: String(turns) };
  const child = pty.spawn(process.execPath, ['--import=tsx', program], { cols: 120, rows: 40, env });
  let bytes = '';
  child.onData((data) => (bytes = (bytes + data).slice(-100_000)));
  const see = async (wanted) => {
    while (!wanted.test(bytes)) await sleep(1);
  };
  await see(turns === 0 ? /Ask something/ : new RegExp(`Answer ${turns},`));
  await sleep(1500);
  return {
    press: (text) => child.write(text),
    see,
    forget: () => (bytes = ''),
    cpu() {
      const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1].split(' ');
      return (Number(fields[11]) + Number(fields[12])) / 100;
    },
    memory: () => 1024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))[1]),
    end: () => child.kill('SIGTERM'),
  };
}

const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];

const turns = Math.ceil(20_000 / rowsOfTurn);
const text = Array.from({ length: turns }, (_, n) => `Question ${n}?Answer ${n}, first line.\n\nAnswer ${n}, second line.`).join('');
const empty = await start(0);
const before = empty.memory();
empty.end();
const chat = await start(turns);
const grown = chat.memory() - before;
const idle = chat.cpu();
await sleep(2000);
const idleShare = (chat.cpu() - idle) / 2;
chat.press('go\r');
await sleep(1000);
const [cpu, since] = [chat.cpu(), performance.now()];
await sleep(5000);
const share = (chat.cpu() - cpu) / ((performance.now() - since) / 1000);
const echoes = [];
for (let n = 0; n < 40; n += 1) {
  const mark = String.fromCharCode(0x1400 + n);
  const pressed = performance.now();
  chat.press(mark);
  await chat.see(new RegExp(mark));
  echoes.push(performance.now() - pressed);
  await sleep(50);
}
chat.end();
const figures = {
  'core while idle, %': (100 * idleShare).toFixed(1),
  'core at 200 tokens/s, %': (100 * share).toFixed(1),
  'key to echo, median ms': median(echoes).toFixed(1),
  'key to echo, worst ms': Math.max(...echoes).toFixed(1),
  'transcript, kB': (text.length / 1e3).toFixed(0),
  'memory above an empty chat, kB': (grown / 1e3).toFixed(0),
};
for (const [name, value] of Object.entries(figures)) process.stdout.write(`${name.padEnd(34)}${value.padStart(8)}\n`);
process.exit(0);
