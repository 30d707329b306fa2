/** Which device and which runtime library a selector means. */
import { join } from 'node:path';
import { UsageError } from './errors.js';
import { packageRoot } from './package-root.js';
import type { Env } from './terminal.js';

/** A selector, taken apart. */
export interface DeviceChoice {
  /** The simulated card was asked for. */
  readonly simulated: boolean;
  /** Index or name; absent: the first free one. */
  readonly device?: string;
  /** Absent: the runtime library is searched for as usual. */
  readonly runtimeLibrary?: string;
}

/** Reads `0`, `metis-0:1:0`, `sim` or `sim:0`. */
export function parseSelector(selector: string | undefined, env: Env): DeviceChoice {
  if (selector === undefined || selector === '') return { simulated: false };
  if (selector.includes(',')) {
    throw new UsageError(
      `--devices takes one device, not ${JSON.stringify(selector)}`,
      'axllm devices lists them',
    );
  }
  const simulated = /^sim(?::(.+))?$/.exec(selector);
  if (!simulated) return { simulated: false, device: selector };
  const device = simulated[1];
  return { simulated: true, runtimeLibrary: simulatorLibrary(env), ...(device ? { device } : {}) };
}

/** The simulated card's library: AXLLM_SIM_LIB, else the one in the package. */
export function simulatorLibrary(env: Env): string {
  return env.AXLLM_SIM_LIB || join(packageRoot, 'sim', 'libaxruntime.so');
}

/** SDK 1.8 writes `metis-0-1-0` where earlier ones write `metis-0:1:0`; a name is never taken apart. */
export function sameDevice(one: string, other: string): boolean {
  return one.replaceAll(':', '-') === other.replaceAll(':', '-');
}
