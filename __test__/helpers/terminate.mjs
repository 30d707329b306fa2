/** Terminates workers in the middle of replies; only they load the addon. Ends with 0, or by a signal. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

for (let round = 0; round < 10; round += 1) {
  const worker = new Worker(new URL('worker.mjs', import.meta.url), { workerData: { endless: true } });
  await once(worker, 'message');
  await worker.terminate();
}
