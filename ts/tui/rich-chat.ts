/** `--rich-cli`: what the command line has read, as the full-screen chat takes it. */
import { settingsOf } from '../chat/settings.js';
import type { Context } from '../context.js';
import { chatOptionsOf } from '../front-end.js';
import type { Model } from '../model.js';
import { openModel, requestOf } from '../open.js';
import type { OptionValues } from '../options.js';
import { buildRoot } from '../store/build-root.js';
import type { Card } from '../store/cards.js';
import { wantsColour } from '../terminal.js';
import { runTui } from './run.js';

export { whyNotFullScreen } from './run.js';

/** Shows the screen first and loads the model inside it. */
export async function richChat(card: Card, values: OptionValues, context: Context): Promise<void> {
  const { env, signal, stdout } = context;
  const root = buildRoot(values['build-root'], env);
  let model: Model | undefined;
  try {
    await runTui({
      context,
      title: card.name,
      settings: settingsOf(values),
      colour: wantsColour(stdout, env, values.color),
      save: values.save,
      async open({ log, progress }) {
        const files = { root, env, log, offline: values.offline, signal, progress };
        model = await openModel(requestOf(card, values), files);
        return { model, chat: model.chat(chatOptionsOf(values)) };
      },
    });
  } finally {
    model?.dispose();
  }
}
