/**
 * Three times 3,000 replies over HTTP, some of them left, after 2,000 in which V8 and the allocator take what they will
 * keep; prints how much bigger the process has become in the best of them: an allocator's step is in one, a leak in all.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { load } from '../../ts/index.js';
import { startServer } from '../../ts/server/start.js';
import { remember } from './memory.js';
import { writeTinyModel } from './tiny-model.js';

const warmUp = 2000;
const replies = 3000;
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

async function askAll(count: number): Promise<void> {
  for (let n = 0; n < count; n += 10) {
    await Promise.all(Array.from({ length: 10 }, (_, k) => ask(n + k)));
  }
}

await askAll(warmUp);
const windows: ReturnType<ReturnType<typeof remember>>[] = [];
for (let n = 0; n < 3; n++) {
  const grown = remember();
  await askAll(replies);
  windows.push(grown());
}
const least = (what: 'growth' | 'heap' | 'files') => Math.min(...windows.map((window) => window[what]));
process.stdout.write(JSON.stringify({ growth: least('growth'), heap: least('heap'), files: least('files') }));
await server.close();
model.dispose();
rmSync(folder, { recursive: true });
