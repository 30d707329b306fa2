/** Carries out what update asks for; each effect answers with messages. */
import type { ContextUse } from '../chat/context-use.js';
import type { Conversation } from '../chat/conversation.js';
import { editOutside } from '../chat/edit/external.js';
import type { InputHistory } from '../chat/input-history.js';
import { perform, type Services } from '../chat/perform.js';
import { replyOptions } from '../chat/settings.js';
import { asAxllmError } from '../errors.js';
import type { Chat } from '../model.js';
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
  coreTemperature?(): number | undefined;
  reply?: ReplyStream;
  /** The loop's clock. */
  now(): number;
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
      const loaded = chat.conversation === effect.chat.conversation ? {} : { loaded: chat.conversation };
      return world.dispatch({ kind: 'performed', ...loaded, effects });
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
      return world.dispatch({ kind: 'tick', now: world.now() });
    case 'leave':
      return world.leave();
    default:
      return effect satisfies never;
  }
}

async function reply({ text, chat: state }: Extract<Effect, { kind: 'reply' }>, world: World): Promise<void> {
  const { chat } = world;
  if (!chat) return;
  try {
    chat.conversation = state.conversation;
    const stream = chat.send(text, replyOptions(state.settings));
    world.reply = stream;
    for await (const chunk of stream) {
      world.dispatch({
        kind: 'chunk',
        said: stream.said,
        tokens: chunk.tokens,
        now: world.now(),
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
  try {
    const edited = await world.screen.lend(() => editOutside(text, world.env));
    if (edited !== undefined) world.dispatch({ kind: 'edited', text: edited });
    else world.dispatch({ kind: 'notice', text: 'the editor failed: nothing has changed', error: true });
  } catch (error) {
    world.dispatch({ kind: 'notice', text: asAxllmError(error).message, error: true });
  }
}
