/** The public link: a door of its own, a secret, a tunnel that is made again when it breaks, and an end. */
import { setTimeout as sleep } from 'node:timers/promises';
import { asAxllmError } from '../errors.js';
import type { OptionValues } from '../options.js';
import type { Door } from '../server/door.js';
import type { RunningServer } from '../server/start.js';
import type { Env, Log } from '../terminal.js';
import type { ShareState } from '../server/page-state.js';
import { planFor } from './plan.js';
import { qrRows } from './qr.js';
import { openTunnel, type Tunnel } from './tunnel.js';

/** Whoever comes by the link has one reply at a time. */
const atOnce = 1;
const longestPauseMs = 60_000;

export interface ShareOptions {
  readonly server: Pick<RunningServer, 'openDoor' | 'issueToken'>;
  readonly values: Pick<OptionValues, 'share-command' | 'share-ssh' | 'share-expiry' | 'share-sessions'>;
  readonly env: Env;
  readonly log: Log;
  /** Ends the link. */
  readonly signal: AbortSignal;
  /** Called with each new link; they change when a tunnel is made again. */
  onLink(link: string, expires: number): void;
}

/** The link as it stands; what it does goes on until the signal is aborted or the link has expired. */
export interface Share {
  state: ShareState;
  /** Resolves when nothing of it is left. */
  readonly over: Promise<void>;
}

/** Begins to make the link. Never rejects: without a link the server goes on. */
export function openShare(options: ShareOptions): Share {
  const share: { state: ShareState; over: Promise<void> } = {
    state: { phase: 'opening', step: 'Making the public link' },
    over: Promise.resolve(),
  };
  share.over = run(options, share).catch((error: unknown) => {
    const { message, hint } = asAxllmError(error);
    share.state = { phase: 'closed', reason: message, ...(hint ? { hint } : {}) };
    if (options.signal.aborted) return;
    options.log.warning(`${message}${hint ? ` (${hint})` : ''}; the page is served on this machine only`);
  });
  return share;
}

async function run(options: ShareOptions, share: { state: ShareState }): Promise<void> {
  const { server, values, log } = options;
  const lifeMs = values['share-expiry'] * 3_600_000;
  const expires = Date.now() + lifeMs;
  const end = new AbortController();
  const expiry = setTimeout(() => end.abort(), lifeMs);
  const signal = AbortSignal.any([options.signal, end.signal]);
  const sessions = values['share-sessions'];
  const secret = server.issueToken({ expires, scope: 'page', atOnce, sessions });
  let door: Door | undefined;
  try {
    door = await server.openDoor({ open: false });
    await keepOpen(door, secret.token, expires, { ...options, signal }, share);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    clearTimeout(expiry);
    secret.revoke();
    door?.close();
  }
  share.state = { phase: 'closed', reason: 'The public link has expired' };
  if (!options.signal.aborted) log.info('The public link has expired');
}

/** One tunnel after the other, with longer pauses while none holds. */
async function keepOpen(
  door: Door,
  secret: string,
  expires: number,
  { values, env, log, signal, onLink }: ShareOptions,
  share: { state: ShareState },
): Promise<void> {
  const plan = await planFor(values, env, door.port);
  let tunnel = await openTunnel(plan, env, signal);
  let shown = '';
  for (;;) {
    // only now is its name known; any other is refused
    door.answerTo(new URL(tunnel.url));
    const url = `${tunnel.url}/#${secret}`;
    share.state = { phase: 'open', url, expires, qr: qrRows(url) };
    if (url !== shown) onLink(url, expires);
    shown = url;
    await warnIfSilent(tunnel, log, signal);
    const reason = await tunnel.ended;
    signal.throwIfAborted();
    log.warning(`The public link broke: ${reason}; making it again`);
    share.state = { phase: 'opening', step: 'Making the public link again' };
    tunnel = await again(() => openTunnel(plan, env, signal), log, signal);
  }
}

async function again(open: () => Promise<Tunnel>, log: Log, signal: AbortSignal): Promise<Tunnel> {
  for (let pause = 1000; ; pause = Math.min(2 * pause, longestPauseMs)) {
    await sleep(pause, undefined, { signal });
    try {
      return await open();
    } catch (error) {
      signal.throwIfAborted();
      log.debug(asAxllmError(error).message);
    }
  }
}

const lookMs = 20_000;

/** A tunnel may stand and lead nowhere. From here the link may also be out of reach, so this only warns. */
async function warnIfSilent({ url, ended }: Tunnel, log: Log, signal: AbortSignal): Promise<void> {
  let reason = '';
  const gone = ended.then(() => true);
  for (const until = Date.now() + lookMs; Date.now() < until;) {
    try {
      const { status } = await fetch(`${url}/health`, {
        signal: AbortSignal.any([signal, AbortSignal.timeout(5000)]),
      });
      if (status === 200 || status === 503) return;
      reason = `status ${status}`;
    } catch (error) {
      signal.throwIfAborted();
      reason = (error as Error & { cause?: Error }).cause?.message ?? (error as Error).message;
    }
    const left = await Promise.race([gone, sleep(1000, false, { signal })]);
    if (left) return;
  }
  log.warning(`The public link does not answer when called from here (${reason}); try it from elsewhere`);
}
