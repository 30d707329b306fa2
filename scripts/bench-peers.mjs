// Runs llama.cpp and our passes alternately on the default model: medians of RUNS, as a table with ratios.
// usage: node scripts/bench-peers.mjs [--runs N] [--record]
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, homedir, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: { runs: { type: 'string', default: '5' }, record: { type: 'boolean', default: false } },
});
const runs = Number(values.runs);
const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
const peers = process.env.AXLLM_PEERS ?? join(cache, 'axllm-peers', 'llama.cpp');
const model = join(cache, 'axllm', 'smollm2-135m-instruct', 'SmolLM2-135M-Instruct.Q4_1.gguf');

const run = (command, args) =>
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
const bin = run('bash', ['scripts/build-llama-cpp.sh', peers]).trim();
execFileSync('cargo', ['build', '--release', '-q', '-p', 'transformer', '--example', 'speed'], {
  stdio: 'inherit',
});

const ours = (kind, ...args) =>
  JSON.parse(run('target/release/examples/speed', [model, ...args.map(String)]))[kind];
const bench = (...args) =>
  JSON.parse(run(join(bin, 'llama-bench'), ['-m', model, '-r', '1', '-o', 'json', ...args]));
const theirs = (...args) => bench(...args).at(-1).avg_ts;
const batched = (sequences) => {
  const args = ['-m', model, '-t', '2', '-npp', '64', '-ntg', '64', '-npl', String(sequences), '-c', '4096'];
  const row = run(join(bin, 'llama-batched-bench'), args)
    .split('\n')
    .findLast((line) => /^\|\s+\d/.test(line));
  return Number(row.split('|')[8]); // S_TG t/s
};

const rows = [];
for (const threads of [2, 1]) {
  const t = ['-t', String(threads)];
  rows.push([
    `prompt pass, 512 tokens, ${threads} threads`,
    () => theirs(...t, '-p', '512', '-n', '0'),
    () => ours('prompt', threads, 512, 0, 0, 1),
  ]);
  rows.push([
    `decoding 64 at depth 0, ${threads} threads`,
    () => theirs(...t, '-p', '0', '-n', '64'),
    () => ours('decode', threads, 0, 64, 0, 1),
  ]);
}
rows.push([
  'decoding 64 at depth 1,024, 2 threads',
  () => theirs('-t', '2', '-p', '0', '-n', '64', '-d', '1024'),
  () => ours('decode', 2, 0, 64, 1024, 1),
]);
rows.push(['8 sequences decoding together', () => batched(8), () => ours('decode', 2, 64, 64, 0, 1, 8)]);

const median = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];
const lines = ['| tok/s, default model (Q4_1) | llama.cpp | axllm | ratio |', '| --- | --- | --- | --- |'];
for (const [name, peer, own] of rows) {
  const [a, b] = [[], []];
  for (let n = 0; n < runs; n += 1) {
    a.push(peer());
    b.push(own());
  }
  const [x, y] = [median(a), median(b)];
  lines.push(`| ${name} | ${x.toFixed(1)} | ${y.toFixed(1)} | ${(y / x).toFixed(2)} |`);
  console.error(lines.at(-1));
}
const date = new Date().toISOString().slice(0, 10);
const load = loadavg()
  .map((value) => value.toFixed(1))
  .join(', ');
const title = `# ${date}, ${cpus()[0].model} × ${cpus().length}\n\nMedians of ${runs} alternating runs; load average ${load}.\n\n`;
const text = `${title}${lines.join('\n')}\n`;
console.log(text);
if (values.record) {
  const processor = cpus()[0]
    .model.toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/-+$/, '');
  writeFileSync(`benchmarks/record/${date}-${processor}-${cpus().length}vcpu-peers.md`, text);
}
