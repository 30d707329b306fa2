// Takes docs/images/web-*.png: the page in Debian's Chromium, talking to the default model.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';
import { root } from './freshness.mjs';

/** A conversation before the one in the picture, and that one. */
const conversations = [
  ['Explain how a rainbow forms, in three sentences.'],
  ['Give me three names for a small bakery.', 'Write a Python function that adds two numbers.'],
];
const views = [
  { name: 'light', viewport: { width: 1200, height: 760 }, colorScheme: 'light' },
  { name: 'dark', viewport: { width: 1200, height: 760 }, colorScheme: 'dark', settings: true },
  {
    name: 'phone',
    viewport: { width: 390, height: 760 },
    colorScheme: 'light',
    isMobile: true,
    hasTouch: true,
  },
];

const args = [join(root, 'dist', 'cli.js'), '--ui', 'local', '--port', '0', '--max-tokens', '220'];
const server = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
const [line] = await once(createInterface({ input: server.stdout }), 'line');
const url = /http\S+/.exec(line)[0];
const quiet = '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking';
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: quiet.split(' ') });
try {
  for (const { name, settings = false, ...options } of views) {
    const page = await (await browser.newContext(options)).newPage();
    await page.goto(url);
    for (const [at, questions] of conversations.entries()) {
      if (at > 0) await page.locator('.new-chat').dispatchEvent('click');
      for (const question of questions) {
        await page.fill('#message', question);
        await page.click('[aria-label=Send]:not([disabled])');
        await page.waitForFunction(
          () => document.querySelector('.column')?.getAttribute('aria-busy') === 'false',
        );
      }
    }
    await page.evaluate(() => document.querySelector('.transcript').scrollTo(0, 1e6));
    if (settings) await page.click('[aria-label=Settings]');
    await page.mouse.move(0, 0);
    await page.waitForTimeout(400);
    await page.screenshot({ path: join(root, 'docs', 'images', `web-${name}.png`) });
  }
} finally {
  await browser.close();
  server.kill();
}
