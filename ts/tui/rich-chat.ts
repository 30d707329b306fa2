/** `--rich-cli`: what the command line has read, as the full-screen chat takes it. */
import { settingsOf } from '../chat/settings.js';
import { filesOf } from '../commands/files.js';
import type { Context } from '../context.js';
import { chatOptionsOf } from '../front-end.js';
import type { Model } from '../model.js';
import { openModel, requestOf } from '../open.js';
import type { OptionValues } from '../options.js';
import type { Card } from '../store/cards.js';
import { wantsColour } from '../terminal.js';
import { runTui } from './run.js';

export { whyNotFullScreen } from './run.js';

/** Shows the screen first and loads the model inside it. */
export async function richChat(card: Card, values: OptionValues, context: Context): Promise<void> {
  const { env, stdout } = context;
  let model: Model | undefined;
  try {
    await runTui({
      context,
      title: card.name,
      settings: settingsOf(values),
      colour: wantsColour(stdout, env, values.color),
      save: values.save,
      async open({ log, progress }) {
        model = await openModel(requestOf(card, values), filesOf(context, values, log, progress));
        return { model, chat: model.chat(chatOptionsOf(values)) };
      },
    });
  } finally {
    model?.dispose();
  }
}
