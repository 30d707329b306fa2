/** Hostile Markdown in the real page, under its real policy: no script runs, and nobody else is asked for anything. */
import { fileURLToPath } from 'node:url';
import anyTest from 'ava';
import { build } from 'esbuild';
import { chromiumBrowser, closeBrowser, say, visitor } from './helpers/browser.js';
import { echoModel } from './helpers/echo-model.js';
import { hostileMarkdown } from './helpers/web_hostile.js';
import { serve } from './helpers/server.js';
import { startServer } from '../ts/server/start.js';
import { pageRoute } from '../ts/server/page-route.js';

const test = anyTest.serial;
test.after.always(closeBrowser);

async function echoing(t: Parameters<typeof visitor>[0], chunk: number) {
  const page = { simple: false, history: false, defaults: {}, loading: () => ({}), share: () => undefined };
  const server = await startServer({
    models: [{ id: 'echo', models: [echoModel(chunk)] }],
    routes: [pageRoute(page)],
  });
  t.teardown(() => server.close());
  const home = await serve(t, (_, response) => void response.end('home'));
  const watched = await visitor(t, server.url);
  await watched.page.locator('.greeting').waitFor();
  await watched.page.evaluate(() => {
    addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
      console.error(`policy: ${violatedDirective} ${blockedURI}`),
    );
  });
  return { ...watched, home };
}

type Attack = { attack(texts: readonly string[], sizes: readonly number[]): Promise<string[]> };

test('332 payloads, at four chunkings each, by the page’s own renderer', async (t) => {
  const { page, wrong, home } = await echoing(t, 4);
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('web/attack.ts', import.meta.url))],
    bundle: true,
    write: false,
    format: 'iife',
    target: 'es2022',
  });
  await page.evaluate(outputFiles[0]!.text);
  const texts = hostileMarkdown(home.url);
  t.is(texts.length, 332);
  const [short, heavy] = [
    texts.filter((text) => text.length < 1000),
    texts.filter((text) => text.length >= 1000),
  ];
  const found = [];
  for (const [some, sizes] of [
    [short, [1, 7, 31, 1000]],
    [heavy, [997, 5000, 100_000]],
  ] as const) {
    const run = (args: [string[], number[]]) => (globalThis as unknown as Attack).attack(...args);
    found.push(...(await page.evaluate(run, [some, [...sizes]] as [string[], number[]])));
  }
  t.deepEqual(found, []);
  t.deepEqual(wrong, []);
  t.deepEqual(
    home.seen.map(({ url }) => url),
    [],
  );
  t.is(await page.evaluate(() => (globalThis as { hit?: number }).hit), undefined);
  t.not(await page.title(), 'hit');
});

test('the same through a chat: one of each kind, as message, reply, title and imported file', async (t) => {
  const { page, wrong, home } = await echoing(t, 3);
  const texts = hostileMarkdown(home.url).filter((text) => text.length < 500);
  const some = texts.filter((_, at) => at % 12 === 0);
  for (const text of some) {
    await page.click('text=New chat');
    await say(page, text);
  }
  const turns = texts.map((text, id) => ({
    id,
    parent: id === 0 ? null : id - 1,
    user: text,
    assistant: text,
  }));
  const saved = new Date().toISOString();
  const file = {
    version: 1,
    model: texts[0],
    saved,
    system: texts[1],
    history: true,
    head: turns.length - 1,
    turns,
  };
  const buffer = Buffer.from(JSON.stringify(file));
  await page
    .locator('input[type=file]')
    .setInputFiles({ name: texts[3]!, mimeType: 'application/json', buffer });
  await page.waitForFunction((count) => document.querySelectorAll('article').length === count, turns.length);
  t.deepEqual(wrong, []);
  t.deepEqual(
    home.seen.map(({ url }) => url),
    [],
  );
  t.is(await page.evaluate(() => (globalThis as { hit?: number }).hit), undefined);
  t.is(
    await page.evaluate(
      () => document.querySelectorAll('.chat :is(img, iframe, script, style, form:not(.field), link)').length,
    ),
    0,
  );
  t.is(await page.title(), 'echo · axllm');
});

test('another page, on another port, cannot use the server', async (t) => {
  const { home } = await echoing(t, 4);
  const server = await startServer({ models: [{ id: 'echo', models: [echoModel(4)] }] });
  t.teardown(() => server.close());
  const context = await (await chromiumBrowser()).newContext();
  t.teardown(() => context.close());
  const page = await context.newPage();
  await page.goto(home.url);
  const body = JSON.stringify({ messages: [{ role: 'user', content: 'hi' }] });
  const chat = '/v1/chat/completions';
  const tries: [
    string,
    Pick<RequestInit, 'method' | 'mode'> & { body?: string; headers?: Record<string, string> },
  ][] = [
    ['/v1/models', {}],
    [chat, { method: 'POST', body, headers: { 'content-type': 'application/json' } }],
    [chat, { method: 'POST', body, headers: { 'content-type': 'text/plain' } }],
    [chat, { method: 'POST', body, mode: 'no-cors' }],
  ];
  const tried = await page.evaluate(
    ([all, url]) =>
      Promise.all(
        all.map(([path, init]) =>
          fetch(url + path, init).then(
            (response) => `${response.type} ${response.status}`,
            () => 'refused',
          ),
        ),
      ),
    [tries, server.url] as const,
  );
  t.deepEqual(tried, ['refused', 'refused', 'refused', 'refused']);
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  t.notRegex(metrics, /chat\/completions",[^}]*200/);
});
