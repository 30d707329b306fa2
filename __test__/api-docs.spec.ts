/** The examples of docs/api.md, type-checked against the built package and run as a user's own program. */
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { packageRoot } from '../ts/package-root.js';
import { cleanEnv } from './helpers/cli.js';
import { temporary } from './helpers/folder.js';

const run = promisify(execFile);
const bin = (name: string) => join(packageRoot, 'node_modules', '.bin', name);

/** What each example must print, in the order of the page. */
const expected = [
  /\n(stop|length) at \d+ tokens\/s\n$/,
  /^[^\n]+\nnot read again: \d+ tokens\n[^\n]+\nnot read again: [1-9]\d+ tokens\n$/,
  /^first words: .+\nAbortError\ncancelled\n$/s,
  /^(.+\n){3}/,
  /^from the worker: .+/,
  /^2 "Hello world"\ntrue\n Paris -\d\.\d+ 2\n/,
  /^(0\.\d\d\n){2}$/,
  /^unknown_model \| .+ \| .+\n0 metis-sim:0\n$/,
];

test('every example compiles against the package, and does what it says', async (t) => {
  const page = readFileSync(join(packageRoot, 'docs', 'api.md'), 'utf8');
  const examples = [...page.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code!);
  t.is(examples.length, expected.length, 'each example has its line here');
  const folder = temporary(t);
  mkdirSync(join(folder, 'node_modules', '@types'), { recursive: true });
  symlinkSync(packageRoot, join(folder, 'node_modules', 'axllm'));
  for (const name of ['@types/node', 'undici-types']) {
    symlinkSync(join(packageRoot, 'node_modules', name), join(folder, 'node_modules', name));
  }
  for (const [n, code] of examples.entries()) writeFileSync(join(folder, `example${n}.ts`), code);
  const types = readFileSync(join(packageRoot, '__test__', 'types', 'public-api.ts'), 'utf8');
  writeFileSync(join(folder, 'types.ts'), types.replace("'../../ts/index.js'", "'axllm'"));
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  cpSync(join(packageRoot, 'tsconfig.json'), join(folder, 'base.json'));
  // a user has settings of their own: only the strictness is ours
  const settings = {
    extends: './base.json',
    compilerOptions: { noUnusedLocals: false, noEmit: false, outDir: 'out' },
    include: ['*.ts'],
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(settings));
  await run(bin('tsc'), ['-p', folder]).catch((error: { stdout: string }) => t.fail(error.stdout));
  for (const n of examples.keys()) {
    const { stdout } = await run(process.execPath, [join(folder, 'out', `example${n}.js`)], {
      env: cleanEnv(),
    });
    t.regex(stdout, expected[n]!, `example ${n + 1}`);
  }
});
