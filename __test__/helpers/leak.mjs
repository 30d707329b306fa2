/** Loads, answers one token and disposes, over and over; prints how much bigger the process has become. */
import { readdirSync } from 'node:fs';
import { load } from '../../dist/index.js';

const warmUp = 50;
const rounds = 1000;
const openFiles = () => readdirSync('/proc/self/fd').length;
let before = 0;
let filesBefore = 0;
for (let round = 0; round < rounds; round++) {
  if (round === warmUp) {
    globalThis.gc();
    before = process.memoryUsage.rss();
    filesBefore = openFiles();
  }
  const model = await load(undefined, { pipeline: 'transformers' });
  if (round % 100 === 0) await model.generate('Hi', { maxTokens: 1 }).text();
  model.dispose();
  if (round % 50 === 0) globalThis.gc();
}
globalThis.gc();
const growth = process.memoryUsage.rss() - before;
process.stdout.write(JSON.stringify({ growth, files: openFiles() - filesBefore }));
