/** A worker thread that loads the default model and answers. */
import { parentPort, workerData } from 'node:worker_threads';
import { load } from '../../dist/index.js';

const model = await load(undefined, { pipeline: 'transformers' });
if (workerData?.endless) {
  for await (const chunk of model.generate('Write a long story about the sea.'))
    parentPort.postMessage(chunk.text);
} else {
  parentPort.postMessage(await model.generate('Hi', { maxTokens: 8 }).text());
}
model.dispose();
