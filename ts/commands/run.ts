/** `axllm [MODEL] [PROMPT]`: one reply, or a chat. */
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { settingsOf, telemetryOf } from '../chat/settings.js';
import { logFor, settings, type Context } from '../context.js';
import { AxllmError, asAxllmError } from '../errors.js';
import { chatOptionsOf, type FrontEnd, type Talk } from '../front-end.js';
import { openModel, requestOf } from '../open.js';
import type { OptionValues } from '../options.js';
import { findCard, publicNames, type Card, type CardPlaces } from '../store/cards.js';
import { closeMatches } from '../suggest.js';
import { write, type Log } from '../terminal.js';
import { filesOf, placesOf } from './files.js';
import { promptOf, readWords } from './prompt.js';
import { yargsOptions } from './yargs-options.js';

interface Words {
  words?: string[];
}

/** The default command; `verbs` are the names of the others, for whoever mistypes one. */
export const runCommand = (context: Context, verbs: readonly string[]): CommandModule<object, Words> => ({
  command: ['$0 [words..]', 'run [words..]', 'chat [words..]'],
  describe: 'Answer one prompt, or chat',
  builder: (yargs) =>
    yargs
      .positional('words', {
        type: 'string',
        array: true,
        describe: `MODEL: a card's name, the path of a card, a .gguf file or a folder, or OWNER/NAME of the hub; PROMPT: as --prompt`,
      })
      .options(yargsOptions('run'))
      .example('$0 --prompt "Why is the sky blue?"', 'one reply from the default model')
      .example('git diff | $0 run MODEL "Sum this up"', 'stdin, then the prompt')
      .example('$0 -d sim', 'a chat on the simulated card'),
  handler: (argv) => run(argv, context, verbs),
});

async function run(
  argv: ArgumentsCamelCase<Words>,
  context: Context,
  verbs: readonly string[],
): Promise<void> {
  const words = (argv.words ?? []).map(String);
  const first = await settings(context, 'run', argv);
  const places = placesOf(context, first.values, logFor(context, { ...first.values, logfile: undefined }));
  if (first.values['help-network']) {
    return write(context.stdout, `${publicNames(places).join('\n')}\n`);
  }
  const wanted = readWords(words, first.values, first.sources.model === 'flag');
  const card = findModel(wanted.model, verbs, places);
  const { values } = await settings(context, 'run', argv, card.options);
  const log = logFor(context, values);
  if (values['rich-cli'] && values.prompt === undefined && wanted.text === undefined) {
    const { richChat, whyNotFullScreen } = await import('../tui/rich-chat.js');
    const obstacle = whyNotFullScreen(context);
    if (obstacle === undefined) return richChat(card, values, context);
    log.info(`No full-screen chat: ${obstacle}; this is the plain one`);
  }
  if (values.ui !== undefined) {
    const { webChat } = await import('./web-chat.js');
    return webChat(card, values, log, context);
  }
  const prompt = await promptOf(wanted.text, context, log);
  if (prompt === '') return log.info('Goodbye!');
  await talk(card, values, log, context, async (it) => {
    if (prompt !== undefined) return (await import('./one-shot.js')).oneShot(prompt, it);
    return (await import('../chat/plain.js')).plainChat(it);
  });
}

/** Loads the model, hands it over, and lets go of it whatever happens. */
async function talk(
  card: Card,
  values: OptionValues,
  log: Log,
  context: Context,
  use: FrontEnd,
): Promise<void> {
  if (values['data-root'] !== undefined) log.debug('--data-root is accepted, but nothing is kept there');
  const model = await openModel(requestOf(card, values), filesOf(context, values, log));
  try {
    for (const note of model.info.notes) log.info(note);
    const voice = {
      context,
      log,
      show: telemetryOf(settingsOf(values)),
      raw: values.raw,
      stream: values.stream ?? true,
    };
    await use({
      model,
      card,
      values,
      chatOptions: chatOptionsOf(values),
      context,
      log,
      voice,
    } satisfies Talk);
  } finally {
    model.dispose();
  }
}

function findModel(name: string, verbs: readonly string[], places: CardPlaces): Card {
  try {
    return findCard(name, places);
  } catch (error) {
    const known = asAxllmError(error);
    const close = closeMatches(name, verbs, 1);
    if (known.code !== 'unknown_model' || close.length === 0) throw error;
    throw new AxllmError(known.code, known.message, {
      hint: `did you mean axllm ${close.join(', ')}, or ${closeMatches(name, publicNames(places)).join(', ') || 'a model'}?`,
      cause: error,
    });
  }
}
