/** `axllm list`: the cards, what of them is downloaded, and how large it is. */
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { logFor, settings, type Context } from '../context.js';
import { asAxllmError } from '../errors.js';
import { byteSize } from '../store/byte-size.js';
import { findCard, publicNames, weightsCard, type Card, type CardPlaces } from '../store/cards.js';
import type { FetchContext } from '../store/fetch.js';
import { inventory, isDownloaded, type Artifact } from '../store/inventory.js';
import { fetchedRepositories } from '../store/hub.js';
import { orphans, packedFiles } from '../store/packed.js';
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

interface Row {
  readonly name: string;
  readonly card: Card;
  readonly artifacts: Artifact[];
}

async function run(argv: ArgumentsCamelCase, context: Context): Promise<void> {
  const { values } = await settings(context, 'list', argv);
  const log = logFor(context, values);
  const place = filesOf(context, values, log);
  const rows: Row[] = [];
  for (const [name, card] of allCards(
    placesOf(context, values, log),
    await fetchedRepositories(place.root),
    log,
  )) {
    rows.push({ name, card, artifacts: await inventory(card, place) });
  }
  rows.push(...(await othersOf(rows, place)));
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

/** What was rounded of weights that no card names: the user's own, by their path, and those that are gone. */
async function othersOf(rows: readonly Row[], place: FetchContext): Promise<Row[]> {
  const listed = new Set(rows.flatMap(({ artifacts }) => artifacts.map(({ path }) => path)));
  const left = (await packedFiles(place.root)).filter(({ path }) => !listed.has(path));
  const gone = new Set((await orphans(place.root)).map(({ path }) => path));
  const sources = new Set(left.flatMap(({ path, source }) => (gone.has(path) ? [] : (source ?? []))));
  const others = [...sources].sort().map(async (source): Promise<Row> => {
    const card = { ...weightsCard(source), description: 'weights of your own' };
    return { name: source, card, artifacts: await inventory(card, place) };
  });
  const without = left.filter(({ path }) => gone.has(path));
  const card = {
    ...weightsCard('rounded weights'),
    description: 'of models that are gone; any rm removes them',
  };
  const artifacts = without.map(
    ({ path, bytes }) => ({ kind: 'packed', path, state: 'unchecked', bytes }) as const,
  );
  return [
    ...(await Promise.all(others)),
    ...(without.length > 0 ? [{ name: card.name, card, artifacts }] : []),
  ];
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

/** Bytes in the build root. */
function sum(artifacts: readonly Artifact[]): number {
  return artifacts.reduce((total, { bytes, own }) => total + (own ? 0 : bytes), 0);
}
