/** `axllm compile MODEL`: what the simulated card loads, in a published archive's layout. */
import { existsSync, readdirSync } from 'node:fs';
import { resolve as resolvePath } from 'node:path';
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { logFor, settings, type Context } from '../context.js';
import { AxllmError } from '../errors.js';
import { findCard } from '../store/cards.js';
import { compileInto, compiledFolder, readCompiled, simulatedContext } from '../store/compiled.js';
import { weightsOf } from '../store/model-files.js';
import { write } from '../terminal.js';
import { filesOf, placesOf } from './files.js';
import { yargsOptions } from './yargs-options.js';

export const compileCommand = (context: Context): CommandModule<object, { model?: string }> => ({
  command: 'compile <model>',
  describe: 'Compile a GGUF model for the simulated card',
  builder: (yargs) =>
    yargs
      .positional('model', { type: 'string', describe: `a card's name, or the path of a card or .gguf file` })
      .options(yargsOptions('compile'))
      .example('$0 compile smollm2-135m-instruct', 'what -d sim does on first use'),
  handler: (argv) => run(argv, context),
});

async function run(argv: ArgumentsCamelCase<{ model?: string }>, context: Context): Promise<void> {
  const { signal } = context;
  const first = await settings(context, 'compile', argv);
  const card = findCard(
    argv.model!,
    placesOf(context, first.values, logFor(context, { ...first.values, logfile: undefined })),
  );
  const { values } = await settings(context, 'compile', argv, card.options);
  const log = logFor(context, values);
  const files = filesOf(context, values, log);
  const length = values['max-tokens'] ?? simulatedContext;
  const folder = values.out ? resolvePath(values.out) : compiledFolder(files.root, card.name, length);
  const weights = await weightsOf(card, files);
  if (values.out && !(await readCompiled(folder, weights))) refuseForeign(folder);
  const { compiledModel } = await compileInto(folder, { weights, name: card.name, context: length, signal });
  await write(context.stdout, `${compiledModel}\n`);
}

/** The folder is replaced as a whole, so it must hold nothing that is not ours. */
function refuseForeign(folder: string): void {
  if (!existsSync(folder) || existsSync(`${folder}/axllm.json`) || readdirSync(folder).length === 0) return;
  throw new AxllmError('exists', `${folder} holds other files`, {
    hint: 'give --out a new or an empty folder',
  });
}
