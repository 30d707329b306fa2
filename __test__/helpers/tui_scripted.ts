/**
 * The full-screen chat as it is, but for the model: its replies come from SCRIPT, `{ text, times, chunk, everyMs }`; with
 * several texts, one after the other. TURNS and ROWS say how long the conversation before is. With CRASH
 * (`exception`, `rejection`) it crashes at SIGUSR2.
 */
import { writeFileSync } from 'node:fs';
import { Chat } from '../../ts/model.js';
import { settingsOf } from '../../ts/chat/settings.js';
import { resolve } from '../../ts/resolve.js';
import { runTui } from '../../ts/tui/run.js';
import { bytesOf, settledHeap } from './memory.js';
import { scriptedSession } from './scripted.js';
import { chatState, longHistory } from './tui_states.js';
import { newConversation } from '../../ts/chat/conversation.js';

const script = JSON.parse(process.env.SCRIPT ?? '{}') as {
  text?: string | string[];
  times?: number | number[];
  chunk?: number;
  everyMs?: number;
};
const { chunk = 4, everyMs = 5 } = script;
const times = [script.times ?? 1].flat();
const texts = [script.text ?? 'Hello.']
  .flat()
  .map((text, at) => Buffer.from(text.repeat(times[at] ?? 1)).toString());
let replies = 0;

const session = scriptedSession(() => texts[replies++ % texts.length]!, { chunk, everyMs });
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort(new Error('terminated')));
process.on('SIGHUP', () => stop.abort(new Error('hung up')));
const { info } = chatState(newConversation());
const crash = new Error('crash on purpose');
const { CRASH } = process.env;
if (CRASH)
  process.on('SIGUSR2', () => {
    if (CRASH === 'exception') throw crash;
    void Promise.reject(crash);
  });
const chat = new Chat(session, {
  conversation: longHistory(Number(process.env.TURNS ?? 0), Number(process.env.ROWS ?? 2)),
});
const { MEMORY } = process.env;
if (MEMORY)
  process.on('SIGUSR2', () => {
    const { turns } = chat.conversation;
    const said = turns.reduce((sum, { user, assistant }) => sum + bytesOf(user) + bytesOf(assistant), 0);
    writeFileSync(MEMORY, JSON.stringify({ heap: settledHeap(), said }));
  });
await runTui({
  context: {
    env: process.env,
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    signal: stop.signal,
    jsonErrors: false,
    graceMs: 1500,
    onInterrupt: () => () => undefined,
  },
  title: 'scripted',
  settings: settingsOf(resolve('run', {}).values),
  colour: true,
  save: process.env.SAVE !== undefined,
  open: () =>
    Promise.resolve({
      model: {
        info,
        responseSpace: 128,
        countTokens: (counted: string) => Math.ceil(counted.length / 4),
        coreTemperature: () => 34,
      },
      chat,
    }),
}).catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
process.stdout.write('left\n');
process.exit(0);
