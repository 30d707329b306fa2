/**
 * 5,000 replies over HTTP, some of them left; prints how much bigger the process has become after the first 2,000. Until
 * then V8 and the allocator take what they will keep.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { load } from '../../ts/index.js';
import { startServer } from '../../ts/server/start.js';
import { remember } from './memory.js';
import { writeTinyModel } from './tiny-model.js';

const warmUp = 2000;
const replies = 5000;
const folder = mkdtempSync(join(tmpdir(), 'axllm-test-'));
const model = await load(writeTinyModel(folder), { pipeline: 'transformers' });
const server = await startServer({ models: [{ id: 'tiny', models: [model] }] });

async function ask(n: number): Promise<void> {
  const stop = new AbortController();
  const response = await fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      messages: [{ role: 'user', content: `Question ${n}` }],
      stream: n % 2 === 0,
      max_tokens: 30,
    }),
    signal: stop.signal,
  });
  if (n % 10 === 0) stop.abort();
  await response.text().catch(() => undefined);
}

let grown = remember();
for (let n = 0; n < replies; n += 10) {
  if (n === warmUp) grown = remember();
  await Promise.all(Array.from({ length: 10 }, (_, k) => ask(n + k)));
}
process.stdout.write(JSON.stringify(grown()));
await server.close();
model.dispose();
rmSync(folder, { recursive: true });
