/** `axllm devices`: what the runtime lists, and what the system shows of it. */
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { settings, type Context } from '../context.js';
import { parseSelector, sameDevice } from '../devices.js';
import { inspectDevices, systemChain, type DeviceInfo, type SystemChain } from '../native.js';
import { oneLine, write, writeJson } from '../terminal.js';
import { yargsOptions } from './yargs-options.js';

export const devicesCommand = (context: Context): CommandModule => ({
  command: 'devices',
  describe: 'List the Metis devices, or with -d sim the simulated ones',
  builder: (yargs) =>
    yargs.options(yargsOptions('devices')).example('$0 devices -d sim --json', 'for programs'),
  handler: (argv) => run(argv, context),
});

async function run(argv: ArgumentsCamelCase, context: Context): Promise<void> {
  const { env, stdout } = context;
  const { values } = await settings(context, 'devices', argv);
  const choice = parseSelector(values.devices, env);
  const devices = await inspectDevices(choice.runtimeLibrary);
  const chain = await systemChain(env.AXLLM_SYSTEM_ROOT || '/');
  if (values.json) {
    return writeJson(
      stdout,
      devices.map((device) => forPrograms(device, chain)),
      2,
    );
  }
  const lines = [...devices.map(line), ...(choice.simulated ? [] : systemLines(chain))];
  return write(stdout, lines.map((each) => `${oneLine(each)}\n`).join(''));
}

/** In the style of the vendor's `axdevice`, which ends before `fw`. */
function line(device: DeviceInfo): string {
  const { index, name, boardType, flashedFirmwareVersion, boardControllerFirmwareVersion } = device;
  const memory = device.maxMemory > 0 ? `${(device.maxMemory / 2 ** 30).toFixed(0)}GiB` : 'memory?';
  const use = device.inUse ? `in use${device.inUseBy ? ` by ${device.inUseBy}` : ''}` : 'free';
  const parts = [
    `Device ${index}: ${name} ${memory} ${boardType.toLowerCase()}`,
    `flver=${flashedFirmwareVersion || '?'} bcver=${boardControllerFirmwareVersion || '?'}`,
    ...settingsOf(device),
    `fw=${device.firmwareVersion || '?'} ${use}`,
  ];
  return parts.join(' ');
}

/** `clock=800MHz(0-3:800MHz) mvm=0-3:100%`, as far as the runtime tells. */
function settingsOf({ configuration, subdevices }: DeviceInfo): string[] {
  if (!configuration) return [];
  const cores = (key: string, unit: string) =>
    ranges(
      Array.from({ length: subdevices }, (_, core) => configuration[`${key}_core_${core}`]),
      unit,
    );
  const clock = configuration.clock_profile;
  const clocks = cores('clock_profile', 'MHz');
  const mvm = cores('mvm_utilisation', '%');
  return [
    ...(clock === undefined ? [] : [`clock=${clock}MHz${clocks ? `(${clocks})` : ''}`]),
    ...(mvm ? [`mvm=${mvm}`] : []),
  ];
}

/** Neighbouring cores with the same value as one range: `0-1:800MHz,2-3:400MHz`. */
function ranges(values: readonly (string | undefined)[], unit: string): string {
  const groups: { from: number; to: number; value: string }[] = [];
  values.forEach((value, core) => {
    const last = groups.at(-1);
    if (value === undefined) return;
    if (last?.value === value && last.to === core - 1) last.to = core;
    else groups.push({ from: core, to: core, value });
  });
  return groups
    .map(({ from, to, value }) => `${from === to ? from : `${from}-${to}`}:${value}${unit}`)
    .join(',');
}

function systemLines({ pci, module, driverVersion, nodes }: SystemChain): string[] {
  const version = driverVersion ? ` version ${driverVersion}` : '';
  return [
    ...(pci.length > 0 ? pci.map((card) => `PCI: ${card}`) : ['PCI: no card of vendor 1f9d']),
    `Driver: ${module ? `${module.replace(/\s+/g, ' ')}${version}` : 'the kernel module metis is not loaded'}`,
    `Nodes: ${nodes.map((node) => `/dev/${node}`).join(' ') || 'none'}`,
  ];
}

function forPrograms(device: DeviceInfo, { pci, module, driverVersion, nodes }: SystemChain): object {
  const node = nodes.find((each) => sameDevice(each, device.name));
  return {
    index: device.index,
    name: device.name,
    board_type: device.boardType,
    memory_bytes: device.maxMemory,
    cores: device.subdevices,
    in_use: device.inUse,
    in_use_by: device.inUseBy || null,
    firmware: device.firmwareVersion,
    flashed_firmware: device.flashedFirmwareVersion,
    board_controller_firmware: device.boardControllerFirmwareVersion,
    configuration: device.configuration ?? null,
    node: node === undefined ? null : `/dev/${node}`,
    pci,
    driver: module ? { module: module.replace(/\s+/g, ' '), version: driverVersion ?? null } : null,
  };
}
