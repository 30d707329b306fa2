// npm test: builds what is missing, fetches the default model, then runs everything and counts what failed.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fetchDefaultModel } from './fetch.mjs';
import { root } from './freshness.mjs';
import { ensureBuilt, fail } from './steps.mjs';

ensureBuilt();
const env = { ...process.env, AXELERA_BUILD_ROOT: await fetchDefaultModel() };
const hasNextest = spawnSync('cargo', ['nextest', '--version'], { stdio: 'ignore' }).status === 0;
const rust = hasNextest ? ['nextest', 'run', '--no-fail-fast'] : ['test', '--no-fail-fast', '--all-targets'];
const bin = (name) => join(root, 'node_modules', '.bin', name);

const checks = [
  ['type check', bin('tsc'), ['--noEmit']],
  ['type check of the page', bin('tsc'), ['--noEmit', '-p', 'ts/web']],
  ['cargo tests', 'cargo', [...rust, '--release', '--workspace']],
  ['cargo doc tests', 'cargo', ['test', '--doc', '--release', '--workspace']],
  ['ava', bin('ava'), []],
];
const failed = checks.filter(([name, command, args]) => {
  process.stdout.write(`\n== ${name}\n`);
  return spawnSync(command, args, { cwd: root, env, stdio: 'inherit' }).status !== 0;
});
if (failed.length > 0) fail(`failed: ${failed.map(([name]) => name).join(', ')}`);
