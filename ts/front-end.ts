/** What every way of talking to a model is given: the plain chat, the full-screen chat, the server. */
import { replyOptions, settingsOf } from './chat/settings.js';
import type { Voice } from './chat/voice.js';
import type { Context } from './context.js';
import type { ChatOptions, Model } from './model.js';
import type { OptionValues } from './options.js';
import type { Card } from './store/cards.js';
import type { Log } from './terminal.js';

/** A loaded model and what the user wants of it. */
export interface Talk {
  readonly model: Model;
  readonly card: Card;
  readonly values: OptionValues;
  readonly chatOptions: ChatOptions;
  readonly context: Context;
  readonly log: Log;
  readonly voice: Voice;
}

/** Returns when the user has ended it; whoever called it disposes the model. */
export type FrontEnd = (talk: Talk) => Promise<void>;

/** The options of a conversation, as the values ask for them. */
export function chatOptionsOf(values: OptionValues): ChatOptions {
  const system = values['system-prompt'];
  return {
    ...(system === undefined ? {} : { systemPrompt: system }),
    history: values.history,
    ...replyOptions(settingsOf(values)),
  };
}
