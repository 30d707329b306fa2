// Writes docs/cli.md from the table of options; `--check` only says whether it is up to date.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { register } from 'tsx/esm/api';
import { root } from './freshness.mjs';

const unregister = register();
const { cliReference } = await import('./cli-reference.ts');
await unregister();

const path = join(root, 'docs', 'cli.md');
if (process.argv.includes('--check')) {
  if (readFileSync(path, 'utf8') !== cliReference()) {
    process.stderr.write('ERROR: docs/cli.md is not what ts/options says; write it with npm run docs\n');
    process.exitCode = 1;
  }
} else writeFileSync(path, cliReference());
