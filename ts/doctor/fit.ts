/** Whether parts that are there also fit each other: firmware, driver, memory. */
import { axmodelWanted } from '../axmodel.js';
import type { DeviceInfo, SystemChain } from '../native.js';
import type { Build } from '../store/cards.js';
import { failed, ok, type Link } from './links.js';

/** The oldest driver that SDK 1.8 accepts. */
const oldestDriver = '1.6.2';

/** What has to fit the device. */
export interface Around {
  readonly chain: SystemChain;
  /** The runtime library's path: its folder tells the SDK's version. */
  readonly runtime: string | undefined;
  /** What the model has for Metis; none where it is compiled here. */
  readonly builds: readonly Build[];
}

/** Firmware, driver, runtime and the model's archive against each other, as one matrix. */
export function versionLink(device: DeviceInfo, { chain, runtime, builds }: Around): Link {
  const { firmwareVersion, flashedFirmwareVersion } = device;
  const driver = chain.driverVersion ?? undefined;
  const wanted = runtime === undefined ? undefined : axmodelWanted(runtime);
  const archives = builds.flatMap(({ axmodel }) => axmodel ?? []);
  const seen = [
    `firmware ${firmwareVersion || 'unknown'} (flashed ${flashedFirmwareVersion || 'unknown'})`,
    `driver ${driver ?? 'unknown'}`,
    ...(wanted === undefined ? [] : [`runtime for AxModel ${wanted}`]),
    ...(archives.length === 0 ? [] : [`archives for AxModel ${archives.join(' and ')}`]),
  ].join(', ');
  // a runtime that wants AxModel 4 is older than this rule
  if (wanted !== 4 && driver !== undefined && older(driver, oldestDriver)) {
    return failed('versions', seen, `update the driver: SDK 1.8 refuses those before ${oldestDriver}`);
  }
  if (flashedFirmwareVersion && firmwareVersion && flashedFirmwareVersion !== firmwareVersion) {
    return failed(
      'versions',
      seen,
      'switch the machine off and on: the card then starts the flashed firmware',
    );
  }
  if (wanted !== undefined && archives.length > 0 && !archives.includes(wanted)) {
    const remedy = `choose a model with an archive for AxModel ${wanted}, or install the SDK that takes ${archives.join(' or ')}`;
    return failed('versions', seen, remedy);
  }
  return ok('versions', seen);
}

/** Whether version `a` comes before `b`; parts that are no numbers count as 0. */
export function older(a: string, b: string): boolean {
  const [left, right] = [parts(a), parts(b)];
  for (let n = 0; n < Math.max(left.length, right.length); n++) {
    const difference = (left[n] ?? 0) - (right[n] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

function parts(version: string): number[] {
  return version.split(/[.-]/).map((part) => Number.parseInt(part, 10) || 0);
}

/** Whether a model that needs `needed` GiB fits. */
export function memoryLink(device: DeviceInfo, needed: number, model: string): Link {
  if (device.maxMemory === 0) return ok('memory', 'this runtime does not say how much there is');
  const gib = device.maxMemory / 2 ** 30;
  const seen = `${gib.toFixed(gib < 10 ? 1 : 0)} GiB, ${model} needs ${needed}`;
  return gib + 0.01 < needed
    ? failed('memory', seen, 'choose a smaller model with -m, or a card with more memory with -d')
    : ok('memory', seen);
}
