/** Which version of the compiled-model format the installed runtime takes. */
import { realpathSync } from 'node:fs';
import { probeRuntime } from './native.js';
import type { Build } from './store/cards.js';
import type { Log } from './terminal.js';

/**
 * The builds of a card, the likeliest first: that for the runtime's version, then the newer ones. The interface does
 * not tell the version, but the SDK installs each in a folder that is named after it; 1.8 is the first that wants 5.
 */
export async function inOrder(
  builds: readonly Build[],
  runtimeLibrary: string | undefined,
  log: Log,
): Promise<Build[]> {
  if (builds.length < 2) return [...builds];
  const { path } = await probeRuntime(runtimeLibrary);
  const wanted = axmodelWanted(path);
  log.debug(`${path} takes compiled models of version ${wanted ?? 'unknown'}`);
  const rank = ({ axmodel = 0 }: Build) => (axmodel === wanted ? Infinity : axmodel);
  return [...builds].sort((a, b) => rank(b) - rank(a));
}

/** The version that the runtime library at `path` takes, as far as the name of its folder tells. */
export function axmodelWanted(path: string): number | undefined {
  return axmodelOf(realpathOf(path));
}

/** The version of the format, from a path such as `/opt/axelera/runtime-1.8.0-1/lib/libaxruntime.so`. */
export function axmodelOf(path: string): number | undefined {
  const version = /(?:runtime|voyager|sdk|axelera)[-_/]?v?(\d+)\.(\d+)/i.exec(path);
  if (!version) return undefined;
  const [major, minor] = [Number(version[1]), Number(version[2])];
  return major > 1 || minor >= 8 ? 5 : 4;
}

/** Whether a model was refused because it is compiled for another version. */
export function isForAnotherVersion(error: unknown): boolean {
  return error instanceof Error && error.message.includes('Unsupported model version');
}

function realpathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
