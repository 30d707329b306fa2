// An HTTP relay on the loopback, as a tunnel's other end: `relay.mjs PORT [HOST]` prints its address; HOST replaces
// the Host of what it forwards. Ends, as relays do, when it is told to `GET /drop`.
import { createServer, request } from 'node:http';

const [port, host] = process.argv.slice(2);
const relay = createServer((incoming, outgoing) => {
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
  process.stdout.write(`relaying to ${port}\npublic address: http://127.0.0.1:${relay.address().port}/\n`);
});
