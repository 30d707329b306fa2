/** How the page comes in: it exchanges the secret of its address for a cookie that no script can read. */
import * as z from 'zod';
import { HttpError } from './http-error.js';
import { json, route } from './route.js';

const schema = z.object({ key: z.string().min(1).max(512) });

/** Wrong guesses that are answered without delay, and how long each further one waits. */
const free = 5;
const delayMs = 1000;
const perMs = 60_000;
const failures: number[] = [];

export const sessionRoute = route<z.infer<typeof schema>>({
  method: 'POST',
  path: '/ui/session',
  access: 'open',
  style: 'openai',
  summary: "Exchanges the page's secret, or a key, for a cookie.",
  input: schema,
  async handle({ server, input, response, cookieName }) {
    const cookie = server.access.exchange(input.key);
    if (cookie === undefined) {
      await guessed();
      throw new HttpError(401, 'This key is not, or no longer, good', { code: 'invalid_api_key' });
    }
    response.setHeader('Set-Cookie', `${cookieName}=${cookie}; HttpOnly; SameSite=Strict; Path=/`);
    json(response, { ok: true });
  },
});

/** A secret of 32 bytes is not guessed; a short key of the user's must not be either. */
async function guessed(): Promise<void> {
  const now = Date.now();
  while (failures.length > 0 && failures[0]! < now - perMs) failures.shift();
  failures.push(now);
  if (failures.length > free) await new Promise((resolve) => setTimeout(resolve, delayMs));
}
