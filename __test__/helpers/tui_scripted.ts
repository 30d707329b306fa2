/** The full-screen chat as it is, but for the model: its replies come from SCRIPT, `{ text, chunk, everyMs }`. */
import { Chat } from '../../ts/model.js';
import type { NativeReply, NativeSession } from '../../ts/native.js';
import { settingsOf } from '../../ts/chat/settings.js';
import { resolve } from '../../ts/resolve.js';
import { runTui } from '../../ts/tui/run.js';
import { chatState, longHistory, result } from './tui_states.js';
import { newConversation } from '../../ts/chat/conversation.js';

const script = JSON.parse(process.env.SCRIPT ?? '{}') as { text?: string; chunk?: number; everyMs?: number };
const { text = 'Hello.', chunk = 4, everyMs = 5 } = script;

function reply(): NativeReply {
  let at = 0;
  let cancelled = false;
  return {
    async next() {
      if (cancelled || at >= text.length) return null;
      await new Promise((done) => setTimeout(done, everyMs));
      const part = text.slice(at, at + chunk);
      at += chunk;
      return { text: part, tokens: 1 };
    },
    cancel: () => void (cancelled = true),
    result: () => ({ ...result, finishReason: cancelled ? 'cancelled' : 'stop' }),
  } as NativeReply;
}

const session = { reply, reset: () => undefined, dispose: () => undefined } as unknown as NativeSession;
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort(new Error('terminated')));
process.on('SIGHUP', () => stop.abort(new Error('hung up')));
const { info } = chatState(newConversation());
if (process.env.CRASH) setTimeout(() => void Promise.reject(new Error('crash on purpose')), 1000);
await runTui({
  context: {
    env: process.env,
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    signal: stop.signal,
    jsonErrors: false,
    onInterrupt: () => () => undefined,
  },
  title: 'scripted',
  settings: settingsOf(resolve('run', {}).values),
  colour: true,
  save: false,
  open: () =>
    Promise.resolve({
      model: {
        info,
        responseSpace: 128,
        countTokens: (counted: string) => Math.ceil(counted.length / 4),
        coreTemperature: () => 34,
      },
      chat: new Chat(session, { conversation: longHistory(Number(process.env.TURNS ?? 0)) }),
    }),
}).catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
process.stdout.write('left\n');
process.exit(0);
