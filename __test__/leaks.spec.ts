/** What does not show in one reply: memory and files after thousands. Loads are in `module.spec.ts`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text as readAll } from 'node:stream/consumers';
import test from 'ava';
import { cleanEnv } from './helpers/cli.js';

const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(1);

for (const [what, script] of [
  ['10,000 replies, 1,000 aborts and 8,000 vectors of the library', 'reply-leak.ts'],
  ['3,000 replies over HTTP', 'server-leak.ts'],
]) {
  test.serial(`memory is flat over ${what}`, async (t) => {
    const path = new URL(`helpers/${script}`, import.meta.url).pathname;
    const child = spawn(process.execPath, ['--import=tsx', '--expose-gc', path], {
      env: cleanEnv(),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [said] = await Promise.all([readAll(child.stdout), once(child, 'close')]);
    const { growth, heap, files } = JSON.parse(said) as Record<string, number>;
    t.log(`outside of the heap ${mib(growth!)} MiB, heap ${mib(heap!)} MiB, ${files} files`);
    t.true(growth! < 32 * 2 ** 20, `grew by ${mib(growth!)} MiB outside of the heap`);
    t.true(heap! < 4 * 2 ** 20, `the heap grew by ${mib(heap!)} MiB`);
    t.true(files! < 10, `${files} more files`);
  });
}
