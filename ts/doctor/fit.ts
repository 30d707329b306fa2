/** Whether parts that are there also fit each other: firmware, driver, memory. */
import type { DeviceInfo, SystemChain } from '../native.js';
import { failed, ok, type Link } from './links.js';

/** The oldest driver that SDK 1.8 accepts. */
const oldestDriver = '1.6.2';

/** Firmware and driver against each other; the archive is judged by the runtime when it loads it. */
export function versionLink(device: DeviceInfo, chain: SystemChain): Link {
  const { firmwareVersion, flashedFirmwareVersion } = device;
  const driver = chain.driverVersion;
  const seen = `firmware ${firmwareVersion || 'unknown'} (flashed ${flashedFirmwareVersion || 'unknown'}), driver ${driver ?? 'unknown'}`;
  if (driver !== undefined && driver !== null && older(driver, oldestDriver)) {
    return failed('versions', seen, `update the driver: SDK 1.8 refuses those before ${oldestDriver}`);
  }
  if (flashedFirmwareVersion && firmwareVersion && flashedFirmwareVersion !== firmwareVersion) {
    return failed(
      'versions',
      seen,
      'switch the machine off and on: the card then starts the flashed firmware',
    );
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
