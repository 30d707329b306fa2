/** Which program makes the tunnel: the user's command, an SSH server, or cloudflared where it is installed. */
import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { AxllmError } from '../errors.js';
import type { OptionValues } from '../options.js';
import type { Env } from '../terminal.js';
import type { TunnelPlan } from './tunnel.js';

/** The plan for `port`, by the options; throws `share_failed` where there is no way. */
export async function planFor(
  values: Pick<OptionValues, 'share-command' | 'share-ssh'>,
  env: Env,
  port: number,
): Promise<TunnelPlan> {
  if (values['share-command'] !== undefined) return commandPlan(values['share-command'], port);
  if (values['share-ssh'] !== undefined) return sshPlan(values['share-ssh'], env, port);
  const cloudflared = onPath('cloudflared', env);
  if (cloudflared !== undefined) return cloudflaredPlan(cloudflared, port);
  throw new AxllmError('share_failed', 'No public link: cloudflared is not on the PATH', {
    hint: 'install cloudflared, or give --share-ssh USER@HOST or --share-command; --ui local asks for no link',
  });
}

const anyAddress = /https?:\/\/[^\s"'<>|]+/;

function commandPlan(command: string, port: number): TunnelPlan {
  return {
    name: 'the share command',
    command: ['/bin/sh', '-c', command.replaceAll('{port}', String(port))],
    addressIn: (line) => anyAddress.exec(line)?.[0],
    hint: () => '--share-command forwards to 127.0.0.1:{port}, and prints a line with the public address',
  };
}

function cloudflaredPlan(path: string, port: number): TunnelPlan {
  return {
    name: 'cloudflared',
    command: [path, 'tunnel', '--no-autoupdate', '--url', `http://127.0.0.1:${port}`],
    addressIn: (line) => /https:\/\/[\w-]+\.trycloudflare\.com/.exec(line)?.[0],
    hint: () => `run ${path} tunnel --url http://127.0.0.1:${port} to see what it says`,
  };
}

/** A forward of whatever port the server has free; `ssh -G` knows the host behind a name of the user's. */
async function sshPlan(target: string, env: Env, port: number): Promise<TunnelPlan> {
  const host = await hostOf(target, env);
  const options = [
    'ExitOnForwardFailure=yes',
    // nobody is there to type a password, or to say that a host is known
    'BatchMode=yes',
    'ConnectTimeout=15',
    'ServerAliveInterval=15',
    'ServerAliveCountMax=3',
  ].flatMap((option) => ['-o', option]);
  return {
    name: 'ssh',
    command: ['ssh', '-N', '-T', ...options, '-R', `*:0:127.0.0.1:${port}`, '--', target],
    addressIn(line) {
      const allocated = /^Allocated port (\d+) for remote forward/.exec(line);
      return allocated ? `http://${host}:${allocated[1]}` : undefined;
    },
    hint: () => `ssh ${target} true must work without a question, and the server must allow remote forwards`,
  };
}

async function hostOf(target: string, env: Env): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)('ssh', ['-G', '--', target], { env: { ...env } });
    const host = /^hostname (.+)$/m.exec(stdout)?.[1] ?? target;
    return host.includes(':') ? `[${host}]` : host;
  } catch (cause) {
    throw new AxllmError('share_failed', `No public link: ssh does not take ${JSON.stringify(target)}`, {
      cause,
      hint: 'give --share-ssh as USER@HOST, ssh://USER@HOST:PORT, or a name of your ssh configuration',
    });
  }
}

function onPath(name: string, { PATH = '' }: Env): string | undefined {
  return PATH.split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}
