/** A server on the tiny model, in the test's own process, and short ways to ask it. */
import type { ExecutionContext } from 'ava';
import { load, type Model } from '../../ts/index.js';
import { startServer, type RunningServer, type ServerOptions } from '../../ts/server/start.js';
import { temporary } from './folder.js';
import { writeTinyModel } from './tiny-model.js';

export interface Tiny extends RunningServer {
  readonly model: Model;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // what a test expects of a body is the test's own business
  // oxlint-disable-next-line no-explicit-any
  readonly body: any;
}

/** Ends with the test. */
export async function tinyServer(
  t: ExecutionContext,
  options: Partial<ServerOptions> & { layers?: number; id?: string } = {},
): Promise<Tiny> {
  const { layers, id = 'tiny', ...rest } = options;
  const model = await load(writeTinyModel(temporary(t), layers), { pipeline: 'transformers' });
  const server = await startServer({ models: [{ id, models: [model] }], ...rest });
  t.teardown(async () => {
    await server.close();
    model.dispose();
  });
  await server.ready;
  return { ...server, model };
}

/** Sends JSON, or a text as it is. */
export async function post(
  url: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const sent = { 'content-type': 'application/json', ...headers };
  return read(await fetch(url, { method: 'POST', headers: sent, body: text }));
}

export async function get(url: string, headers: Record<string, string> = {}): Promise<Answer> {
  return read(await fetch(url, { headers }));
}

async function read(response: Response): Promise<Answer> {
  const text = await response.text();
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    body = undefined;
  }
  return { status: response.status, headers: response.headers, text, body };
}

/** The objects of an event stream; `[DONE]` is the text `DONE`. */
// oxlint-disable-next-line no-explicit-any
export function events(text: string): any[] {
  return text
    .split('\n\n')
    .filter((block) => block.startsWith('data: '))
    .map((block) => (block === 'data: [DONE]' ? 'DONE' : JSON.parse(block.slice(6))));
}

export const user = (content: string) => [{ role: 'user' as const, content }];
