// Says what is stale by comparing sizes and times of the inputs with those at the last build: a few milliseconds.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');
const targetFolder = process.env.CARGO_TARGET_DIR ?? join(root, 'target');
/** Where cargo leaves what it makes for `target`: in the host's own folder, see `.cargo/config.toml`. */
export const releaseFolder = (target = targetFolder) => {
  const host = execFileSync('rustc', ['--print', 'host-tuple'], { cwd: root, encoding: 'utf8' }).trim();
  return join(target, host, 'release');
};
const stampFile = join(targetFolder, '.axllm-stamp.json');

/** Everything that `path` holds, as one text that changes when a file does. */
function fingerprint(path) {
  const stats = statSync(join(root, path), { throwIfNoEntry: false });
  if (!stats) return `${path} absent`;
  if (!stats.isDirectory()) return `${path} ${stats.size} ${stats.mtimeMs}`;
  return readdirSync(join(root, path))
    .sort()
    .map((name) => fingerprint(join(path, name)))
    .join('\n');
}

function readStamps() {
  try {
    return JSON.parse(readFileSync(stampFile, 'utf8'));
  } catch {
    return {};
  }
}

/** Whether `step` must run: an input changed since it last ran, or an output is missing. */
export function isStale({ name, inputs, outputs }) {
  if (!outputs().every((path) => path && existsSync(join(root, path)))) return true;
  return readStamps()[name] !== inputs.map(fingerprint).join('\n');
}

/** Remembers that `step` ran on the inputs as they are now. */
export function markFresh({ name, inputs }) {
  const stamps = { ...readStamps(), [name]: inputs.map(fingerprint).join('\n') };
  mkdirSync(dirname(stampFile), { recursive: true });
  writeFileSync(stampFile, JSON.stringify(stamps));
}
