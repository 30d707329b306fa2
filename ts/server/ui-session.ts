/** How the page comes in: it exchanges the secret of its address for a cookie that no script can read. */
import * as z from 'zod';
import { HttpError } from './http-error.js';
import { json, route } from './route.js';

const schema = z.object({ key: z.string().min(1).max(512) });

export const sessionRoute = route<z.infer<typeof schema>>({
  method: 'POST',
  path: '/ui/session',
  access: 'open',
  style: 'openai',
  summary: "Exchanges the page's secret, or a key, for a cookie.",
  input: schema,
  async handle({ server, input, response, cookie }) {
    const secret = server.access.exchange(input.key);
    if (secret === undefined) {
      await server.access.guessed();
      throw new HttpError(401, 'This key is not, or no longer, good', { code: 'invalid_api_key' });
    }
    const secure = cookie.secure ? '; Secure' : '';
    const attributes = `HttpOnly; SameSite=Strict; Path=/${secure}`;
    response.setHeader('Set-Cookie', `${cookie.name}=${secret}; ${attributes}`);
    json(response, { ok: true });
  },
});
