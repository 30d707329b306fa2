/** The chain that a run on a card uses, link by link: what was seen of each, and what mends it. */
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { sameDevice, type DeviceChoice } from '../devices.js';
import { asAxllmError, AxllmError } from '../errors.js';
import { inspectDevices, probeRuntime, type DeviceInfo, type SystemChain } from '../native.js';

/** The links in their order; the last ones are what the chain is for. */
export const linkNames = [
  'pci card',
  'kernel module',
  'device node',
  'permission',
  'runtime library',
  'runtime version',
  'device list',
  'versions',
  'memory',
  'token on the AIPU',
  'token on the CPU',
  'token on the simulated card',
] as const;
export type LinkName = (typeof linkNames)[number];

export interface Link {
  readonly link: LinkName;
  readonly status: 'ok' | 'failed' | 'skipped';
  readonly seen: string;
  /** What to do where it failed. */
  readonly remedy?: string;
}

export const ok = (link: LinkName, seen: string): Link => ({ link, status: 'ok', seen });
const skipped = (link: LinkName, seen: string): Link => ({ link, status: 'skipped', seen });
export const failed = (link: LinkName, seen: string, remedy: string): Link => ({
  link,
  status: 'failed',
  seen,
  remedy,
});

/** A link for something that is tried: its error is what was seen, the error's hint is the remedy. */
export async function tried(link: LinkName, attempt: () => Promise<string>, remedy: string): Promise<Link> {
  try {
    return ok(link, await attempt());
  } catch (error) {
    const { code, message, hint } = asAxllmError(error);
    return failed(link, `${message} [${code}]`, hint ?? remedy);
  }
}

/** What the system shows below `root`: card, module, node, permission. A broken link leaves the rest unseen. */
export function systemLinks(chain: SystemChain, root: string): Link[] {
  const { pci, module, nodes } = chain;
  const links = [
    pci.length > 0
      ? ok('pci card', pci.join('; '))
      : failed(
          'pci card',
          'no PCI card of vendor 1f9d in this machine',
          'check that the card sits in its slot: lspci -d 1f9d:',
        ),
    module
      ? ok(
          'kernel module',
          `${module.replace(/\s+/g, ' ')}${chain.driverVersion ? `, version ${chain.driverVersion}` : ''}`,
        )
      : failed('kernel module', 'metis is not in /proc/modules', 'sudo modprobe metis'),
    nodes.length > 0
      ? ok('device node', nodes.map((node) => `/dev/${node}`).join(', '))
      : failed('device node', 'there is no /dev/metis-*', 'sudo modprobe -r metis && sudo modprobe metis'),
    permission(nodes, root),
  ];
  const broken = links.findIndex(({ status }) => status === 'failed');
  if (broken === -1) return links;
  return links.map((link, at) =>
    at > broken ? skipped(link.link, `needs the ${links[broken]!.link}`) : link,
  );
}

function permission(nodes: readonly string[], root: string): Link {
  const refused = nodes.filter((node) => !mayOpen(join(root, 'dev', node)));
  if (refused.length === 0) return ok('permission', 'may be read and written');
  const paths = refused.map((node) => `/dev/${node}`).join(' ');
  return failed(
    'permission',
    `${paths} may not be read and written by user ${process.getuid?.() ?? '?'}`,
    `sudo usermod -aG "$(stat -c %G ${paths.split(' ')[0]})" "$USER", then log in again`,
  );
}

function mayOpen(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** What the runtime says: library, version, devices; and the device that a run would use. */
export async function runtimeLinks(
  choice: DeviceChoice,
): Promise<{ links: Link[]; device: DeviceInfo | undefined; path: string | undefined }> {
  const install = 'install the Voyager SDK, or name its libaxruntime.so in AXLLM_RUNTIME_LIB';
  let version = '';
  let path: string | undefined;
  const library = await tried(
    'runtime library',
    async () => {
      const runtime = await probeRuntime(choice.runtimeLibrary);
      ({ version, path } = runtime);
      return path;
    },
    install,
  );
  if (library.status === 'failed') {
    // the library is there, only its interface is another
    const foreign = /\[(version_mismatch|missing_symbols)\]$/.test(library.seen);
    const links: Link[] = foreign
      ? [ok('runtime library', 'found'), { ...library, link: 'runtime version' }]
      : [library, skipped('runtime version', 'needs the runtime library')];
    const why = foreign ? 'needs the runtime version' : 'needs the runtime library';
    return { links: [...links, skipped('device list', why)], device: undefined, path };
  }
  let device: DeviceInfo | undefined;
  const list = await tried(
    'device list',
    async () => {
      const devices = await inspectDevices(choice.runtimeLibrary);
      device = choose(devices, choice.device);
      return devices
        .map(({ index, name, inUse }) => `${index}: ${name}${inUse ? ' (in use)' : ''}`)
        .join(', ');
    },
    'see axllm devices',
  );
  return { links: [library, ok('runtime version', version), list], device, path };
}

function choose(devices: readonly DeviceInfo[], selector: string | undefined): DeviceInfo {
  const named = devices.find(
    ({ index, name }) => selector === String(index) || (selector !== undefined && sameDevice(name, selector)),
  );
  const device = selector === undefined ? (devices.find(({ inUse }) => !inUse) ?? devices[0]) : named;
  if (!device) {
    throw new AxllmError('unknown_device', `no device ${JSON.stringify(selector)}`, {
      hint: `-d takes an index or a name, one of ${devices.map(({ index, name }) => `${index} (${name})`).join(', ')}`,
    });
  }
  if (device.inUse) {
    throw new AxllmError(
      'device_in_use',
      `device ${device.name} is in use by ${device.inUseBy || 'somebody'}`,
      {
        hint: 'wait until the other program ends, or choose another device with -d',
      },
    );
  }
  return device;
}

/** The links in `names` that were not tried because of `why`. */
export function unreached(names: readonly LinkName[], why: string): Link[] {
  return names.map((link) => skipped(link, why));
}
