// What the whole command line costs a token on a device that answers at once: CPU time of replies streamed to a pipe.
// node benchmarks/host-path.mjs [runs]; needs a build. The model is the default one on the simulated card, which with
// AXSIM_INSTANT makes tokens up at no cost; `cargo bench -p engine --bench host` has the engine alone at 128,256 × 2,048.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url));
const runs = Number(process.argv[2] ?? 7);
const replies = [100, 500, 900];
const folder = mkdtempSync(join(tmpdir(), 'axllm-host-'));
const probe = `data:text/javascript,process.on('exit',()=>{const u=process.resourceUsage();process.stderr.write('cpu '+(u.userCPUTime+u.systemCPUTime))})`;

/** Microseconds of CPU of one process that streams so many tokens into a pipe. */
function once(tokens) {
  const args = ['--import', probe, cli, '-d', 'sim', '-q', '-n', String(tokens), '--prompt', 'Hi'];
  const env = { ...process.env, AXSIM_INSTANT: '1', XDG_RUNTIME_DIR: folder };
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', env });
  const cpu = /cpu (\d+)$/.exec(stderr)?.[1];
  if (status !== 0 || cpu === undefined) throw new Error(`it failed: ${stderr}`);
  return Number(cpu);
}

const taken = replies.map(() => []);
for (let n = 0; n <= runs; n += 1) {
  for (const [at, tokens] of replies.entries()) {
    const cpu = once(tokens);
    if (n > 0) taken[at].push(cpu);
  }
}
const medians = taken.map((list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)]);
for (const [at, tokens] of replies.entries()) {
  const added =
    at === 0
      ? ''
      : `, ${((medians[at] - medians[at - 1]) / (tokens - replies[at - 1])).toFixed(1)} µs for each token more`;
  console.log(`${tokens} tokens: ${(medians[at] / 1000).toFixed(1)} ms of CPU${added}`);
}
rmSync(folder, { recursive: true });
