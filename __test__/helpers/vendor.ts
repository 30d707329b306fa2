/** A tiny model as a vendor publishes it, and the whole flow from an empty build root to a reply. */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import type { ExecutionContext } from 'ava';
import { axllm, cleanEnv } from './cli.js';
import { netfault, type Fault } from './netfault.js';
import { writeTinyModel } from './tiny-model.js';

/** The published files, by the path on their server, and the text of the card. */
export interface Published {
  readonly name: string;
  readonly files: Readonly<Record<string, Buffer>>;
  readonly card: string;
}

let made: Promise<Published> | undefined;

/** Compiles once. */
export function published(): Promise<Published> {
  made ??= publish();
  return made;
}

async function publish(): Promise<Published> {
  const folder = mkdtempSync(join(tmpdir(), 'axllm-vendor-'));
  try {
    const weights = writeTinyModel(folder);
    const url = 'http://127.0.0.1:8000';
    const run = await axllm(['compile', weights, '-o', join(folder, 'set'), '--url', url, '-n', '256']);
    if (run.status !== 0) throw new Error(run.stderr);
    const names = readdirSync(join(folder, 'set'));
    const read = (name: string) => readFileSync(join(folder, 'set', name));
    const card = names.find((name) => name.endsWith('.yaml'))!;
    const files = Object.fromEntries(
      names.filter((name) => name !== card).map((name) => [`/${name}`, read(name)]),
    );
    // as the published ones: the archive in a folder of its own
    const text = read(card)
      .toString()
      .replace(/build\/(.*)\.tar\.gz/, 'build/$1/$1.tar.gz');
    return {
      name: card.replace(/\.yaml$/, ''),
      files,
      card: text.replace(/description: .*/, 'description: tiny'),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A server with the files, and a card that names it in a folder for `--models-dir`. */
export async function vendor(
  t: Pick<ExecutionContext, 'teardown'>,
  { script = [], otherwise }: { script?: readonly Fault[]; otherwise?: Fault } = {},
) {
  const { name, files, card } = await published();
  const server = await netfault(t, files, script, otherwise);
  const folder = mkdtempSync(join(tmpdir(), 'axllm-vendor-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const models = join(folder, 'cards');
  mkdirSync(models);
  writeFileSync(join(models, `${name}.yaml`), card.replaceAll('http://127.0.0.1:8000', server.url));
  const total = Object.values(files).reduce((sum, file) => sum + file.length, 0);
  return { name, server, folder, models, card: join(models, `${name}.yaml`), total };
}

export const question = ['-d', 'sim', '-n', '4', '--prompt', 'Hi'];

/** The environment of one machine: its build root and its own simulated card. */
export function machine(
  folder: string,
  name = 'machine',
  env: Record<string, string> = {},
): Record<string, string> {
  const run = join(folder, `${name}-run`);
  mkdirSync(run, { recursive: true });
  const own = {
    XDG_RUNTIME_DIR: run,
    XDG_CONFIG_HOME: join(folder, 'config'),
    HOME: folder,
    AXSIM_THREADS: '1',
  };
  return cleanEnv({ ...own, AXELERA_BUILD_ROOT: join(folder, name), ...env });
}

/** Every file below `root` with what it hashes to; the store's own notes, which hold paths and times, by name only. */
export function treeOf(root: string): Record<string, string> {
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).sort();
  // the inflated embeddings are a copy that the engine keeps where it can, and does without elsewhere
  const kept = names.filter((name) => !/\.[0-9a-f]{8}\.npy$/.test(name));
  const files = kept.filter((name) => statSync(join(root, name)).isFile());
  return Object.fromEntries(
    files.map((name) => {
      const path = join(root, name);
      const notes = ['downloaded_models.json', 'verified.json'].includes(relative(root, path));
      return [name, notes ? '' : createHash('sha256').update(readFileSync(path)).digest('hex')];
    }),
  );
}
