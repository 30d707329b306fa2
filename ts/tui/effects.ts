/** Carries out what update asks for; each effect answers with messages. */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ContextUse } from '../chat/context-use.js';
import type { Conversation } from '../chat/conversation.js';
import type { InputHistory } from '../chat/input-history.js';
import { perform, type Services } from '../chat/perform.js';
import { replyOptions } from '../chat/settings.js';
import { asAxllmError } from '../errors.js';
import type { Chat } from '../model.js';
import { createSanitiser } from '../sanitise.js';
import type { ReplyStream } from '../stream.js';
import type { Env } from '../terminal.js';
import type { Screen } from './screen.js';
import type { Effect, Message } from './state.js';

/** What effects work with. The chat is missing while the model loads. */
export interface World {
  readonly env: Env;
  readonly screen: Screen;
  readonly prompts: InputHistory;
  chat?: Pick<Chat, 'conversation' | 'send'>;
  services?: Services;
  reply?: ReplyStream;
  dispatch(message: Message): void;
  leave(): void;
}

export async function run(effect: Effect, world: World): Promise<void> {
  switch (effect.kind) {
    case 'reply':
      return reply(effect, world);
    case 'cancel':
      return world.reply?.cancel();
    case 'perform': {
      if (!world.services) return undefined;
      const [chat, effects] = await perform(effect.chat, effect.effect, world.services);
      return world.dispatch({ kind: 'performed', chat, effects });
    }
    case 'remember':
      return world.prompts.add(effect.text);
    case 'editor':
      return edit(effect.text, world);
    case 'measure':
      return measure(effect.chat.conversation, effect.draft, world);
    case 'mouse':
      return world.screen.setMouse(effect.on);
    case 'suspend':
      return world.screen.suspend();
    case 'redraw':
      world.screen.forget();
      return world.dispatch({ kind: 'tick', now: Date.now() });
    case 'leave':
      return world.leave();
    default:
      return effect satisfies never;
  }
}

async function reply({ text, chat: state }: Extract<Effect, { kind: 'reply' }>, world: World): Promise<void> {
  const { chat } = world;
  if (!chat) return;
  const sanitiser = createSanitiser();
  try {
    chat.conversation = state.conversation;
    const stream = chat.send(text, replyOptions(state.settings));
    world.reply = stream;
    for await (const chunk of stream) {
      world.dispatch({
        kind: 'chunk',
        text: sanitiser.push(chunk.text),
        tokens: chunk.tokens,
        now: Date.now(),
      });
    }
    world.dispatch({ kind: 'ended', conversation: chat.conversation, result: await stream.result });
  } catch (error) {
    world.dispatch({ kind: 'failed', conversation: chat.conversation, error: asAxllmError(error) });
  } finally {
    delete world.reply;
  }
}

/** Counts at most once in a while: a model's tokenizer takes longer for a long draft than a key may. */
let measuring: { conversation: Conversation; draft: string } | undefined;
const measureMs = 150;

async function measure(conversation: Conversation, draft: string, world: World): Promise<void> {
  const running = measuring !== undefined;
  measuring = { conversation, draft };
  if (running) return;
  await new Promise((resolve) => setTimeout(resolve, measureMs));
  const wanted = measuring;
  measuring = undefined;
  const use: ContextUse | undefined = world.services?.meter(wanted.conversation, wanted.draft);
  if (use) world.dispatch({ kind: 'measured', use });
}

/** The message in the user's own editor; the screen is lent meanwhile. */
async function edit(text: string, world: World): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'axllm-'));
  const file = join(folder, 'message.md');
  try {
    await writeFile(file, text, { mode: 0o600 });
    const editor = world.env.VISUAL || world.env.EDITOR || 'vi';
    const status = { code: null as number | null };
    await world.screen.lend(async () => {
      status.code = await new Promise((resolve) => {
        // a shell, because the variable may hold options: `code --wait`
        const child = spawn('/bin/sh', ['-c', `${editor} "$1"`, 'sh', file], { stdio: 'inherit' });
        child.on('error', () => resolve(127));
        child.on('exit', resolve);
      });
    });
    if (status.code === 0)
      world.dispatch({ kind: 'edited', text: (await readFile(file, 'utf8')).replace(/\n$/, '') });
    else world.dispatch({ kind: 'notice', text: `${editor} ended with status ${status.code}`, error: true });
  } catch (error) {
    world.dispatch({ kind: 'notice', text: asAxllmError(error).message, error: true });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
