// What the HTTP server adds to the library: CPU time of its JavaScript thread, a request and a streamed token, at 8
// clients. node --import=tsx benchmarks/server.mjs [requests a client]; needs a build, and Linux.
//
// A model that costs nothing, on 8 simulated cards paced so that each token comes alone, as it does from a real one;
// clients are another process. Where requests are short it is this thread that bounds them, so its time is the delay.
import { fork } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const clients = 8;
const long = 65;
const pace = '400';
const messages = [{ role: 'user', content: 'Hello' }];
const endId = 258;

/** Milliseconds that the main thread has been on a processor. */
const cpuMs = () => Number(readFileSync('/proc/self/schedstat', 'utf8').split(' ', 1)[0]) / 1e6;

/** In the process that is measured: answers on its own, or over HTTP, and tells what that took. */
async function measured(folder) {
  const { load } = await import('../dist/index.js');
  const { startServer } = await import('../dist/server/start.js');
  const { writeTinyModel } = await import('../__test__/helpers/tiny-model.ts');
  const path = writeTinyModel(folder);
  const models = [];
  for (let n = 0; n < clients; n++) {
    models.push(await load(path, { device: `sim:metis-sim:${n}`, buildRoot: folder }));
  }
  const server = await startServer({ models: [{ id: 'tiny', models }] });
  let before;
  process.on('message', async ({ what, requests, tokens }) => {
    if (what === 'start') {
      before = cpuMs();
      return process.send({});
    }
    if (what === 'stop') return process.send({ ms: cpuMs() - before });
    const reply = async (slot) => {
      for (let n = 0; n < requests; n++) {
        const stream = slot.reply({ messages }, { maxTokens: tokens, logitBias: { [endId]: -100 } });
        for await (const _ of stream);
      }
    };
    const slots = models.map((model) => model.slot());
    const start = cpuMs();
    await Promise.all(slots.map(reply));
    process.send({ ms: cpuMs() - start });
    for (const slot of slots) slot.dispose();
  });
  process.send({ url: server.url });
}

async function main() {
  const requests = Number(process.argv[2] ?? 40);
  const folder = mkdtempSync(join(tmpdir(), 'axllm-bench-'));
  const env = {
    ...process.env,
    AXSIM_DEVICES: String(clients),
    AXSIM_TOKENS_PER_SECOND: pace,
    AXSIM_THREADS: '1',
    XDG_RUNTIME_DIR: folder,
  };
  const child = fork(fileURLToPath(import.meta.url), ['--measured', folder], { env });
  const answer = () => new Promise((resolve) => child.once('message', resolve));
  const ask = (message) => (child.send(message), answer());
  const { url } = await answer();

  const stream = async (tokens) => {
    const body = { messages, stream: true, max_tokens: tokens, logit_bias: { [endId]: -100 } };
    for (let n = 0; n < requests; n++) {
      const response = await fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      if (!(await response.text()).endsWith('data: [DONE]\n\n')) throw new Error('a reply is not complete');
    }
  };
  const overHttp = async (tokens) => {
    await ask({ what: 'start' });
    await Promise.all(Array.from({ length: clients }, () => stream(tokens)));
    return (await ask({ what: 'stop' })).ms;
  };
  const alone = async (tokens) => (await ask({ what: 'library', requests, tokens })).ms;

  const all = clients * requests;
  const rows = [];
  // turn about, so that what else the machine does meets both; the first round only warms up
  for (let round = 0; round < 4; round++) {
    const [library1, http1] = [await alone(1), await overHttp(1)];
    const [library65, http65] = [await alone(long), await overHttp(long)];
    const perToken = (busy, short) => ((busy - short) / (all * (long - 1))) * 1000;
    if (round === 0) continue;
    rows.push({
      request: (http1 - library1) / all,
      token: perToken(http65, http1) - perToken(library65, library1),
      tokenAlone: perToken(library65, library1),
    });
  }
  const median = (key) => rows.map((row) => row[key]).sort((a, b) => a - b)[Math.floor(rows.length / 2)];
  process.stdout.write(
    `added a request        ${median('request').toFixed(3)} ms  (at most 1)\n` +
      `added a streamed token ${median('token').toFixed(1)} us  (at most 50)\n` +
      `the library's own      ${median('tokenAlone').toFixed(1)} us a token\n`,
  );
  child.kill();
  rmSync(folder, { recursive: true, force: true });
}

if (process.argv[2] === '--measured') await measured(process.argv[3]);
else await main();
