/** The package, as `npm pack` makes it and `npm install` unpacks it. */
import { execFileSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { packageRoot } from '../ts/package-root.js';
import { cleanEnv } from './helpers/cli.js';
import { temporary } from './helpers/folder.js';

const shell = (command: string, args: string[], cwd: string, env: NodeJS.ProcessEnv) =>
  execFileSync(command, args, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

test('works in an empty folder', (t) => {
  const folder = temporary(t);
  shell('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], packageRoot, process.env);
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'))!;
  writeFileSync(join(folder, 'package.json'), '{"private":true,"type":"module"}');
  shell('npm', ['install', '--no-audit', '--no-fund', `./${tarball}`], folder, process.env);
  t.deepEqual(
    readdirSync(join(folder, 'node_modules', 'axllm'))
      .filter((name) => !name.endsWith('.node'))
      .sort(),
    [
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'dist',
      'index.d.ts',
      'index.js',
      'models',
      'package.json',
      'sim',
    ],
  );

  t.deepEqual(readdirSync(join(folder, 'node_modules', 'axllm', 'dist', 'web')).sort(), [
    'app.css',
    'app.js',
    'app.js.LEGAL.txt',
    'icon.svg',
    'index.html',
  ]);

  const axllm = (...args: string[]) => shell('npx', ['axllm', ...args], folder, cleanEnv());
  t.regex(axllm('--help'), /axllm compile <model>/);
  t.regex(axllm('--prompt', 'Who wrote Romeo and Juliet?', '--max-tokens', '24'), /Shakespeare/);
  t.regex(axllm('-d', 'sim', '--prompt', 'Who wrote Romeo and Juliet?', '--max-tokens', '24'), /Shakespeare/);
  const script = `import { load } from 'axllm'; console.log(typeof load)`;
  t.is(shell(process.execPath, ['--input-type=module', '-e', script], folder, cleanEnv()), 'function\n');
});
