/** The plain chat in the terminal. */
import { AxllmError, Stopped, asAxllmError } from '../errors.js';
import type { FrontEnd, Talk } from '../front-end.js';
import type { Chat } from '../model.js';
import { listDevices } from '../native.js';
import { parseSelector } from '../devices.js';
import { reportError } from '../report.js';
import { sanitise } from '../sanitise.js';
import { isDumb, paint, wantsColour, write } from '../terminal.js';
import { contextMeter } from './context-use.js';
import { ConversationStore } from './conversation-store.js';
import { before } from './conversation.js';
import { DumbReader } from './edit/dumb-reader.js';
import { LineEditor } from './edit/line-editor.js';
import { InputHistory } from './input-history.js';
import { perform, type Services } from './perform.js';
import { replyOptions, settingsOf, telemetryOf } from './settings.js';
import { completions, interpret, runSlash } from './slash/table.js';
import type { ChatState, Effect } from './slash/types.js';
import { answer } from './voice.js';

const clearScreen = '\u001b[2J\u001b[3J\u001b[H';

/** Talks until `exit`, `quit`, Ctrl-C or Ctrl-D at the prompt. */
export const plainChat: FrontEnd = async (talk) => {
  const { context, log, values } = talk;
  const history = new InputHistory(context.env, values.save);
  await history.load();
  const chat = new PlainChat(talk);
  const Reader = isDumb(context.env) ? DumbReader : LineEditor;
  const reader = new Reader(context, {
    past: () => history.entries,
    complete: completions,
    interrupt: () => chat.interrupt(),
  });
  const prompt = { text: 'User: ', painted: paint('User: ', 'cyan', chat.colour) };
  log.info("Welcome to LLM CLI. Type 'exit' to quit.");
  reader.open();
  try {
    while (!chat.left) {
      const text = await reader.read(prompt, chat.draft);
      if (text === undefined) break;
      await history.add(text);
      await chat.take(text);
    }
  } finally {
    reader.close();
  }
  log.info('Goodbye!');
};

/** The state of a plain chat, and its effects carried out one after the other. */
class PlainChat {
  readonly colour: boolean;
  /** Someone said that it is over. */
  left = false;
  /** What the next input begins with. */
  draft = '';
  private state: ChatState;
  private replaces: number | undefined;
  private announced = 0;
  private stop: (() => void) | undefined;
  private readonly chat: Chat;
  private readonly services: Services;

  constructor(private readonly talk: Talk) {
    const { model, card, values, chatOptions, context } = talk;
    this.chat = model.chat(chatOptions);
    this.colour = wantsColour(context.stdout, context.env, values.color);
    this.state = {
      conversation: this.chat.conversation,
      settings: settingsOf(values),
      modelName: card.name,
      info: model.info,
    };
    this.services = {
      env: context.env,
      store: new ConversationStore(context.env),
      meter: contextMeter(model),
      listDevices: () => listDevices(parseSelector(values.devices, context.env).runtimeLibrary),
      writeTerminal: (bytes) => void context.stdout.write(bytes),
    };
  }

  /** Stops the reply that is coming; false where there is none, or it was stopped already and still goes on. */
  interrupt(): boolean {
    const { stop } = this;
    this.stop = undefined;
    stop?.();
    return stop !== undefined;
  }

  /** One input: a message or a command. */
  async take(text: string): Promise<void> {
    const input = interpret(text);
    const { replaces } = this;
    this.draft = '';
    this.replaces = undefined;
    if (input.kind !== 'message') {
      const earlier = this.state;
      const [state, effects] = runSlash(earlier, input);
      this.state = state;
      for (const effect of effects) await this.carryOut(effect, earlier);
    } else if (input.text !== '') {
      const earlier = this.state;
      if (replaces !== undefined) {
        this.state = { ...earlier, conversation: before(earlier.conversation, replaces) };
      }
      await this.send(input.text, earlier);
    }
  }

  /** `earlier` is what holds again when asking the model comes to nothing. */
  private async carryOut(effect: Effect, earlier: ChatState): Promise<void> {
    const { stdout, stderr } = this.talk.context;
    switch (effect.kind) {
      case 'say':
        return write(stdout, effect.lines.map((line) => `${sanitise(line)}\n`).join(''));
      case 'complain':
        return reportError(stderr, effect.error);
      case 'send':
        return this.send(effect.text, earlier);
      case 'compose':
        this.draft = effect.text;
        this.replaces = effect.replaces;
        return undefined;
      case 'clear-screen':
        this.chat.clear();
        return write(stdout, isDumb(this.talk.context.env) ? '' : clearScreen);
      case 'leave':
        this.left = true;
        return undefined;
      default: {
        const [state, effects] = await perform(this.state, effect, this.services);
        this.state = state;
        for (const next of effects) await this.carryOut(next, earlier);
      }
    }
  }

  /** One turn; an error that concerns this turn only leaves the chat as it was. */
  private async send(text: string, earlier: ChatState): Promise<void> {
    const { context, voice } = this.talk;
    const { conversation, settings, info } = this.state;
    await write(context.stdout, paint('Assistant: ', 'green', this.colour));
    this.chat.conversation = conversation;
    const stream = this.chat.send(text, { ...replyOptions(settings), signal: context.signal });
    this.stop = () => stream.cancel();
    try {
      const known = { show: telemetryOf(settings), droppedTurns: this.announced };
      const lastResult = await answer(stream, info, { ...voice, ...known });
      this.announced = lastResult.droppedTurns;
      this.state = { ...this.state, lastResult };
    } catch (error) {
      if (error instanceof Stopped || !(error instanceof AxllmError)) throw error;
      await reportError(context.stderr, asAxllmError(error));
    } finally {
      this.stop = undefined;
    }
    const said = this.chat.conversation !== conversation;
    this.state = { ...this.state, conversation: said ? this.chat.conversation : earlier.conversation };
  }
}
