/** H1 from inside: a page of another port of this machine, in a real browser, tries what pages can to use the server. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import test from 'ava';
import { chromium } from 'playwright-core';
import { get, post, tinyServer, user } from './helpers/tiny-server.js';

/** What the page does; each says what it got to see. */
const attempts = `
  const chat = '/v1/chat/completions';
  const body = JSON.stringify({ messages: [{ role: 'user', content: 'Hi' }], max_tokens: 2 });
  const json = { 'Content-Type': 'application/json' };
  const tries = {
    read: () => fetch(target + '/v1/models').then((r) => r.text()),
    readOpaquely: () => fetch(target + '/v1/models', { mode: 'no-cors' }).then((r) => r.text()),
    send: () => fetch(target + chat, { method: 'POST', headers: json, body }).then((r) => r.text()),
    sendPlain: () => fetch(target + chat, { method: 'POST', mode: 'no-cors', body }).then((r) => r.text()),
    sendWithCookies: () =>
      fetch(target + chat, { method: 'POST', mode: 'no-cors', credentials: 'include', body }).then((r) => r.text()),
    beacon: async () => (navigator.sendBeacon(target + chat, new Blob([body], { type: 'text/plain' })), ''),
    events: () =>
      new Promise((resolve) => {
        const source = new EventSource(target + '/v1/models');
        source.onmessage = ({ data }) => resolve(data);
        source.onerror = () => (source.close(), resolve(''));
      }),
    script: () =>
      new Promise((resolve) => {
        const element = document.createElement('script');
        element.src = target + '/props';
        element.onload = () => resolve('loaded');
        element.onerror = () => resolve('');
        document.head.append(element);
      }),
    frame: () =>
      new Promise((resolve) => {
        const element = document.createElement('iframe');
        element.src = target + '/';
        element.onload = () => {
          try {
            resolve(element.contentDocument ? element.contentDocument.body.innerText : '');
          } catch {
            resolve('');
          }
        };
        document.body.append(element);
      }),
    form: () =>
      new Promise((resolve) => {
        const form = document.createElement('form');
        form.method = 'POST';
        form.enctype = 'text/plain';
        form.action = target + chat;
        form.target = 'sink';
        const sink = document.createElement('iframe');
        sink.name = 'sink';
        sink.onload = () => resolve('');
        document.body.append(sink, form);
        form.submit();
      }),
  };
  const seen = {};
  for (const [name, attempt] of Object.entries(tries)) seen[name] = await attempt().catch(() => '');
  return seen;`;

test('a page of another port gets nothing and starts nothing', async (t) => {
  const { url } = await tinyServer(t);
  const attacker = createServer((_, response) => {
    response.writeHead(200, { 'Content-Type': 'text/html' }).end('<!doctype html><title>other</title><body>');
  });
  attacker.listen(0, '127.0.0.1');
  await once(attacker, 'listening');
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
  t.teardown(async () => {
    await browser.close();
    attacker.close();
  });
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${(attacker.address() as AddressInfo).port}/`);
  for (const target of [url, url.replace('127.0.0.1', 'localhost')]) {
    const script = `(async (target) => {${attempts}})(${JSON.stringify(target)})`;
    const seen: Record<string, string> = await page.evaluate(script);
    t.deepEqual(Object.values(seen).join(''), '', JSON.stringify(seen));
  }
  const before = (await get(`${url}/metrics`)).text;
  t.regex(before, /^axllm_completion_tokens_total 0$/m);
  t.regex(before, /status="403"\} \d/);
  // while somebody at home is answered
  t.is((await post(`${url}/v1/chat/completions`, { messages: user('Hi'), max_tokens: 2 })).status, 200);
});
