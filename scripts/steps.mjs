// What is made from what, in order. Everything the tools say goes to stderr.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isStale, markFresh, releaseFolder, root } from './freshness.mjs';

/** Runs a tool; a failure ends this script with the tool's status. */
export function run(command, args, { env } = {}) {
  const options = { cwd: root, stdio: ['inherit', 2, 2], env: { ...process.env, ...env } };
  const { status, error } = spawnSync(command, args, options);
  if (error) fail(`${command} cannot be run: ${error.message}`);
  if (status !== 0) fail(`${[command, ...args].join(' ')} failed`, status ?? 1);
}

export function fail(message, status = 1) {
  process.stderr.write(`ERROR: ${message}\n`);
  process.exit(status);
}

const rust = ['Cargo.toml', 'Cargo.lock', 'crates'];
/** What a browser gets; `ts/server` serves these and nothing else. */
const pageFiles = ['index.html', 'app.js', 'app.css', 'icon.svg'];
const bin = (name) => join(root, 'node_modules', '.bin', name);

const steps = [
  {
    name: 'install',
    inputs: ['package-lock.json'],
    outputs: () => ['node_modules/.package-lock.json'],
    make: () => run('npm', ['ci', '--no-audit', '--no-fund']),
  },
  {
    name: 'native',
    inputs: rust,
    outputs: () => [
      'index.js',
      readdirSync(root).find((file) => /^axllm\..+\.node$/.test(file)),
      'sim/libaxruntime.so',
    ],
    make: () => {
      const manifest = ['--manifest-path', 'crates/napi-bindings/Cargo.toml', '--output-dir', '.'];
      // the simulator by the same call: alone, dependencies have fewer features and would all be compiled again
      const packages = ['--package', 'napi-bindings', '--', '--package', 'axruntime-sim'];
      run(bin('napi'), ['build', '--platform', '--release', '--esm', ...manifest, ...packages]);
      mkdirSync(join(root, 'sim'), { recursive: true });
      // renamed into place: a process that has the old library mapped keeps it
      copyFileSync(join(releaseFolder(), 'libaxruntime.so'), join(root, 'sim', '.new'));
      renameSync(join(root, 'sim', '.new'), join(root, 'sim', 'libaxruntime.so'));
    },
  },
  {
    name: 'typescript',
    inputs: ['ts', 'tsconfig.json', 'tsconfig.build.json', 'index.d.ts', 'package-lock.json'],
    outputs: () => ['dist/cli.js', 'dist/index.d.ts'],
    make: () => {
      rmSync(join(root, 'dist'), { recursive: true, force: true });
      run(bin('tsc'), ['-p', 'tsconfig.build.json']);
      // the command line in one file: it starts in half the time, because Node looks up 150 files less
      const shape = ['--bundle', '--splitting', '--format=esm', '--platform=node', '--target=node20'];
      // blessed builds its list of widgets from names that no bundler sees
      const place = [
        '--external:../index.js',
        '--external:blessed',
        '--alias:string-width=./scripts/lazy-string-width.mjs',
        '--outdir=dist',
        '--allow-overwrite',
        '--log-level=warning',
      ];
      const banner = `import { createRequire as r } from 'node:module'; const require = r(import.meta.url);`;
      run(bin('esbuild'), ['dist/cli.js', ...shape, ...place, `--banner:js=${banner}`]);
    },
  },
  {
    name: 'page',
    inputs: ['ts', 'package-lock.json'],
    outputs: () => pageFiles.map((file) => `dist/web/${file}`),
    make: () => {
      const shape = ['--bundle', '--minify', '--format=esm', '--platform=browser', '--target=es2022'];
      const place = ['--outdir=dist/web', '--legal-comments=linked', '--log-level=warning'];
      run(bin('esbuild'), [
        'app=ts/web/main.tsx',
        'app=ts/web/app.css',
        ...shape,
        ...place,
        '--jsx=automatic',
        '--jsx-import-source=preact',
      ]);
      for (const file of ['index.html', 'icon.svg']) {
        copyFileSync(join(root, 'ts', 'web', file), join(root, 'dist', 'web', file));
      }
    },
  },
];

/** Makes what is stale, and nothing else. */
export function ensureBuilt() {
  for (const step of steps) {
    if (!isStale(step)) continue;
    step.make();
    markFresh(step);
  }
}
