/** `axllm show MODEL`: what its card says, and what of it is here. */
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { logFor, settings, type Context } from '../context.js';
import { byteSize } from '../store/byte-size.js';
import { defaultModel, findCard, type Card, type RemoteFile, type Source } from '../store/cards.js';
import { inventory, type Artifact } from '../store/inventory.js';
import { defaultSystemPrompt } from '../system-prompt.js';
import { oneLine, write, writeJson } from '../terminal.js';
import { filesOf, placesOf } from './files.js';
import { forPrograms } from './list.js';
import { yargsOptions } from './yargs-options.js';

export const showCommand = (context: Context): CommandModule<object, { model?: string }> => ({
  command: 'show [model]',
  describe: 'Show what a card says, and what of it is downloaded',
  builder: (yargs) =>
    yargs
      .positional('model', { type: 'string', describe: `a card's name, a card, or OWNER/NAME of the hub` })
      .options(yargsOptions('show'))
      .example('$0 show smollm2-135m-instruct', 'where its files come from'),
  handler: (argv) => run(argv, context),
});

async function run(argv: ArgumentsCamelCase<{ model?: string }>, context: Context): Promise<void> {
  const { values } = await settings(context, 'show', argv);
  const log = logFor(context, values);
  const name = argv.model ?? defaultModel;
  const card = findCard(name, placesOf(context, values, log));
  const artifacts = await inventory(card, filesOf(context, values, log));
  const sources = sourcesOf(card);
  if (values.json) {
    const object = { ...forPrograms(card.name, card, artifacts), sources };
    return writeJson(context.stdout, object, 2);
  }
  const lines = [...aboutCard(card), ...artifacts.map(line), ...sources.map((each) => row('from', each))];
  await write(context.stdout, `${lines.map(oneLine).join('\n')}\n`);
}

function aboutCard(card: Card): string[] {
  const { contextLength, modelName, precompiled, requiredMemoryGb } = card;
  return [
    row('name', card.name),
    row('about', card.description),
    ...(contextLength === undefined ? [] : [row('context', `${contextLength} tokens`)]),
    ...(precompiled ? [row('memory', `${requiredMemoryGb} GB on the card`)] : []),
    ...(modelName === undefined ? [] : [row('original', modelName)]),
    ...Object.entries(card.options).map(([key, value]) => row('option', `${key}: ${String(value)}`)),
    row('system', defaultSystemPrompt(card) ?? "the model's own template decides"),
  ];
}

function line({ kind, path, state, bytes }: Artifact): string {
  return row(kind, `${state === 'absent' ? 'not downloaded' : `${byteSize(bytes)}, ${state}`}: ${path}`);
}

function row(key: string, value: string): string {
  return `${key.padEnd(11)} ${value}`;
}

/** Where the files come from, in the order in which they are tried. */
function sourcesOf({ weights, precompiled }: Card): string[] {
  const files: RemoteFile[] = [
    ...(precompiled?.builds.map(({ archive }) => archive) ?? []),
    ...(precompiled ? [precompiled.embeddings] : []),
    ...(precompiled?.tokenizer ? [precompiled.tokenizer] : []),
    ...(weights && 'sources' in weights ? [weights] : []),
  ];
  const repo = weights && 'repo' in weights ? [`hub ${weights.repo}`] : [];
  return [...files.flatMap(({ sources }) => sources.map(sourceText)), ...repo];
}

function sourceText(source: Source): string {
  if (source.kind === 'url') return source.url;
  if (source.kind === 'hub') return `hub ${source.repo}, ${source.file}`;
  return `Python package ${source.requirement}, ${source.member}`;
}
