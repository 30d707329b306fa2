/** The plain chat in the terminal. */
import { AxllmError, Stopped, asAxllmError } from '../errors.js';
import { reportError } from '../report.js';
import type { FrontEnd } from '../front-end.js';
import type { Chat } from '../model.js';
import type { ModelInfo } from '../native.js';
import { paint, wantsColour, write } from '../terminal.js';
import { LineReader } from './line-reader.js';
import { answer, type Voice } from './voice.js';

const clearScreen = '\u001b[2J\u001b[3J\u001b[H';

/** Talks until `exit`, `quit`, Ctrl-C or Ctrl-D at the prompt. */
export const plainChat: FrontEnd = async ({ model, context, log, chatOptions, voice, values }) => {
  const chat = model.chat(chatOptions);
  const { info } = model;
  const colour = wantsColour(context.stdout, context.env, values.color);
  const reader = new LineReader(context);
  log.info("Welcome to LLM CLI. Type 'exit' to quit.");
  for (;;) {
    const line = await reader.read(paint('User: ', 'cyan', colour));
    const text = line?.trim();
    if (text === undefined || text === 'exit' || text === 'quit') break;
    if (text === '') continue;
    if (text === 'clear') {
      chat.clear();
      await write(context.stdout, clearScreen);
      continue;
    }
    await write(context.stdout, paint('Assistant: ', 'green', colour));
    await reply(chat, text, info, voice);
  }
  log.info('Goodbye!');
};

/** One turn; Ctrl-C ends the reply and keeps the chat, and so does an error that concerns this turn only. */
async function reply(chat: Chat, text: string, info: ModelInfo, voice: Voice): Promise<void> {
  const { context } = voice;
  const stream = chat.send(text, { signal: context.signal });
  const release = context.onInterrupt(() => stream.cancel());
  try {
    await answer(stream, info, voice);
  } catch (error) {
    if (error instanceof Stopped || !(error instanceof AxllmError)) throw error;
    await reportError(context.stderr, asAxllmError(error));
  } finally {
    release();
  }
}
