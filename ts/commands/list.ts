/** `axllm list`: the cards, what of them is downloaded, and how large it is. */
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { logFor, settings, type Context } from '../context.js';
import { asAxllmError } from '../errors.js';
import { byteSize } from '../store/byte-size.js';
import { findCard, publicNames, type Card, type CardPlaces } from '../store/cards.js';
import { inventory, isDownloaded, type Artifact } from '../store/inventory.js';
import { fetchedRepositories } from '../store/hub.js';
import { oneLine, write, writeJson, type Log } from '../terminal.js';
import { filesOf, placesOf } from './files.js';
import { yargsOptions } from './yargs-options.js';

export const listCommand = (context: Context): CommandModule => ({
  command: 'list',
  aliases: ['ls'],
  describe: 'List the models, and what of them is downloaded',
  builder: (yargs) => yargs.options(yargsOptions('list')).example('$0 list --json', 'for programs'),
  handler: (argv) => run(argv, context),
});

async function run(argv: ArgumentsCamelCase, context: Context): Promise<void> {
  const { values } = await settings(context, 'list', argv);
  const log = logFor(context, values);
  const place = filesOf(context, values, log);
  const rows: { name: string; card: Card; artifacts: Artifact[] }[] = [];
  for (const [name, card] of allCards(
    placesOf(context, values, log),
    await fetchedRepositories(place.root),
    log,
  )) {
    rows.push({ name, card, artifacts: await inventory(card, place) });
  }
  if (values.json) {
    const objects = rows.map(({ name, card, artifacts }) => forPrograms(name, card, artifacts));
    return writeJson(context.stdout, objects, 2);
  }
  const width = Math.max(...rows.map(({ name }) => name.length));
  const lines = rows.map(({ name, card, artifacts }) => {
    const bytes = sum(artifacts);
    const size = bytes > 0 ? byteSize(bytes) : '-';
    const state = isDownloaded(artifacts) ? 'downloaded' : bytes > 0 ? 'in part' : '-';
    return oneLine(`${name.padEnd(width)}  ${size.padStart(8)}  ${state.padEnd(10)}  ${card.description}`);
  });
  await write(context.stdout, `${lines.join('\n')}\n`);
}

/** Every card that can be read; one that cannot is told and left out. */
function* allCards(places: CardPlaces, repositories: string[], log: Log): Generator<[string, Card]> {
  for (const name of [...publicNames(places), ...repositories]) {
    try {
      yield [name, findCard(name, places)];
    } catch (error) {
      log.warning(asAxllmError(error).message);
    }
  }
}

/** A card as `list --json` and `show --json` print it. */
export function forPrograms(name: string, card: Card, artifacts: readonly Artifact[]): object {
  return {
    name,
    description: card.description,
    context_length: card.contextLength ?? null,
    hub_model: card.modelName ?? null,
    memory_gb: card.precompiled ? card.requiredMemoryGb : null,
    pipelines: [
      ...(card.precompiled ? ['transformers-aipu'] : []),
      ...(card.weights || card.modelName ? ['transformers'] : []),
    ],
    downloaded: isDownloaded(artifacts),
    bytes: sum(artifacts),
    files: artifacts.map(({ kind, path, state, bytes }) => ({ kind, path, state, bytes })),
  };
}

function sum(artifacts: readonly Artifact[]): number {
  return artifacts.reduce((total, { bytes }) => total + bytes, 0);
}
