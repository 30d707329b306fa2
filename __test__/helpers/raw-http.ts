/** Requests that no HTTP library would send. */
import { connect } from 'node:net';
import { text as readAll } from 'node:stream/consumers';

/** Sends bytes as they are and reads all that comes back. */
export async function raw(port: number, bytes: string | Buffer): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(bytes);
  const answer = await readAll(socket);
  return answer;
}

export const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);
