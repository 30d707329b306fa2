/** The page in Chromium, against `axllm --ui` and the default model. */
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import anyTest, { type ExecutionContext } from 'ava';
import type { Page } from 'playwright-core';
import { packageRoot } from '../ts/package-root.js';
import { answered, closeBrowser, say, serveUi, visitor } from './helpers/browser.js';
import { temporary } from './helpers/folder.js';
import { sample, serve } from './helpers/server.js';
import { freePort } from './helpers/sshd.js';

// one at a time: each has a model of its own
const test = anyTest.serial;
test.after.always(closeBrowser);

const local = ['--ui', 'local', '--port', '0'];
const question = 'Who wrote Romeo and Juliet? Answer in one sentence.';
/** Takes thousands of tokens. */
const long = 'Write a very long story about a dragon.';

test('chat: the reply streams as Markdown, the status line and the meter follow, a reload keeps all', async (t) => {
  const { url, stdout, end } = await serveUi(t, local);
  t.regex(stdout(), /^Running on local URL: {2}http:\/\/127\.0\.0\.1:\d+\n$/);
  const { page, wrong } = await visitor(t, url);
  await page.locator('[role=meter]').waitFor();
  await page.fill('#message', question);
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => /Tokens: [1-9]/.test(document.querySelector('.figures')!.textContent!));
  await answered(page, 1);
  t.regex(await page.locator('.markdown').innerText(), /Shakespeare/);
  const status = await page.locator('.figures').innerText();
  t.regex(status, /^TTFT: \d+\.\d\ds \| Tokens\/sec: \d+\.\d\d \| Tokens: \d+$/);
  const tokens = Number(/Tokens: (\d+)/.exec(status)![1]);
  const used = Number(await page.locator('[role=meter]').getAttribute('aria-valuenow'));
  t.true(used > tokens);

  t.regex(await say(page, 'Write a Python function that adds two numbers.'), /def /);
  t.true((await page.locator('pre .hl-keyword').count()) > 0);
  t.true(Number(await page.locator('[role=meter]').getAttribute('aria-valuenow')) > used);

  await page.reload();
  await page.locator('article').nth(1).waitFor();
  t.regex(await page.locator('.markdown').first().innerText(), /Shakespeare/);
  await page.locator('.entry').waitFor();
  t.is(await page.locator('.entry').count(), 1);
  t.is(await page.title(), 'smollm2-135m-instruct · axllm');
  t.deepEqual(wrong, []);
  t.is(await end(), 143);
});

test('stop, regenerate, edit, branches, clear and undo', async (t) => {
  const { url } = await serveUi(t, local);
  const { page, wrong } = await visitor(t, url);
  await page.locator('[role=meter]').waitFor();
  // stop by key: the partial reply stays, and the next message is answered
  await page.fill('#message', long);
  await page.keyboard.press('Enter');
  await page.locator('.markdown').waitFor();
  await page.keyboard.press('Escape');
  await answered(page, 1);
  const stopped = await page.locator('.markdown').innerText();
  t.true(stopped.length > 0);
  // stop by button
  await page.click('text=New chat');
  await page.fill('#message', long);
  await page.click('[aria-label=Send]');
  await page.locator('.markdown').waitFor();
  await page.click('[aria-label=Stop]');
  await answered(page, 1);

  await page.click('text=New chat');
  t.regex(await say(page, question), /Shakespeare/);
  await page.hover('.user');
  await page.click('[aria-label="Edit message"]');
  await page.waitForFunction((text) => document.querySelector('textarea')!.value === text, question);
  await page.fill('#message', 'What is 2+2?');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.querySelector('.versions')?.textContent?.includes('2 / 2'));
  t.regex(await page.locator('.markdown').innerText(), /4/);
  await page.click('[aria-label="Previous version"]');
  t.regex(await page.locator('.markdown').innerText(), /Shakespeare/);
  await page.click('[aria-label="Next version"]');
  await page.click('[aria-label="Regenerate reply"]');
  await page.waitForFunction(() => document.querySelector('.versions')?.textContent?.includes('3 / 3'));
  t.regex(await page.locator('.markdown').innerText(), /4/);
  t.is(await page.locator('.bubble').innerText(), 'What is 2+2?');

  // Esc leaves an edit first, then clears; both ways of clearing can be undone
  await page.click('[aria-label="Edit message"]');
  await page.keyboard.press('Escape');
  t.is(await page.locator('article').count(), 1);
  await page.keyboard.press('Escape');
  await page.locator('.greeting').waitFor();
  await page.click('text=Undo');
  await page.locator('article').waitFor();
  await page.click('.status >> text=Clear');
  await page.locator('.greeting').waitFor();
  t.is(await page.locator('.entry').count(), 2);
  t.deepEqual(wrong, []);
});

test('a reload in mid-reply: what was said is kept and marked, the server stops, the conversation goes on', async (t) => {
  const { url } = await serveUi(t, local);
  const { page, wrong } = await visitor(t, url);
  await page.locator('[role=meter]').waitFor();
  t.regex(await say(page, question), /Shakespeare/);
  await page.fill('#message', long);
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.querySelectorAll('.markdown')[1]?.textContent?.includes(' a '));
  const said = await page.locator('.markdown').nth(1).innerText();
  await page.reload();
  await page.locator('article').nth(1).waitFor();
  // nobody reads the story any more, which would have gone on for thousands of tokens
  const figures = async () => (await fetch(`${url}/metrics`)).text();
  while (!/^axllm_requests_running 0$/m.test(await figures()));
  const chats = 'axllm_requests_total{path="/v1/chat/completions"';
  t.deepEqual(
    (await figures()).split('\n').filter((line) => line.startsWith(chats)),
    [`${chats},status="200"} 1`, `${chats},status="499"} 1`],
  );
  t.regex(await page.locator('.markdown').first().innerText(), /Shakespeare/);
  const kept = await page.locator('.markdown').nth(1).innerText();
  t.true(kept.startsWith(said.slice(0, 10)), kept);
  t.is(await page.locator('article .stopped').innerText(), 'Stopped');
  t.is(await page.locator('article').first().locator('.stopped').count(), 0);
  t.true((await say(page, 'What is 2+2?')).length > 0);
  t.is(await page.locator('article').count(), 3);
  t.is(await page.locator('.stopped').count(), 1);

  // before its first word: the message is in the field again, and nothing else has changed
  const reading = `Sum this up: ${'a long text '.repeat(600)}`;
  for (const inNewChat of [false, true]) {
    if (inNewChat) await page.click('text=New chat');
    const before = await page.locator('article').count();
    await page.fill('#message', reading);
    await page.keyboard.press('Enter');
    await page.locator('.thinking').waitFor();
    await page.reload();
    await page.locator('[role=meter]').waitFor();
    t.is(await page.inputValue('#message'), reading);
    t.is(await page.locator('article').count(), before);
    await page.fill('#message', '');
  }
  await page.reload();
  t.is(await page.inputValue('#message'), '', 'it is put back once');
  t.deepEqual(wrong, []);
});

test('settings: system prompt, temperature, sampling options with the complaints of the command line', async (t) => {
  const { url } = await serveUi(t, [...local, '--temperature', '0.3', '--system-prompt', 'You are a cook.']);
  const { page, wrong } = await visitor(t, url);
  await page.click('[aria-label=Settings]');
  t.is(await page.locator('output').innerText(), '0.30');
  t.is(await page.getAttribute('#system', 'placeholder'), 'You are a cook.');
  const slider = page.locator('#temperature');
  t.deepEqual(await Promise.all(['min', 'max', 'step'].map((name) => slider.getAttribute(name))), [
    '0',
    '1.5',
    '0.05',
  ]);
  await slider.fill('0');
  await page.fill('#system', 'Answer every question with the word banana.');
  await page.click('summary');
  await page.fill('#option-max-tokens', '0');
  await page.keyboard.press('Tab');
  t.is(
    await page.locator('#option-max-tokens-help').innerText(),
    'max-tokens is a whole number of at least 1, not "0"',
  );
  t.is(await page.inputValue('#option-max-tokens'), '0', 'what is complained of is still there');
  await page.fill('#option-max-tokens', '5');
  t.is(await page.inputValue('#option-max-tokens'), '5');
  await page.fill('#option-stop', 'zebra');
  // drawn anew while it is typed in, as it is by a reply that streams: what another tab keeps does the same
  await page.evaluate(async () => {
    dispatchEvent(new StorageEvent('storage', { key: 'axllm.chat.none' }));
    await new Promise((drawn) => setTimeout(drawn, 100));
  });
  t.is(await page.inputValue('#option-stop'), 'zebra');
  await page.click('label:has-text("Dark")');
  await page.click('[aria-label=Close]');
  t.is(await page.evaluate(() => document.documentElement.dataset.theme), 'dark');
  const sent = page.waitForRequest(/chat\/completions/);
  await say(page, 'What do you like?');
  const body = JSON.parse((await sent).postData()!) as Record<string, unknown>;
  t.like(body, {
    temperature: 0,
    max_tokens: 5,
    stop: ['zebra'],
    messages: [
      { role: 'system', content: 'Answer every question with the word banana.' },
      { role: 'user', content: 'What do you like?' },
    ],
  });
  t.regex(await page.locator('.figures').innerText(), /Tokens: 5$/);
  await page.reload();
  await page.click('[aria-label=Settings]');
  t.is(await page.inputValue('#system'), 'Answer every question with the word banana.');
  t.is(await page.locator('output').innerText(), '0.00');
  t.deepEqual(wrong, []);
});

test('conversations: list, search, delete, export and import', async (t) => {
  const { url } = await serveUi(t, [...local, '--max-tokens', '4']);
  const { page, wrong } = await visitor(t, url);
  for (const name of ['alpha', 'beta', 'gamma', 'delta', 'epsilon', 'zeta']) {
    await page.click('text=New chat');
    await say(page, `Say ${name}.`);
  }
  t.deepEqual(await page.locator('.entry .title').allInnerTexts(), [
    'Say zeta.',
    'Say epsilon.',
    'Say delta.',
    'Say gamma.',
    'Say beta.',
    'Say alpha.',
  ]);
  await page.fill('.find', 'GAMMA');
  t.is(await page.locator('.entry').count(), 1);
  await page.fill('.find', '');
  const [all] = await Promise.all([page.waitForEvent('download'), page.click('text=Export all')]);
  const folder = temporary(t);
  await all.saveAs(join(folder, 'all.json'));
  t.is((JSON.parse(readFileSync(join(folder, 'all.json'), 'utf8')) as unknown[]).length, 6);
  await page.hover('.entry:has-text("beta")');
  await page.click('[aria-label="Delete Say beta."]');
  t.is(await page.locator('.entry').count(), 5);

  const other = await visitor(t, url);
  t.is(await other.page.locator('.entry').count(), 0);
  await other.page.locator('input[type=file]').setInputFiles(join(folder, 'all.json'));
  await other.page.locator('.entry').nth(5).waitFor();
  await other.page.click('.entry .title:has-text("Say beta.")');
  t.is(await other.page.locator('.bubble').innerText(), 'Say beta.');
  await other.page
    .locator('input[type=file]')
    .setInputFiles({ name: 'bad.json', mimeType: 'application/json', buffer: Buffer.from('{}') });
  await other.page.locator('.toast:has-text("bad.json is not a conversation")').waitFor();
  t.deepEqual([...wrong, ...other.wrong], []);
});

test('a connection that breaks while the page opens is made again', async (t) => {
  const { url } = await serveUi(t, local);
  const { page } = await visitor(t, url);
  let cut = 0;
  await page.route('**/ui/page', (route) => {
    cut += 1;
    return cut <= 2 ? route.abort('connectionreset') : route.continue();
  });
  await page.reload();
  await page.locator('[aria-label=Settings]').waitFor();
  t.is(cut, 3);
});

test('a server that goes away: the message is kept, retry works when it is back', async (t) => {
  const { url, end } = await serveUi(t, local);
  const { page } = await visitor(t, url);
  await page.locator('[role=meter]').waitFor();
  await page.fill('#message', long);
  await page.keyboard.press('Enter');
  await page.locator('.markdown').waitFor();
  await end('SIGKILL');
  await page.locator('.failure').waitFor();
  t.regex(await page.locator('.failure').innerText(), /connection broke|does not answer/i);
  t.is(await page.locator('.broken').count(), 1);
  t.is(await page.locator('.entry').count(), 0);
  await page.click('text=Retry');
  await page.locator('.failure:has-text("The server does not answer")').waitFor();
  const { port } = new URL(url);
  await serveUi(t, ['--ui', 'local', '--port', port, '--max-tokens', '8']);
  while ((await fetch(`${url}/health`)).status !== 200) await sleep(50);
  await page.click('text=Retry');
  await answered(page, 1);
  t.is(await page.locator('.failure').count(), 0);
  t.is(await page.locator('.entry').count(), 1);
});

test('the page is there while the model loads, and says why it cannot be loaded', async (t) => {
  const { body, expected } = sample(300_000);
  let broken: ServerResponse | undefined;
  const origin = await serve(t, (_, response, count) => {
    if (count > 0) return void response.writeHead(404).end();
    response.writeHead(200, { 'content-length': body.length });
    response.write(body.subarray(0, 150_000));
    broken = response;
  });
  const folder = temporary(t);
  const card = join(folder, 'slow.yaml');
  const [file, size] = ['slow.gguf', expected.size];
  const weights = { file, size, md5: expected.md5, sources: [{ url: `${origin.url}/slow.gguf` }] };
  const llm = { max_tokens: 1024, weights };
  const slow = { task_category: 'LanguageModel', extra_kwargs: { llm } };
  const content = { 'axelera-model-format': '1.0.0', name: 'slow', description: 'slow', models: { slow } };
  writeFileSync(card, JSON.stringify(content));
  const { url, child, stderr } = await serveUi(t, [card, ...local, '--build-root', folder]);
  const { page, wrong } = await visitor(t, url);
  await page.locator('.greeting:has-text("Downloading the model")').waitFor();
  await page.waitForFunction(() => /0\.1 MB of 0\.3 MB|0\.2 MB of 0\.3 MB/.test(document.body.innerText));
  t.is(await page.locator('progress').getAttribute('value'), '0.5');
  t.true(await page.locator('[aria-label=Send]').isDisabled());
  const exit = once(child, 'exit');
  broken!.destroy();
  await page.locator('.greeting:has-text("The model could not be loaded")').waitFor();
  t.regex(await page.locator('.failure').innerText(), /404/);
  t.deepEqual(await exit, [1, null]);
  t.regex(stderr(), /^ERROR: .*404/m);
  t.deepEqual(wrong, []);
});

test('a key for others than this machine: the printed link opens the page, without it nothing is told', async (t) => {
  const { url } = await serveUi(t, [...local, '--host', '0.0.0.0', '--max-tokens', '4']);
  const [, port, secret] = /:(\d+)\/#(.{43})$/.exec(url)!;
  const plain = `http://127.0.0.1:${port}/`;
  const stranger = await visitor(t, plain);
  await stranger.page.locator('h1:has-text("needs its link")').waitFor();
  await stranger.page.fill('#key', 'x'.repeat(43));
  await stranger.page.click('button:has-text("Open")');
  await stranger.page.locator('[role=alert]').waitFor();
  await stranger.page.fill('#key', `${plain}#${secret}`);
  await stranger.page.keyboard.press('Enter');
  await stranger.page.locator('.greeting').waitFor();
  const { page, wrong } = await visitor(t, `${plain}#${secret}`);
  await page.locator('.greeting').waitFor();
  t.is(page.url(), plain);
  await say(page, 'Hi');
  // the cookie stays with the browser
  await page.reload();
  await page.locator('article').waitFor();
  t.deepEqual(wrong, []);
});

async function axe(t: ExecutionContext, page: Page, where: string): Promise<void> {
  await page.evaluate(readFileSync(join(packageRoot, 'node_modules/axe-core/axe.min.js'), 'utf8'));
  const found = await page.evaluate(async () => {
    const { axe: checker } = globalThis as unknown as {
      axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
    };
    return (await checker.run()).violations.map(
      ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`,
    );
  });
  t.deepEqual(found, [], where);
}

for (const colorScheme of ['light', 'dark'] as const) {
  test(`axe finds nothing, and a keyboard is enough: ${colorScheme}`, async (t) => {
    const { url } = await serveUi(t, local);
    const { page, wrong } = await visitor(t, url, { colorScheme, reducedMotion: 'reduce' });
    await page.locator('.greeting').waitFor();
    await axe(t, page, 'empty');
    await say(page, 'Write a Python function that adds two numbers.');
    await axe(t, page, 'chat');
    await page.focus('#message');
    // backwards from the message: the reply's buttons, the user's, the header, the list
    const reached = new Set<string>();
    for (let n = 0; n < 30; n += 1) {
      await page.keyboard.press('Shift+Tab');
      reached.add(
        await page.evaluate(
          () =>
            document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? '',
        ),
      );
    }
    for (const name of [
      'Regenerate reply',
      'Copy reply',
      'Copy code',
      'Edit message',
      'Settings',
      ' New chat',
    ]) {
      t.true(
        reached.has(name) || reached.has(name.trim()),
        `${name} is not among ${[...reached].join(', ')}`,
      );
    }
    await page.focus('[aria-label=Settings]');
    await page.keyboard.press('Enter');
    await page.locator('dialog').waitFor();
    await page.click('summary');
    await axe(t, page, 'settings');
    await page.keyboard.press('Escape');
    await page.locator('dialog').waitFor({ state: 'detached' });
    // Esc closed the dialog and nothing else; the focus is back
    t.is(await page.locator('article').count(), 1);
    t.is(await page.evaluate(() => document.activeElement?.getAttribute('aria-label')), 'Settings');
    t.deepEqual(wrong, []);
  });
}

test('on a phone: nothing is wider than the screen, the list is a drawer, Enter makes a new line', async (t) => {
  const { url } = await serveUi(t, [...local, '--max-tokens', '60']);
  const phone = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };
  const { page, wrong } = await visitor(t, url, phone);
  const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
  await page.locator('.greeting').waitFor();
  t.true(await fits());
  await page.locator('[role=meter]').waitFor();
  await page.tap('#message');
  await page.keyboard.type('One');
  await page.keyboard.press('Enter');
  await page.keyboard.type(`${'wide'.repeat(40)}`);
  t.is(await page.locator('article').count(), 0);
  await page.tap('[aria-label=Send]');
  await answered(page, 1);
  await say(page, 'Write a Python function that adds two numbers.');
  t.true(await fits());
  t.false(await page.locator('.new-chat').isVisible());
  await page.tap('button[aria-label=Conversations]');
  await page.tap('.new-chat');
  await page.locator('.greeting').waitFor();
  await page.waitForFunction(() => document.querySelector('.sidebar.shown') === null);
  t.true(await fits());
  t.deepEqual(wrong, []);
});

test('copying works on a page without a secure context, as in a local network', async (t) => {
  const port = await freePort();
  const host = `box.test:${port}`;
  const { url } = await serveUi(t, ['--ui', 'local', '--port', String(port), '--allow-host', host]);
  const { page, wrong } = await visitor(t, url.replace(/127\.0\.0\.1:\d+/, host));
  t.is(await page.evaluate(() => isSecureContext), false);
  await say(page, 'Write a Python function that adds two numbers.');
  const code = await page.locator('pre').first().innerText();
  await page.locator('.copy').first().click();
  await page.locator('.copy:has-text("Copied")').first().waitFor();
  await page.click('[aria-label=Settings]');
  // the dialog takes the focus when it opens; what a key pastes arrives in its own time
  await page.locator('dialog[open] #system').click();
  await page.keyboard.press('Control+V');
  await page.waitForFunction(() => document.querySelector<HTMLTextAreaElement>('#system')!.value !== '');
  t.is((await page.inputValue('#system')).trim(), code.trim());
  // without a secure context this header means nothing, and Chromium says so
  t.deepEqual(
    wrong.filter((line) => !line.includes('Cross-Origin-Opener-Policy header has been ignored')),
    [],
  );
});

test('the plain variant: chat, Clear and the temperature', async (t) => {
  const { url } = await serveUi(t, ['--ui', 'local_simple', '--port', '0', '--max-tokens', '16']);
  const { page, wrong } = await visitor(t, url);
  await page.locator('.greeting').waitFor();
  const names = await page
    .locator('button')
    .evaluateAll((all) => all.map((each) => each.getAttribute('aria-label') ?? each.textContent));
  t.deepEqual(names, ['Send', 'Clear Esc']);
  await page.locator('#temperature').fill('0.7');
  const sent = page.waitForRequest(/chat\/completions/);
  await say(page, 'Hi');
  t.is((JSON.parse((await sent).postData()!) as { temperature: number }).temperature, 0.7);
  await axe(t, page, 'simple');
  await page.click('text=Clear');
  await page.locator('.greeting').waitFor();
  t.deepEqual(wrong, []);
});
