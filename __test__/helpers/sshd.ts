/** A real SSH server on the loopback, and an `ssh` that knows it as `tunnel`. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer, connect, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { temporary } from './folder.js';

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The PATH with that `ssh` first. */
export async function sshServer(t: ExecutionContext, more = ''): Promise<string> {
  const folder = temporary(t);
  const at = (name: string) => join(folder, name);
  for (const key of ['host', 'user']) {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at(key)]);
  }
  copyFileSync(at('user.pub'), at('authorized'));
  const port = await freePort();
  const server = [`HostKey ${at('host')}`, `AuthorizedKeysFile ${at('authorized')}`, 'PidFile none'];
  writeFileSync(at('sshd.conf'), [...server, 'StrictModes no', 'UsePAM no', more].join('\n'));
  // where it drops its rights; the package makes it at boot, and a container never boots
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true });
  const address = ['-p', String(port), '-o', 'ListenAddress=127.0.0.1'];
  const daemon = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', at('sshd.conf'), ...address], {
    stdio: 'ignore',
  });
  t.teardown(() => daemon.kill());
  const host = execFileSync('cut', ['-d', ' ', '-f', '1,2', at('host.pub')], { encoding: 'utf8' });
  writeFileSync(at('known'), `[127.0.0.1]:${port} ${host}`);
  const client = ['Host tunnel', 'HostName 127.0.0.1', `Port ${port}`, `IdentityFile ${at('user')}`];
  writeFileSync(at('config'), [...client, `UserKnownHostsFile ${at('known')}`].join('\n  '));
  const ssh = execFileSync('sh', ['-c', 'command -v ssh'], { encoding: 'utf8' }).trim();
  mkdirSync(at('bin'));
  writeFileSync(at('bin/ssh'), `#!/bin/sh\nexec ${ssh} -F ${at('config')} "$@"\n`, { mode: 0o755 });
  await reachable(port);
  return `${at('bin')}:${process.env.PATH}`;
}

async function reachable(port: number): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    const socket = connect(port, '127.0.0.1');
    const answered = await once(socket, 'data').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (answered) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('sshd does not answer');
}
