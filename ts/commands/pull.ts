/** `axllm pull MODEL`: fetches everything that a model needs, so that it runs without a network afterwards. */
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { inOrder } from '../axmodel.js';
import { logFor, settings, type Context } from '../context.js';
import { parseSelector } from '../devices.js';
import { defaultModel, findCard, type Card } from '../store/cards.js';
import type { FetchContext } from '../store/fetch.js';
import { compiledFilesOf, weightsOf } from '../store/model-files.js';
import { oneLine, write, writeJson } from '../terminal.js';
import { filesOf, placesOf } from './files.js';
import { yargsOptions } from './yargs-options.js';

export const pullCommand = (context: Context): CommandModule<object, { model?: string }> => ({
  command: 'pull [model]',
  describe: 'Fetch a model; what is there already is checked and kept',
  builder: (yargs) =>
    yargs
      .positional('model', { type: 'string', describe: `a card's name, a card, or OWNER/NAME of the hub` })
      .options(yargsOptions('pull'))
      .example('$0 pull llama-3-2-1b-1024-4core-static', 'archive, embeddings and tokenizer'),
  handler: (argv) => run(argv, context),
});

async function run(argv: ArgumentsCamelCase<{ model?: string }>, context: Context): Promise<void> {
  const { values } = await settings(context, 'pull', argv);
  const log = logFor(context, values);
  const card = findCard(argv.model ?? defaultModel, placesOf(context, values, log));
  const files = { ...filesOf(context, values, log), refresh: !values.offline };
  const paths = await pull(card, values.devices, files);
  if (values.json) return writeJson(context.stdout, { model: card.name, files: paths }, 2);
  return write(context.stdout, paths.map((path) => `${oneLine(path)}\n`).join(''));
}

/** The paths of what was fetched or found. */
async function pull(card: Card, selector: string | undefined, files: FetchContext): Promise<string[]> {
  const paths: string[] = [];
  if (card.precompiled) {
    const { builds } = card.precompiled;
    const library = parseSelector(selector, files.env).runtimeLibrary;
    // where no runtime is installed, the card's own order
    const [build] = await inOrder(builds, library, files.log).catch(() => builds);
    const { compiledModel, embeddings, tokenizerDir } = await compiledFilesOf(card, build!, undefined, files);
    paths.push(compiledModel, embeddings, tokenizerDir);
  }
  if (card.weights || !card.precompiled) paths.push(await weightsOf(card, files));
  return paths;
}
