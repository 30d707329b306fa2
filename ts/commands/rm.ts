/** `axllm rm MODEL`: takes its files out of the build root. */
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { logFor, settings, type Context } from '../context.js';
import { byteSize } from '../store/byte-size.js';
import { cardNames, findCard, type Card, type CardPlaces } from '../store/cards.js';
import { removeCard } from '../store/remove.js';
import { oneLine, write, writeJson } from '../terminal.js';
import { filesOf, placesOf } from './files.js';
import { notDownloaded } from './verify.js';
import { yargsOptions } from './yargs-options.js';

export const rmCommand = (context: Context): CommandModule<object, { model?: string }> => ({
  command: 'rm <model>',
  describe: 'Remove what is downloaded of a model',
  builder: (yargs) =>
    yargs
      .positional('model', { type: 'string', describe: `a card's name, a card, or OWNER/NAME of the hub` })
      .options(yargsOptions('rm'))
      .example('$0 rm smollm2-135m-instruct', 'frees its space'),
  handler: (argv) => run(argv, context),
});

async function run(argv: ArgumentsCamelCase<{ model?: string }>, context: Context): Promise<void> {
  const { values } = await settings(context, 'rm', argv);
  const log = logFor(context, values);
  const places = placesOf(context, values, log);
  const card = findCard(argv.model!, places);
  const removed = await removeCard(card, othersThan(card, places), filesOf(context, values, log));
  if (removed.length === 0) throw notDownloaded(argv.model!);
  const lines = removed.map(({ path, bytes }) => oneLine(`removed ${path} (${byteSize(bytes)})`));
  const objects = removed.map(({ kind, path, bytes }) => ({ kind, path, bytes }));
  if (values.json) return writeJson(context.stdout, objects, 2);
  return write(context.stdout, `${lines.join('\n')}\n`);
}

/** The other cards that can be read. */
function othersThan(card: Card, places: CardPlaces): Card[] {
  return cardNames(places).flatMap((name) => {
    try {
      const other = findCard(name, { ...places, warn: undefined });
      return other.name === card.name ? [] : [other];
    } catch {
      return [];
    }
  });
}
