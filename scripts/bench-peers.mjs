// Runs the peers and our engine alternately on the same files and prints one table: medians of RUNS, ratios, goals, limits.
// usage: node scripts/bench-peers.mjs [--runs N] [--only TEXT] [--record]
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { besides, folder, llama, models, node, oursIn, peers, wall } from './peers.mjs';
import { candle } from './peers/candle.mjs';
import { Limits } from './peers/limits.mjs';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    only: { type: 'string', default: '' },
    record: { type: 'boolean', default: false },
  },
});
const runs = Number(values.runs);
const files = models();
const machine = new Limits();

/** Tokens a second that reading the file, or multiplying its weights, would allow where the machine has these figures. */
const reading = (file, threads) => ({ threads, of: ({ read }) => (read * 1e9) / file.bytes });
const multiplying = (file, threads) => ({ threads, of: ({ int8 }) => (int8 * 1e9) / file.operations });
const { smol, smolF16, smolQ40, oneQ40, oneQ80, oneQ4K } = files;

/** name, goal (ratio), limit, theirs, ours; `less` where less is better. */
const rows = [];
const row = (name, goal, limit, theirs, ours, less = false) =>
  rows.push({ name, goal, limit, theirs, ours, less });
const prompt = (file, t) => [() => llama.prompt(file, t), () => oursIn('prompt', file, t, 512, 0, 0)];
const decode = (file, t, n, depth) => [
  () => llama.decode(file, t, n, depth),
  () => oursIn('decode', file, t, 0, n, depth),
];

row('135M Q4_1, prompt 512', 6, multiplying(smol, 2), ...prompt(smol, 2));
row('… against llama.cpp on Q4_0', 2.5, multiplying(smol, 2), prompt(smolQ40, 2)[0], prompt(smol, 2)[1]);
row('135M Q4_1, decode 128 at depth 0', 2.2, reading(smol, 2), ...decode(smol, 2, 128, 0));
row('135M Q4_1, decode 128 at depth 1,024', 2.2, reading(smol, 2), ...decode(smol, 2, 128, 1024));
row('135M Q4_1, prompt 512, 1 thread', 6, multiplying(smol, 1), ...prompt(smol, 1));
row('135M Q4_1, decode 128, 1 thread', 1.8, reading(smol, 1), ...decode(smol, 1, 128, 0));
row('1B Q4_0, prompt 512', 2.5, multiplying(oneQ40, 2), ...prompt(oneQ40, 2));
row('1B Q4_0, decode 32', 1.6, reading(oneQ40, 2), ...decode(oneQ40, 2, 32, 0));
row('1B Q8_0, prompt 512', 2.5, multiplying(oneQ80, 2), ...prompt(oneQ80, 2));
row('1B Q8_0, decode 32', 1.6, reading(oneQ80, 2), ...decode(oneQ80, 2, 32, 0));
// no issue names a goal for these: no slower than the peer
row('1B Q4_K_M, prompt 512', 1, multiplying(oneQ4K, 2), ...prompt(oneQ4K, 2));
row('1B Q4_K_M, decode 32', 1, reading(oneQ4K, 2), ...decode(oneQ4K, 2, 32, 0));
row('135M F16, prompt 512', 1, undefined, ...prompt(smolF16, 2));
row('135M F16, decode 32', 1, reading(smolF16, 2), ...decode(smolF16, 2, 32, 0));
const together = {
  threads: 2,
  of: (figures) => Math.min(8 * reading(smol, 2).of(figures), multiplying(smol, 2).of(figures)),
};
const eight = () => oursIn('decode', smol, 2, 64, 64, 0, 8);
row('135M Q4_1, 8 sequences, total', 4, together, () => llama.batched(smol, 8), eight);
row('… against our one sequence', 2.5, together, () => oursIn('decode', smol, 2, 64, 64, 0), eight);
row(
  '135M Q4_1, prompt 512, another process on a core',
  6,
  multiplying(smol, 2),
  ...prompt(smol, 2).map(besides),
);
row(
  '135M Q4_1, decode 128, another process on a core',
  2.2,
  reading(smol, 2),
  ...decode(smol, 2, 128, 0).map(besides),
);
row(
  'one short answer, whole process, ms',
  1,
  undefined,
  () => wall(...llama.answer(smol)),
  () => wall(...node.answer(smol)),
  true,
);
const other = candle(folder, smol);
if (other) {
  const side = (file, kind, ...args) => [
    () => other[kind](file, 2, ...args),
    kind === 'prompt' ? prompt(file, 2)[1] : decode(file, 2, ...args)[1],
  ];
  row('135M Q4_1, prompt 512: candle', 1.9, multiplying(smol, 2), ...side(smol, 'prompt'));
  row('135M Q4_1, decode 128 at depth 0: candle', 1, reading(smol, 2), ...side(smol, 'decode', 128, 0));
  row('1B Q4_0, decode 32: candle', 1, reading(oneQ40, 2), ...side(oneQ40, 'decode', 32, 0));
}
for (const [name, file] of [
  ['135M Q4_1', smol],
  ['1B Q4_0', oneQ40],
  ['1B Q8_0', oneQ80],
]) {
  row(
    `${name}, whole process, peak MB (theirs: 1.25 × file + 80)`,
    1,
    { threads: 2, of: () => file.bytes / 1e6 },
    () => (1.25 * file.bytes) / 1e6 + 80,
    () => node.memory(file),
    true,
  );
}
for (const { name, ms } of peers()) {
  row(
    `one short answer, whole process, ms: ${name}`,
    1,
    undefined,
    ms,
    () => wall(...node.answer(smol)),
    true,
  );
}

const median = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];
const figure = (value) => (value >= 100 ? value.toFixed(0) : value.toFixed(1));
/** Table cells of what was measured, without the limit, which is not known yet. */
const taken = [];
for (const each of rows.filter(({ name }) => name.includes(values.only))) {
  const { name, goal, theirs, ours, less } = each;
  const [a, b] = [[], []];
  try {
    for (let n = 0; n < runs; n += 1) {
      a.push(theirs());
      b.push(ours());
    }
  } catch (error) {
    // one peer that fails does not cost the others' rows
    const why = String(error.message).split('\n')[0].replaceAll('|', '/');
    taken.push({ each, cells: [name, `failed: ${why}`, '', '', ''] });
    console.error(taken.at(-1).cells.join(' | '));
    continue;
  }
  const after = machine.measure(each.limit?.threads ?? 2);
  const [x, y] = [median(a), median(b)];
  const ratio = less ? x / y : y / x;
  const cells = [
    name,
    figure(x),
    figure(y),
    `${ratio.toFixed(2)} ×`,
    `${goal} ×${ratio < goal ? ' missed' : ''}`,
  ];
  taken.push({ each, cells, ours: y, after });
  console.error(cells.join(' | '));
}
const lines = taken.map(({ each: { limit, less }, cells, ours, after }) => {
  if (!limit || ours === undefined) return `| ${cells.join(' | ')} | | | |`;
  const [best, now] = [machine.best(limit.threads), after].map((figures) => limit.of(figures));
  const shares = [best, now].map((bound) => `${((less ? bound / ours : ours / bound) * 100).toFixed(0)} %`);
  return `| ${[...cells, figure(best), ...shares].join(' | ')} |`;
});

/** Its family and model beside the name, which virtual machines cut short: three kinds of `AMD EPYC` have been lent. */
function processorName() {
  const about = existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'utf8') : '';
  const [family, model] = ['cpu family', 'model'].map(
    (field) => new RegExp(`^${field}\\s*: (\\d+)$`, 'm').exec(about)?.[1],
  );
  return cpus()[0].model + (family && model ? ` (family ${family}, model ${model})` : '');
}

const processor = processorName();
const date = new Date().toISOString().slice(0, 10);
const load = loadavg().map((value) => value.toFixed(1));
const text = `# ${date}, ${processor} × ${cpus().length}

Medians of ${runs} alternating runs, tokens a second unless said otherwise, 2 threads unless said otherwise; load average
${load.join(', ')}. The peer is llama.cpp, built for this processor, unless said otherwise.

${machine.text()}

| | peer | axllm | ratio | goal | limit | of it | of what was measured right after |
| --- | --- | --- | --- | --- | --- | --- | --- |
${lines.join('\n')}

Not measured: transformers.js, whose ONNX weights only the hub has.
`;
console.log(text);
if (values.record) {
  const name = processor
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/-+$/, '');
  writeFileSync(`benchmarks/record/${date}-${name}-${cpus().length}vcpu-peers.md`, text);
}
