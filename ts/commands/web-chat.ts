/** `--ui`: the chat in the browser. The page is served at once; the model loads meanwhile. */
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { replyOptions, settingsOf } from '../chat/settings.js';
import type { Context } from '../context.js';
import type { Model } from '../model.js';
import { openOnAll, requestOf } from '../open.js';
import { samplingOptions, type OptionValues } from '../options.js';
import { randomSecret } from '../server/access.js';
import { limitsOf } from '../server/limits.js';
import { pageRoute } from '../server/page-route.js';
import { isLoopback } from '../server/address.js';
import { startServer } from '../server/start.js';
import { openShare, type Share } from '../share/share.js';
import { qrForTerminal } from '../share/qr.js';
import { buildRoot } from '../store/build-root.js';
import type { Card } from '../store/cards.js';
import { progressOn } from '../store/progress.js';
import { paint, wantsColour, write, type Log } from '../terminal.js';
import type { UiState } from '../server/page-state.js';

/** Longer than a page waits between two looks. */
const lastWordsMs = 1000;

/** Serves the page until a signal ends it, or the model cannot be loaded. */
export async function webChat(card: Card, values: OptionValues, log: Log, context: Context): Promise<void> {
  const { env, signal, stdout } = context;
  const limits = limitsOf(values);
  context.graceMs = limits['drain-timeout'] * 1000 + 1500;
  const loading = new Loading(log);
  const opened = open(card, values, loading, context);
  const keyless = isLoopback(values.host) && values['api-key'] === undefined;
  let share: Share | undefined;
  const server = await startServer({
    models: [
      {
        id: card.name,
        description: card.description,
        models: opened,
        progress: () => loading.state.step,
        defaults: replyOptions(settingsOf(values)),
        systemPrompt: values['system-prompt'],
      },
    ],
    host: values.host,
    port: values.port,
    key: keyless ? undefined : (values['api-key'] ?? randomSecret()),
    hosts: values['allow-host'] ?? [],
    origins: values['allow-origin'] ?? [],
    limits,
    log,
    routes: [
      pageRoute({
        simple: values.ui!.endsWith('_simple'),
        history: values.history,
        defaults: defaultsOf(values),
        loading: () => loading.state,
        share: () => share?.state,
      }),
    ],
  });
  const ending = AbortSignal.any([signal, failing(server.ready)]);
  try {
    const secret = keyless ? '' : `/#${server.issueToken({ scope: 'all' }).token}`;
    const address = new URL(server.url);
    const host = ['0.0.0.0', '[::]'].includes(address.hostname) ? ownAddress() : address.hostname;
    await write(stdout, `Running on local URL:  http://${host}:${server.port}${secret}\n`);
    if (values.ui!.startsWith('share')) {
      const onLink = (link: string, expires: number) => void announce(link, expires, values, context);
      share = openShare({ server, values, env, log, signal: ending, onLink });
    }
    await server.ready.catch(async (error: unknown) => {
      // pages that are open ask once more, and learn why
      await sleep(lastWordsMs, undefined, { signal }).catch(() => undefined);
      throw error;
    });
    if (!signal.aborted) await once(signal, 'abort');
    signal.throwIfAborted();
  } finally {
    await share?.over;
    await server.close();
    for (const model of await opened.catch(() => [])) model.dispose();
  }
}

/** Aborted when what is awaited fails. */
function failing(ready: Promise<unknown>): AbortSignal {
  const controller = new AbortController();
  ready.catch(() => controller.abort());
  return controller.signal;
}

function open(card: Card, values: OptionValues, loading: Loading, context: Context): Promise<Model[]> {
  const { env, stderr, signal } = context;
  const root = buildRoot(values['build-root'], env);
  const shown = progressOn(stderr);
  const files = {
    root,
    env,
    log: loading.log,
    offline: values.offline,
    signal,
    progress: (label: string, total: number | undefined) => loading.follow(shown, label, total),
  };
  return openOnAll(requestOf(card, values), files).then((models) => {
    for (const note of new Set(models.flatMap(({ info }) => info.notes))) loading.log.info(note);
    return models;
  });
}

/** How far loading is, for those who look at the page meanwhile; the terminal is told as ever. */
class Loading {
  state: Pick<UiState, 'step' | 'progress'> = {};
  readonly log: Log;

  constructor(log: Log) {
    this.log = {
      ...log,
      debug: (text) => log.debug(text),
      warning: (text) => log.warning(text),
      info: (text) => {
        this.state = { ...this.state, step: text };
        log.info(text);
      },
    };
  }

  follow(shown: ReturnType<typeof progressOn>, label: string, total: number | undefined) {
    const terminal = shown(label, total);
    return {
      update: (done: number, known = total) => {
        this.state = {
          ...this.state,
          progress: { label, done, ...(known === undefined ? {} : { total: known }) },
        };
        terminal.update(done, known);
      },
      end: () => {
        const { progress: _over, ...rest } = this.state;
        this.state = rest;
        terminal.end();
      },
    };
  }
}

/** The link goes to stdout, as the local one does; code and warning are talk. */
async function announce(
  link: string,
  expires: number,
  values: OptionValues,
  context: Context,
): Promise<void> {
  const { stdout, stderr, env } = context;
  const colour = wantsColour(stderr, env, values.color);
  const until = new Date(expires).toLocaleString('sv-SE', { timeZoneName: 'short' });
  const warnings = [
    `Whoever has this link can use the model on this machine, until ${until} or until axllm ends.`,
    ...(link.startsWith('http:') ? ['It is not encrypted on its way to the server that forwards it.'] : []),
    '--ui local shares nothing.',
  ];
  await write(stdout, `Running on public URL: ${link}\n`);
  await write(stderr, `${qrForTerminal(link, colour)}\n${paint(warnings.join('\n'), 'red', colour)}\n`);
}

function defaultsOf(values: OptionValues): UiState['defaults'] {
  return Object.fromEntries(
    samplingOptions().flatMap(([name, { key }]) => (values[name] === undefined ? [] : [[key, values[name]]])),
  ) as UiState['defaults'];
}

/** An address by which others in the network reach this machine. */
function ownAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  return all.find(({ internal, family }) => !internal && family === 'IPv4')?.address ?? '127.0.0.1';
}
