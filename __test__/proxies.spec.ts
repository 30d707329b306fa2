/** Networks as companies have them: their own certificates, and proxies of every kind, through the real program. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { createServer as createTls } from 'node:tls';
import anyTest, { type ExecutionContext } from 'ava';
import { axllm, errorLines } from './helpers/cli.js';
import { machine, vendor } from './helpers/vendor.js';

const test = anyTest.serial;

async function listen(t: ExecutionContext, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => void server.close());
  return (server.address() as AddressInfo).port;
}

function join2(one: Socket, other: Socket): void {
  for (const each of [one, other]) each.on('error', () => void (one.destroy(), other.destroy()));
  one.pipe(other).pipe(one);
}

/** A certificate of its own authority for localhost; the authority's is `ca.pem`. */
function certify(folder: string): { key: Buffer; cert: Buffer; ca: string } {
  const run = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  run('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '9', '-subj', '/CN=our own');
  run('req', ...key, '-keyout', 'key.pem', '-out', 'request.pem', '-subj', '/CN=localhost');
  writeFileSync(join(folder, 'names'), 'subjectAltName=DNS:localhost');
  const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'names'];
  run('x509', '-req', '-in', 'request.pem', '-out', 'cert.pem', '-days', '9', ...signed);
  const read = (name: string) => readFileSync(join(folder, name));
  return { key: read('key.pem'), cert: read('cert.pem'), ca: join(folder, 'ca.pem') };
}

/** The vendor's server behind TLS, two proxies, and what each was asked for. */
async function world(t: ExecutionContext) {
  const set = await vendor(t);
  const { ca, ...own } = certify(set.folder);
  const target = Number(new URL(set.server.url).port);
  const https = await listen(
    t,
    createTls(own, (socket) => join2(socket, connect(target, '127.0.0.1'))),
  );
  writeFileSync(
    set.card,
    readFileSync(set.card, 'utf8').replaceAll(set.server.url, `https://localhost:${https}`),
  );
  const asked: string[] = [];
  const tunnels = createHttp().on('connect', (request, socket: Socket) => {
    asked.push(`http ${request.url}`);
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    join2(socket, connect(https, '127.0.0.1'));
  });
  const http = await listen(t, tunnels);
  const socks = await listen(
    t,
    createServer((socket) => {
      socket.once('data', () => {
        socket.write(Buffer.from([5, 0]));
        socket.once('data', (request) => {
          // the host's name goes to the proxy, which looks it up
          asked.push(`socks ${request.toString('latin1', 5, 5 + request[4]!)}`);
          socket.write(Buffer.from([5, 0, 0, 1, 127, 0, 0, 1, 0, 0]));
          join2(socket, connect(https, '127.0.0.1'));
        });
      });
    }),
  );
  let runs = 0;
  const pull = async (env: Record<string, string>) => {
    asked.length = 0;
    const run = await axllm(['pull', set.card, '-d', 'sim'], { env: machine(set.folder, `m${runs++}`, env) });
    return { ...run, asked: new Set(asked) };
  };
  return { pull, ca, http, socks, https };
}

test('a server whose certificate is of an authority of its own', async (t) => {
  const { pull, ca } = await world(t);
  const unknown = await pull({});
  t.is(unknown.status, 1);
  t.is(errorLines(unknown).length, 1);
  t.regex(errorLines(unknown)[0] ?? '', /https:\/\/localhost:\d+.*certificate.*\[download_failed\]$/);
  for (const name of ['SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS']) {
    const run = await pull({ [name]: ca });
    t.is(run.status, 0, `${name}: ${run.stderr}`);
  }
  const absent = await pull({ SSL_CERT_FILE: '/no/such.pem' });
  t.is(absent.status, 1);
  t.regex(
    errorLines(absent)[0] ?? '',
    /SSL_CERT_FILE names certificates that cannot be read: .*\/no\/such\.pem/,
  );
});

test('proxies: with and without a scheme, SOCKS, hosts that are left out, and what cannot be used', async (t) => {
  const { pull, ca, http, socks, https } = await world(t);
  const through = async (env: Record<string, string>) => {
    const run = await pull({ NODE_EXTRA_CA_CERTS: ca, ...env });
    t.is(run.status, 0, `${JSON.stringify(env)}: ${run.stderr}`);
    return [...run.asked];
  };
  const tunnel = [`http localhost:${https}`];
  t.deepEqual(await through({ HTTPS_PROXY: `http://127.0.0.1:${http}` }), tunnel);
  t.deepEqual(await through({ https_proxy: `127.0.0.1:${http}` }), tunnel);
  t.deepEqual(await through({ ALL_PROXY: `http://127.0.0.1:${http}`, SSL_CERT_FILE: ca }), tunnel);
  t.deepEqual(await through({ HTTPS_PROXY: `http://127.0.0.1:${http}`, NO_PROXY: 'localhost' }), []);
  t.deepEqual(
    await through({ HTTPS_PROXY: `http://127.0.0.1:${http}`, no_proxy: `.lan, localhost:${https}` }),
    [],
  );
  t.deepEqual(await through({ ALL_PROXY: `socks5h://127.0.0.1:${socks}` }), ['socks localhost']);
  t.deepEqual(await through({ ALL_PROXY: `socks5://127.0.0.1:${socks}`, NO_PROXY: '*' }), []);
  const refused = await pull({ ALL_PROXY: 'socks4://me:secret@127.0.0.1:1080' });
  t.is(refused.status, 1);
  t.regex(
    errorLines(refused)[0] ?? '',
    /ALL_PROXY is no proxy that axllm can use: socks4:\/\/127\.0\.0\.1:1080/,
  );
  t.false(refused.stderr.includes('secret'));
});
