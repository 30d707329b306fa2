/** The full-screen chat: the loop with a real screen, clock, model and signals around it. */
import { cpus } from 'node:os';
import { contextMeter, type TokenCounter } from '../chat/context-use.js';
import { ConversationStore } from '../chat/conversation-store.js';
import { InputHistory } from '../chat/input-history.js';
import type { Settings } from '../chat/settings.js';
import type { Context } from '../context.js';
import type { Chat, Model } from '../model.js';
import { listDevices } from '../native.js';
import type { StartProgress } from '../store/progress.js';
import type { Log } from '../terminal.js';
import { run, type World } from './effects.js';
import { Loop, realClock } from './loop.js';
import { Screen } from './screen.js';
import { initialState, type Message } from './state.js';
import { themeFor } from './theme.js';

const tickMs = 100;

/** What answers: a model and a conversation with it. */
export interface Opened {
  readonly model: TokenCounter & Pick<Model, 'coreTemperature'>;
  readonly chat: Pick<Chat, 'conversation' | 'send'>;
}

/** Where loading tells how far it is. */
export interface LoadingReport {
  readonly log: Log;
  readonly progress: StartProgress;
}

export interface TuiOptions {
  readonly context: Context;
  /** The card's name. */
  readonly title: string;
  readonly settings: Settings;
  readonly colour: boolean;
  /** Whether what is typed is kept for the next time. */
  readonly save: boolean;
  /** Loads the model, while the screen is there already. */
  open(report: LoadingReport): Promise<Opened>;
}

/** Whether the full-screen chat can be shown here; else why not. */
export function whyNotFullScreen({ stdin, stdout, env }: Context): string | undefined {
  if (!stdin.isTTY || !stdout.isTTY) return 'it needs a terminal for input and output';
  if (env.TERM === 'dumb') return 'TERM=dumb has no screen';
  return undefined;
}

/** Shows the chat until it is left. Rejects with what kept the model from loading, and when a signal ends it. */
export async function runTui(options: TuiOptions): Promise<void> {
  const { context } = options;
  const { stdin, env, signal } = context;
  const stdout = context.stdout as NodeJS.WriteStream;
  signal.throwIfAborted();
  let settle!: { resolve: () => void; reject: (reason: unknown) => void };
  const left = new Promise<void>((resolve, reject) => (settle = { resolve, reject }));
  const { now } = realClock;
  const loop = new Loop(initialState(options.title, 80, 24, now()), {
    clock: realClock,
    draw: (frame) => screen.draw(frame),
    perform: (effect) => run(effect, world),
    fail: (reason) => settle.reject(reason),
  });
  const { dispatch } = loop;
  const abort = () => settle.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  const screen = new Screen({
    stdin,
    stdout,
    env,
    theme: themeFor(env, options.colour),
    onInput: dispatch,
    onResize: (columns, rows) => dispatch({ kind: 'resize', columns, rows }),
    onStale: loop.stale,
  });
  const world: World = {
    env,
    screen,
    dispatch,
    now,
    leave: () => settle.resolve(),
    prompts: new InputHistory(env, options.save),
  };
  const release = context.onInterrupt(() => dispatch({ kind: 'key', key: 'Ctrl-C' }));
  const ticker = setInterval(() => {
    const { chat, pending, armed } = loop.state;
    if (!chat || pending || armed) dispatch({ kind: 'tick', now: now() });
  }, tickMs);
  const meter = setInterval(
    telemetry(
      dispatch,
      () => loop.state.pending !== undefined,
      () => world.coreTemperature?.(),
    ),
    1000,
  );
  try {
    dispatch({ kind: 'resize', ...screen.size });
    void world.prompts.load().then(() => dispatch({ kind: 'prompts', prompts: world.prompts.entries }));
    const opening = load(options, world, dispatch);
    await Promise.race([left, opening.then(() => left)]);
  } finally {
    clearInterval(ticker);
    clearInterval(meter);
    loop.stop();
    signal.removeEventListener('abort', abort);
    release();
    world.reply?.cancel();
    screen.close();
  }
}

async function load(options: TuiOptions, world: World, dispatch: (message: Message) => void): Promise<void> {
  const tell = (text: string) => dispatch({ kind: 'loading', text });
  const log: Log = { debug: () => undefined, info: tell, warning: tell };
  const progress: StartProgress = (label, expected) => ({
    update(done, total = expected) {
      const share = total ? { share: Math.min(1, done / total) } : {};
      dispatch({ kind: 'loading', text: `downloading ${label}`, ...share });
    },
    end: () => tell('loading the model'),
  });
  const { model, chat } = await options.open({ log, progress });
  world.chat = chat;
  world.coreTemperature = () => model.coreTemperature();
  world.services = {
    env: world.env,
    store: new ConversationStore(world.env),
    meter: contextMeter(model),
    listDevices: () => listDevices(),
    writeTerminal: (bytes) => world.screen.write(bytes),
  };
  const { conversation } = chat;
  dispatch({
    kind: 'opened',
    chat: { conversation, settings: options.settings, modelName: options.title, info: model.info },
  });
}

/** The process's share of all cores, smoothed as the reference does it, and the device's temperature. */
function telemetry(
  dispatch: (message: Message) => void,
  wanted: () => boolean,
  coreTemperature: () => number | undefined,
): () => void {
  const cores = Math.max(1, cpus().length);
  let usage = process.cpuUsage();
  let at = Date.now();
  let smooth: number | undefined;
  return () => {
    const spent = process.cpuUsage(usage);
    const elapsed = Math.max(1, Date.now() - at);
    usage = process.cpuUsage();
    at = Date.now();
    const share = (spent.user + spent.system) / 10 / elapsed / cores;
    smooth = smooth === undefined ? share : 0.3 * share + 0.7 * smooth;
    if (wanted()) dispatch({ kind: 'telemetry', cpuPercent: smooth, temperature: coreTemperature() });
  };
}
