/**
 * 10,000 replies, eight at a time, 1,000 that are left in the middle, and 8,000 texts that become vectors or are left on
 * their way, after some to warm up; prints how much bigger the process has become, outside of V8's heap and in it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { load } from '../../ts/index.js';
import { remember } from './memory.js';
import { writeTinyModel } from './tiny-model.js';

const folder = mkdtempSync(join(tmpdir(), 'axllm-test-'));
const model = await load(writeTinyModel(folder), { pipeline: 'transformers', threads: 1 });
const endless = { maxTokens: 900, logitBias: { 258: -100 } };

async function replies(count: number): Promise<void> {
  for (let n = 0; n < count; n += 8) {
    await Promise.all(
      Array.from({ length: 8 }, (_, k) => model.generate(`${n + k}`, { maxTokens: 4 }).text()),
    );
  }
}

/** Every way to leave: a signal, the loop, `cancel`, an object that nobody reads. */
async function aborts(count: number): Promise<void> {
  using chat = model.chat();
  for (let n = 0; n < count; n++) {
    const stop = new AbortController();
    const reply = chat.send('Hello', { ...endless, signal: stop.signal });
    try {
      for await (const _ of reply) {
        if (n % 3 === 0) stop.abort();
        if (n % 3 === 1) break;
        reply.cancel();
      }
    } catch {
      // the signal's reason
    }
    chat.clear();
  }
}

async function vectors(count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    const stop = new AbortController();
    const embedding = model.embed(
      Array.from({ length: 8 }, (_, k) => `${n + k}`.repeat(20)),
      { signal: stop.signal },
    );
    if (n % 4 === 0) setImmediate(() => stop.abort());
    await embedding.catch(() => undefined);
  }
}

await replies(2000);
await aborts(200);
await vectors(200);
const grown = remember();
await replies(10_000);
await aborts(1000);
await vectors(1000);
process.stdout.write(JSON.stringify(grown()));
model.dispose();
rmSync(folder, { recursive: true });
