/** Completion in the real shells: each loads its script and is asked what Tab would offer. */
import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { axllm, cleanEnv, cliFile, simulator } from './helpers/cli.js';
import { temporary } from './helpers/folder.js';

/** A folder on PATH with `axllm` in it, and what the shells need to know. */
function world(t: Parameters<typeof temporary>[0]) {
  const folder = temporary(t);
  const program = join(folder, 'axllm');
  writeFileSync(program, `#!/bin/sh\nexec ${process.execPath} ${cliFile} "$@"\n`);
  chmodSync(program, 0o755);
  const env = cleanEnv({
    HOME: folder,
    AXLLM_RUNTIME_LIB: simulator,
    AXSIM_NAMES: 'metis-0:1:0,metis-0:3:0',
  });
  return { folder, env: { ...env, PATH: `${folder}:${env.PATH}` } };
}

/** Where there are no files, which fish offers too. */
function fish(t: Parameters<typeof temporary>[0], script: string): string {
  const { env } = world(t);
  return execFileSync('fish', ['--no-config', '-c', script], { env, encoding: 'utf8', cwd: temporary(t) });
}

const asked: [string, string, string[]][] = [
  ['a command', 'axllm doc', ['doctor']],
  ['a model', 'axllm smol', ['smollm2-135m-instruct']],
  ['a model after run', 'axllm run smol', ['smollm2-135m-instruct']],
  ['a model as an option', 'axllm bench --model smol', ['smollm2-135m-instruct']],
  ['a flag', 'axllm --show-s', ['--show-stats']],
  ['a choice', 'axllm --pipeline transformers-', ['transformers-aipu']],
  ['a shell', 'axllm completion z', ['zsh']],
];

for (const [what, line, expected] of asked) {
  test(`bash offers ${what}`, (t) => {
    const script = `
      source <(axllm completion bash)
      compopt() { :; }
      COMP_LINE=${JSON.stringify(line)} COMP_POINT=${line.length}
      _axllm
      printf '%s\\n' "\${COMPREPLY[@]}"`;
    const said = execFileSync('bash', ['-c', script], { env: world(t).env, encoding: 'utf8' });
    t.deepEqual(said.trim().split('\n'), expected);
  });

  test(`fish offers ${what}`, (t) => {
    const script = `axllm completion fish | source; complete -C ${JSON.stringify(line)}`;
    t.deepEqual(fish(t, script).trim().split('\n'), expected);
  });

  test(`zsh offers ${what}`, (t) => {
    const { folder, env } = world(t);
    const words = line.split(' ').map((word) => JSON.stringify(word));
    // compadd is the shell's own last step: what it is handed is what a user sees
    const script = `
      autoload -Uz compinit && compinit -u -d ${folder}/dump
      source <(axllm completion zsh)
      [[ \${_comps[axllm]} == _axllm ]] || exit 3
      compadd() { shift; print -l -- "$@"; }
      words=(${words.join(' ')}); CURRENT=${words.length}
      _axllm`;
    const said = execFileSync('zsh', ['-f', '-c', script], { env, encoding: 'utf8' });
    t.deepEqual(said.trim().split('\n'), expected);
  });
}

test('bash completes device names, which hold colons', (t) => {
  const line = 'axllm -d metis-0:';
  const script = `
    source <(axllm completion bash)
    COMP_LINE=${JSON.stringify(line)} COMP_POINT=${line.length}
    _axllm
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const said = execFileSync('bash', ['-c', script], { env: world(t).env, encoding: 'utf8' });
  // bash has the part before the last colon on the line already
  t.deepEqual(said.trim().split('\n'), ['1:0', '3:0']);
});

test('zsh lists the devices', (t) => {
  const { folder, env } = world(t);
  const script = `
    autoload -Uz compinit && compinit -u -d ${folder}/dump
    source <(axllm completion zsh)
    compadd() { shift; print -l -- "$@"; }
    words=(axllm -d ''); CURRENT=3
    _axllm`;
  const said = execFileSync('zsh', ['-f', '-c', script], { env, encoding: 'utf8' });
  t.deepEqual(said.trim().split('\n'), ['sim', 'metis-0:1:0', 'metis-0:3:0']);
});

test('PowerShell, of which there is none here, is answered as its script asks', async (t) => {
  const { stdout } = await axllm(['completion', 'powershell']);
  t.regex(stdout, /^Register-ArgumentCompleter -Native -CommandName axllm /m);
  t.true(stdout.includes('axllm --get-completions @words'));
  const { env } = world(t);
  const ask = async (...words: string[]) =>
    (await axllm(['--get-completions', ...words], { env })).stdout.trim().split('\n');
  // it writes the empty word as two quotes
  t.deepEqual(await ask('-d', '""'), ['sim', 'metis-0:1:0', 'metis-0:3:0']);
  t.true((await ask('""')).includes('smollm2-135m-instruct'));
  t.deepEqual(await ask('devices', ''), ['']);
});

test('fish lists the devices', (t) => {
  const script = `axllm completion fish | source; complete -C 'axllm -d '`;
  t.deepEqual(fish(t, script).trim().split('\n').sort(), ['metis-0:1:0', 'metis-0:3:0', 'sim']);
});

test('an unknown shell is named, with the known ones', async (t) => {
  const run = await axllm(['completion', 'zhs']);
  t.is(run.status, 2);
  t.regex(run.stderr, /"zhs"[^]*did you mean zsh\? known: bash, zsh, fish, powershell/);
});

test('docs/cli.md is what the table says', async (t) => {
  const { cliReference } = await import('../scripts/cli-reference.js');
  const path = new URL('../docs/cli.md', import.meta.url);
  t.is(readFileSync(path, 'utf8'), cliReference(), 'write it with: npm run docs');
});
