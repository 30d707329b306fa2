/** `axllm devices`: what the runtime lists. */
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { settings, type Context } from '../context.js';
import { parseSelector } from '../devices.js';
import { listDevices, type DeviceInfo } from '../native.js';
import { oneLine, write } from '../terminal.js';
import { yargsOptions } from './yargs-options.js';

export const devicesCommand = (context: Context): CommandModule => ({
  command: 'devices',
  describe: 'List the Metis devices, or with -d sim the simulated ones',
  builder: (yargs) => yargs.options(yargsOptions('devices')),
  handler: (argv) => run(argv, context),
});

async function run(argv: ArgumentsCamelCase, context: Context): Promise<void> {
  const { env, stdout } = context;
  const { values } = await settings(context, 'devices', argv);
  const devices = await listDevices(parseSelector(values.devices, env).runtimeLibrary);
  await write(stdout, devices.map((device) => `${line(device)}\n`).join(''));
}

function line(device: DeviceInfo): string {
  const memory = device.maxMemory > 0 ? `${(device.maxMemory / 2 ** 30).toFixed(0)} GiB` : 'memory unknown';
  const use = device.inUse ? `in use${device.inUseBy ? ` by ${device.inUseBy}` : ''}` : 'free';
  const { index, name, boardType, subdevices, firmwareVersion } = device;
  return oneLine(
    `${index}: ${name} ${boardType} ${memory} ${subdevices} sub-devices fw ${firmwareVersion} ${use}`,
  );
}
