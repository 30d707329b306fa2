/** Debian's Chromium, with a page that may talk to the chat's own server and to nobody else. */
import { once } from 'node:events';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import type { ExecutionContext } from 'ava';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { start } from './cli.js';

let browser: Promise<Browser> | undefined;

/** One browser a test file; {@link closeBrowser} ends it. */
export function chromiumBrowser(): Promise<Browser> {
  const quiet = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'];
  const alone = ['--disable-background-networking', '--disable-component-update', '--disable-sync'];
  browser ??= chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [...quiet, ...alone, '--host-resolver-rules=MAP box.test 127.0.0.1'],
  });
  return browser;
}

/** For `test.after.always`: a browser that is left keeps the test process from ending. */
export async function closeBrowser(): Promise<void> {
  await (await browser)?.close();
}

/** A page with what went wrong on it: requests to other origins, errors, refusals of its own policy. */
export interface Watched {
  readonly page: Page;
  readonly wrong: string[];
}

/** A new visitor: storage and cookies of its own. */
export async function visitor(
  t: ExecutionContext,
  url: string,
  options: BrowserContextOptions = {},
): Promise<Watched> {
  const context = await (await chromiumBrowser()).newContext(options);
  t.teardown(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const wrong: string[] = [];
  const { origin } = new URL(url);
  await context.route(
    (address) => address.origin !== origin && address.protocol !== 'blob:' && address.protocol !== 'data:',
    (route) => {
      wrong.push(`request to ${route.request().url()}`);
      return route.abort();
    },
  );
  page.on('pageerror', (error) => wrong.push(`error: ${error.message}`));
  page.on('dialog', (dialog) => {
    wrong.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('console', (message) => {
    // a server that is gone, or refuses, is what some tests are about
    const expected = message.text().startsWith('Failed to load resource');
    if (message.type() === 'error' && !expected) wrong.push(`console: ${message.text()}`);
  });
  await page.goto(url);
  return { page, wrong };
}

export interface Served {
  readonly child: ChildProcessWithoutNullStreams;
  /** As printed, with its secret if it has one. */
  readonly url: string;
  stdout(): string;
  stderr(): string;
  /** Waits until something is printed. */
  printed(what: RegExp): Promise<RegExpExecArray>;
  /** Ends it as a user would; its status. */
  end(signal?: NodeJS.Signals): Promise<number | null>;
}

/** `axllm --ui …` as a user starts it. */
export async function serveUi(
  t: ExecutionContext,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Served> {
  const child = start(args, env);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const exit = once(child, 'close') as Promise<[number | null]>;
  t.teardown(async () => {
    child.kill('SIGKILL');
    await exit;
  });
  const printed = async (what: RegExp) => {
    for (const until = Date.now() + 120_000; Date.now() < until;) {
      const found = what.exec(stdout) ?? what.exec(stderr);
      if (found) return found;
      if (child.exitCode !== null) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`${what} was not printed:\n${stdout}\n${stderr}`);
  };
  const url = (await printed(/^Running on local URL: {2}(\S+)$/m))[1]!;
  return {
    child,
    url,
    stdout: () => stdout,
    stderr: () => stderr,
    printed,
    async end(signal = 'SIGTERM') {
      child.kill(signal);
      return (await exit)[0];
    },
  };
}

/** Sends a message and waits for the whole reply; its text. */
export async function say(page: Page, text: string): Promise<string> {
  const before = await page.locator('article').count();
  await page.fill('#message', text);
  await page.click('button[aria-label=Send]:not([disabled])');
  await answered(page, before + 1);
  return (await page.locator('.assistant .markdown').last().innerText()).trim();
}

/** Waits until nothing is being answered and `turns` are shown. */
export async function answered(page: Page, turns: number): Promise<void> {
  await page.waitForFunction(
    (wanted) =>
      document.querySelectorAll('article').length === wanted &&
      document.querySelector('[aria-label=Send]') !== null &&
      document.querySelector('.column')?.getAttribute('aria-busy') === 'false',
    turns,
  );
}
