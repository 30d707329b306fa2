import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ExecutionContext } from 'ava';

export type Answer = (request: IncomingMessage, response: ServerResponse, count: number) => void;

/** A real HTTP server on the loopback; `answer` is told how many requests came before. */
export async function serve(t: Pick<ExecutionContext, 'teardown'>, answer: Answer) {
  const seen: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    seen.push(request);
    answer(request, response, seen.length - 1);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, seen };
}

/** Bytes without a pattern, the same each time, and what they hash to. */
export function sample(size: number) {
  const body = Buffer.alloc(size);
  for (let i = 0, state = 1; i < size; i++)
    body[i] = (state = (state * 1103515245 + 12345) & 0x7fffffff) >> 16;
  const hash = (name: string) => createHash(name).update(body).digest('hex');
  return { body, expected: { size, md5: hash('md5'), sha256: hash('sha256') } };
}
