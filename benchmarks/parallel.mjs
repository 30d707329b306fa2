// Replies at once on the CPU: tokens a second of one and of eight together, the default model.
// node benchmarks/parallel.mjs [tokens] [rounds]; needs a build, and the default model in the build root.
import { load } from '../dist/index.js';

const animals = ['a cat', 'a whale', 'an owl', 'a snail', 'a horse', 'an ant', 'a crow', 'a fox'];
const tokens = Number(process.argv[2] ?? 96);
const rounds = Number(process.argv[3] ?? 3);
const model = await load(undefined, { pipeline: 'transformers' });

const ask = (n) =>
  model.generate(`Write a story about ${animals[n]}.`, { maxTokens: tokens, logitBias: { 2: -100 } });

async function rate(count) {
  const start = performance.now();
  const replies = await Promise.all(
    Array.from({ length: count }, async (_, n) => {
      const reply = ask(n);
      await reply.text();
      return (await reply.result).completionTokens;
    }),
  );
  return (replies.reduce((sum, each) => sum + each, 0) / (performance.now() - start)) * 1000;
}

const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
const [one, eight] = [[], []];
for (let round = 0; round <= rounds; round++) {
  const [alone, together] = [await rate(1), await rate(8)];
  // the first round only warms up
  if (round === 0) continue;
  one.push(alone);
  eight.push(together);
}
const [single, total] = [median(one), median(eight)];
process.stdout.write(
  `1 reply   ${single.toFixed(1).padStart(7)} tokens/s\n` +
    `8 replies ${total.toFixed(1).padStart(7)} tokens/s in all, ${(total / single).toFixed(2)} times as many (at least 2.5)\n`,
);
model.dispose();
