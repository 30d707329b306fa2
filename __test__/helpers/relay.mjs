// An HTTP relay on the loopback, as a tunnel's other end: `relay.mjs PORT [HOST]` prints its address; HOST replaces
// the Host of what it forwards. With RELAY_TLS, a folder with `key.pem` and `cert.pem`, it speaks TLS to the world.
// Ends, as relays do, when it is told to `GET /drop`.
import { readFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { createServer as createTlsServer } from 'node:https';

const [port, host] = process.argv.slice(2);
const tls = process.env.RELAY_TLS;
const pem = (name) => readFileSync(`${tls}/${name}.pem`);
const serve = (answer) =>
  tls ? createTlsServer({ key: pem('key'), cert: pem('cert') }, answer) : createServer(answer);
const relay = serve((incoming, outgoing) => {
  if (incoming.url === '/drop') process.exit(7);
  const headers = host === undefined ? incoming.headers : { ...incoming.headers, host };
  const { method, url: path } = incoming;
  const forward = request({ port, method, path, headers }, (answer) => {
    outgoing.writeHead(answer.statusCode, answer.headers);
    answer.pipe(outgoing);
  });
  forward.on('error', () => outgoing.destroy());
  outgoing.on('close', () => forward.destroy());
  incoming.pipe(forward);
});
relay.listen(0, '127.0.0.1', () => {
  const scheme = tls ? 'https' : 'http';
  process.stdout.write(
    `relaying to ${port}\npublic address: ${scheme}://127.0.0.1:${relay.address().port}/\n`,
  );
});
