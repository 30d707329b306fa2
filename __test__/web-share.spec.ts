/** The public link: through a real sshd and through an HTTP relay, with visitors in Chromium. */
import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import anyTest, { type ExecutionContext } from 'ava';
import { planFor } from '../ts/share/plan.js';
import { qrRows } from '../ts/share/qr.js';
import { openShare, type Share } from '../ts/share/share.js';
import { openTunnel } from '../ts/share/tunnel.js';
import type { Model } from '../ts/model.js';
import { pageRoute } from '../ts/server/page-route.js';
import { startServer } from '../ts/server/start.js';
import { answered, closeBrowser, say, serveUi, visitor } from './helpers/browser.js';
import { echoModel } from './helpers/echo-model.js';
import { temporary } from './helpers/folder.js';
import { sshServer } from './helpers/sshd.js';

const test = anyTest.serial;
test.after.always(closeBrowser);

const relayFile = fileURLToPath(new URL('helpers/relay.mjs', import.meta.url));
const relay = `${process.execPath} ${relayFile} {port}`;
const publicUrl = /^Running on public URL: (http:\/\/127\.0\.0\.1:\d+)\/#([\w-]{43})$/m;

const refused = (url: string) =>
  fetch(url).then(
    () => false,
    () => true,
  );

async function until(what: string, done: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 60_000; !(await done()); await sleep(50)) {
    if (Date.now() > end) throw new Error(`${what} did not come`);
  }
}

/** Processes whose command line holds `text`. */
function running(text: string): string[] {
  return execFileSync('ps', ['-eo', 'pid,args'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(text) && !line.includes('ps -eo'));
}

test('through an SSH server: the link works, is shown as a code, and dies with the process', async (t) => {
  const PATH = await sshServer(t);
  const limits = ['--max-tokens', '8', '--share-sessions', '3'];
  const args = ['--ui', '--port', '0', '--share-ssh', 'tunnel', ...limits];
  const { url, printed, stdout, stderr, end } = await serveUi(t, args, { PATH });
  const [, address, secret] = await printed(publicUrl);
  t.regex(stdout(), /^Running on local URL: {2}http:\/\/127\.0\.0\.1:\d+\nRunning on public URL: /);
  await printed(/Whoever has this link can use the model on this machine, until \d{4}-\d\d-\d\d/);
  t.regex(stderr(), /[▀▄█]{10}/);
  t.regex(stderr(), /not encrypted/);
  const { page, wrong } = await visitor(t, `${address}/#${secret}`);
  await page.locator('.greeting').waitFor();
  t.true((await say(page, 'Hi')).length > 0);
  t.is(await page.locator('[aria-label="Public link"]').count(), 0);

  // the browser and two more are all that there is room for; a fourth ends the one that was quiet for longest
  const link = `${address}/#${secret}`;
  const guests = [await cookieOf(link), await cookieOf(link)];
  t.deepEqual(await Promise.all(guests.map(lookIn)), [200, 200]);
  t.true((await say(page, 'Hi')).length > 0);
  guests.push(await cookieOf(link));
  t.deepEqual((await Promise.all(guests.map(lookIn))).sort(), [200, 200, 401]);
  t.true((await say(page, 'Hi')).length > 0);
  t.regex(guests[0]!.attributes, /^; HttpOnly; SameSite=Strict; Path=\/$/, 'the link is plain HTTP');

  const owner = await visitor(t, url);
  await owner.page.click('[aria-label="Public link"]');
  t.is(await owner.page.inputValue('.link input'), `${address}/#${secret}`);
  t.is(
    await owner.page.locator('.qr').getAttribute('viewBox'),
    `0 0 ${rows(address!, secret!)} ${rows(address!, secret!)}`,
  );
  t.deepEqual([...wrong, ...owner.wrong], []);

  t.is(running('-R *:0:127.0.0.1:').length > 0, true);
  t.is(await end(), 143);
  t.true(await refused(`${address}/`));
  await until('the end of ssh', () => running('-R *:0:127.0.0.1:').length === 0);
});

const rows = (address: string, secret: string) => qrRows(`${address}/#${secret}`).split('\n').length;

test('SIGKILL takes the tunnel along', async (t) => {
  const PATH = await sshServer(t);
  const { printed, end } = await serveUi(
    t,
    ['--ui', 'share_simple', '--port', '0', '--share-ssh', 'tunnel'],
    { PATH },
  );
  await printed(publicUrl);
  t.not(running('-R *:0:127.0.0.1:').length, 0);
  await end('SIGKILL');
  await until('the end of ssh', () => running('-R *:0:127.0.0.1:').length === 0);
  t.pass();
});

interface Failing {
  readonly args: readonly string[];
  readonly says: RegExp;
  readonly env?: (t: ExecutionContext) => Promise<Record<string, string>>;
}

const nowhere: Record<string, Failing> = {
  'no program': {
    args: [],
    says: /No public link: cloudflared is not on the PATH \(install cloudflared, or/,
  },
  'a command that fails': {
    args: ['--share-command', 'echo no luck >&2; exit 3'],
    says: /No public link: the share command ended \(status 3\): no luck \(--share-command forwards/,
  },
  'an SSH server that is not there': {
    args: ['--share-ssh', 'ssh://root@127.0.0.1:1'],
    says: /No public link: ssh ended \(status 255\): ssh: connect to host 127\.0\.0\.1 port 1: Connection refused/,
  },
  'an SSH server that does not forward': {
    args: ['--share-ssh', 'tunnel'],
    says: /No public link: ssh ended \(status 255\): Error: remote port forwarding failed/,
    env: async (t) => ({ PATH: await sshServer(t, 'AllowTcpForwarding no') }),
  },
};

test('where no tunnel can be made, the step is named and the page is served here', async (t) => {
  for (const [name, { args, says, env }] of Object.entries(nowhere)) {
    const PATH = `${process.execPath.replace(/\/[^/]+$/, '')}:/usr/bin:/bin`;
    const given = { PATH, ...(await env?.(t)) };
    const { url, printed, stdout, end } = await serveUi(
      t,
      ['--ui', '--port', '0', '--max-tokens', '4', ...args],
      given,
    );
    t.truthy(await printed(says), name);
    t.notRegex(stdout(), /public URL/);
    const { page, wrong } = await visitor(t, url);
    t.true((await say(page, 'Hi')).length > 0, name);
    await page.click('[aria-label="Public link"]');
    t.regex(await page.locator('dialog').innerText(), /No public link/);
    t.deepEqual(wrong, []);
    t.is(await end('SIGINT'), 130);
  }
});

interface Setting {
  readonly command?: string;
  readonly hours?: number;
  readonly sessions?: number;
  readonly model?: Model;
}

/** The server and its link in this process, with a model that echoes. */
async function sharing(
  t: ExecutionContext,
  { command = relay, hours = 72, sessions = 10, model = echoModel(4) }: Setting = {},
) {
  let share: Share | undefined;
  const page = { simple: false, history: true, defaults: {}, loading: () => ({}), share: () => share?.state };
  const server = await startServer({
    models: [{ id: 'echo', models: [model], systemPrompt: 'The owner is called Zoe.' }],
    routes: [pageRoute(page)],
  });
  const stop = new AbortController();
  const links: string[] = [];
  const said: string[] = [];
  const note = (text: string) => void said.push(text);
  share = openShare({
    server,
    values: {
      'share-command': command,
      'share-ssh': undefined,
      'share-expiry': hours,
      'share-sessions': sessions,
    },
    env: process.env,
    log: { debug: note, info: note, warning: note },
    signal: stop.signal,
    onLink: (link) => void links.push(link),
  });
  t.teardown(async () => {
    stop.abort();
    await share?.over;
    await server.close();
  });
  await until('a link', () => links.length > 0);
  return { server, share, stop, links, said, link: () => links.at(-1)! };
}

interface Guest {
  readonly origin: string;
  readonly status: number;
  readonly cookie: string;
  /** What the server said of the cookie. */
  readonly attributes: string;
}

async function cookieOf(link: string, headers: Record<string, string> = {}): Promise<Guest> {
  const { origin, hash } = new URL(link);
  const response = await fetch(`${origin}/ui/session`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ key: hash.slice(1) }),
  });
  const given = response.headers.get('set-cookie') ?? '';
  const cookie = given.split(';', 1)[0]!;
  return { origin, status: response.status, cookie, attributes: given.slice(cookie.length) };
}

/** Whether the cookie is still good. */
async function lookIn({ origin, cookie }: Guest): Promise<number> {
  const response = await fetch(`${origin}/ui/page`, { headers: { cookie } });
  await response.arrayBuffer();
  return response.status;
}

test('visitors see nothing of each other, nor of the owner', async (t) => {
  const { server, link } = await sharing(t);
  const [one, two, owner] = [
    await visitor(t, link()),
    await visitor(t, link()),
    await visitor(t, server.url),
  ];
  t.is(await say(one.page, 'canary-of-one'), 'canary-of-one');
  t.is(await say(two.page, 'canary-of-two'), 'canary-of-two');
  t.is(await say(owner.page, 'canary-of-owner'), 'canary-of-owner');
  const pages = { one, two, owner };
  for (const [name, { page, wrong }] of Object.entries(pages)) {
    await page.reload();
    await page.locator('.entry').waitFor();
    const all = (await page.content()) + (await page.evaluate(() => JSON.stringify({ ...localStorage })));
    t.true(all.includes(`canary-of-${name}`));
    for (const other of Object.keys(pages)) if (other !== name) t.false(all.includes(`canary-of-${other}`));
    t.false(page.url().includes('#'));
    t.deepEqual(wrong, []);
  }
  const { origin, cookie } = await cookieOf(link());
  const told = await (await fetch(`${origin}/ui/page`, { headers: { cookie } })).text();
  t.notRegex(told, /Zoe|share|canary/);
});

test('through the link only the page’s routes answer, and only to those who have its secret', async (t) => {
  const { server, link } = await sharing(t);
  const { origin, cookie } = await cookieOf(link());
  for (const { method, path, access } of server.routes) {
    const init = {
      method,
      ...(method === 'POST' ? { body: '{}', headers: { 'content-type': 'application/json' } } : {}),
    };
    const stranger = await fetch(origin + path, init);
    const guest = await fetch(origin + path, { ...init, headers: { ...init.headers, cookie } });
    await Promise.all([stranger.arrayBuffer(), guest.arrayBuffer()]);
    if (access !== 'open') t.is(stranger.status, 401, `${method} ${path}`);
    if (access === 'all') t.is(guest.status, 403, `${method} ${path}`);
    else t.false([401, 403].includes(guest.status), `${method} ${path}`);
  }
  const open = server.routes.filter(({ access }) => access === 'open').map(({ path }) => path);
  t.deepEqual(open.sort(), [
    '/',
    '/app.css',
    '/app.js',
    '/health',
    '/icon.svg',
    '/index.html',
    '/ui/session',
  ]);
  const forged = await cookieOf(`${origin}/#${'A'.repeat(43)}`);
  t.is(forged.status, 401);
});

test('a link has room for ten browsers; one more ends the one that was quiet for longest', async (t) => {
  const { link } = await sharing(t);
  const guests: Guest[] = [];
  for (let n = 0; n < 10; n++) guests.push(await cookieOf(link()));
  for (const guest of guests) t.is(await lookIn(guest), 200);
  // the first one looks in again, so the second is the one to go
  t.is(await lookIn(guests[0]!), 200);
  guests.push(await cookieOf(link()));
  const statuses = [];
  for (const guest of guests) statuses.push(await lookIn(guest));
  t.deepEqual(statuses, [200, 401, ...Array.from({ length: 9 }, () => 200)]);
});

test('over TLS the cookie is for TLS alone, and the page works with it', async (t) => {
  const folder = temporary(t);
  const subject = ['-subj', '/CN=relay', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const files = ['-keyout', `${folder}/key.pem`, '-out', `${folder}/cert.pem`];
  const kind = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-days',
    '1',
  ];
  execFileSync('openssl', [...kind, ...subject, ...files], { stdio: 'ignore' });
  const { server, link } = await sharing(t, { command: `RELAY_TLS=${folder} ${relay}` });
  t.regex(link(), /^https:/);
  const { page, wrong } = await visitor(t, link(), { ignoreHTTPSErrors: true });
  t.is(await say(page, 'canary'), 'canary');
  const [cookie] = await page.context().cookies();
  t.like(cookie, { secure: true, httpOnly: true, sameSite: 'Strict' });
  t.deepEqual(wrong, []);
  // a proxy that says so is believed; here, without one, plain HTTP works as ever
  const plain = await sharing(t);
  t.regex((await cookieOf(plain.link(), { 'x-forwarded-proto': 'https' })).attributes, /; Secure$/);
  t.notRegex((await cookieOf(plain.link())).attributes, /Secure/);
  const { token } = server.issueToken();
  t.notRegex((await cookieOf(`${server.url}/#${token}`)).attributes, /Secure/);
});

test('one reply at a time for each visitor; another visitor is not held up', async (t) => {
  const { link } = await sharing(t, { model: echoModel(4, { everyMs: 20 }) });
  const [one, two] = [await cookieOf(link()), await cookieOf(link())];
  const ask = ({ origin, cookie }: typeof one, content: string, signal?: AbortSignal) =>
    fetch(`${origin}/v1/chat/completions`, {
      method: 'POST',
      headers: { cookie, 'content-type': 'application/json' },
      body: JSON.stringify({ messages: [{ role: 'user', content }], stream: true }),
      ...(signal ? { signal } : {}),
    });
  const abort = new AbortController();
  const long = await ask(one, 'x'.repeat(100_000), abort.signal);
  t.is(long.status, 200);
  const second = await ask(one, 'y');
  t.is(second.status, 429);
  t.is(second.headers.get('retry-after'), '1');
  t.is((await ask(two, 'z')).status, 200);
  // who leaves gives the place back
  abort.abort();
  await until('the place', async () => (await ask(one, 'y')).status === 200);
});

test('on a device the second visitor waits, and sees the place in the queue', async (t) => {
  const { link } = await sharing(t, { model: echoModel(4, { everyMs: 5, pipeline: 'transformers-aipu' }) });
  const [one, two] = [await visitor(t, link()), await visitor(t, link())];
  await one.page.locator('[role=meter]').waitFor();
  await one.page.fill('#message', 'x'.repeat(100_000));
  await one.page.click('[aria-label=Send]');
  await one.page.locator('.markdown').waitFor();
  await two.page.fill('#message', 'canary-of-two');
  await two.page.click('[aria-label=Send]');
  await two.page.locator('.thinking:has-text("Waiting: number 1 in the queue")').waitFor();
  await one.page.click('[aria-label=Stop]');
  await answered(two.page, 1);
  t.is((await two.page.locator('.markdown').innerText()).trim(), 'canary-of-two');
  t.deepEqual([...one.wrong, ...two.wrong], []);
});

test('a device that fails in mid-stream: what was said is shown as incomplete, and is not kept', async (t) => {
  const { link } = await sharing(t, { model: echoModel(4, { failsAfter: 5 }) });
  const { page } = await visitor(t, link());
  await page.locator('[role=meter]').waitFor();
  await page.fill('#message', 'It goes on for longer than five pieces.');
  await page.click('[aria-label=Send]');
  await page.locator('.failure:has-text("The device stopped answering")').waitFor();
  t.is((await page.locator('.broken').innerText()).trim(), 'It goes on for longe');
  t.is(await page.locator('.entry').count(), 0);
  await page.click('text=Dismiss');
  await page.locator('.greeting').waitFor();
  t.pass();
});

test('a relay that drops is made again; one that sends another Host is refused', async (t) => {
  const { links, said, server } = await sharing(t);
  const [first] = links;
  t.is((await cookieOf(first!)).status, 200);
  await fetch(`${new URL(first!).origin}/drop`).catch(() => undefined);
  await until('a second link', () => links.length > 1);
  t.true(said.some((text) => /The public link broke: the share command ended \(status 7\)/.test(text)));
  t.not(links[1], first);
  t.is((await cookieOf(links[1]!)).status, 200);
  t.is((await fetch(`${server.url}/health`)).status, 200);

  const forging = await sharing(t, { command: `${relay} evil.example` });
  t.is((await cookieOf(forging.link())).status, 403);
});

test('the link expires: its cookies too, while the page here goes on', async (t) => {
  const { link, share, server, said } = await sharing(t, { hours: 0.001 });
  const { origin, status } = await cookieOf(link());
  t.is(status, 200);
  await share.over;
  t.true(said.includes('The public link has expired'));
  t.is(share.state.phase, 'closed');
  await until('the end of the relay', () => refused(origin));
  t.is((await fetch(`${server.url}/ui/page`)).status, 200);
});

test('cloudflared, where it is on the PATH: its address is found among what it prints', async (t) => {
  // it cannot be installed here: this stands in for what it prints, nothing else
  const { mkdtempSync, writeFileSync, rmSync } = await import('node:fs');
  const folder = mkdtempSync('/tmp/axllm-cloudflared-');
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const banner = 'INF |  https://some-random-words.trycloudflare.com                |';
  const words = 'INF Thank you for trying Cloudflare Tunnel https://developers.cloudflare.com/tunnel';
  writeFileSync(
    `${folder}/cloudflared`,
    `#!/bin/sh\necho "$@" > ${folder}/args\necho "${words}" >&2\necho "${banner}" >&2\nexec sleep 60\n`,
    { mode: 0o755 },
  );
  const env = { PATH: `${folder}:${process.env.PATH}` };
  const plan = await planFor({ 'share-command': undefined, 'share-ssh': undefined }, env, 7861);
  t.deepEqual(plan.command.slice(1), ['tunnel', '--no-autoupdate', '--url', 'http://127.0.0.1:7861']);
  const tunnel = await openTunnel(plan, env, new AbortController().signal);
  t.is(tunnel.url, 'https://some-random-words.trycloudflare.com');
  tunnel.close();
  t.regex(await tunnel.ended, /^cloudflared ended \(SIGTERM\)/);
});
