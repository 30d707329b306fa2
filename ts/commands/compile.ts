/** `axllm compile MODEL`: a model for the simulated card, in the files that a published Metis model has. */
import { resolve as resolvePath } from 'node:path';
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { logFor, settings, type Context } from '../context.js';
import { weightsOf } from '../open.js';
import { buildRoot } from '../store/build-root.js';
import { findCard } from '../store/cards.js';
import { simulatedContext } from '../store/compiled.js';
import { progressOn } from '../store/progress.js';
import { write } from '../terminal.js';
import { yargsOptions } from './yargs-options.js';

export const compileCommand = (context: Context): CommandModule<object, { model?: string }> => ({
  command: 'compile <model>',
  describe: 'Compile a GGUF model for the simulated card',
  builder: (yargs) =>
    yargs
      .positional('model', { type: 'string', describe: `a card's name, or the path of a card or .gguf file` })
      .options(yargsOptions('compile'))
      .example('$0 compile smollm2-135m-instruct -o set', 'archive, embeddings, tokenizer and card')
      .example('$0 compile my.gguf --url https://models.example.org', 'a card that names its server'),
  handler: (argv) => run(argv, context),
});

async function run(argv: ArgumentsCamelCase<{ model?: string }>, context: Context): Promise<void> {
  const { env, signal } = context;
  const card = findCard(argv.model!);
  const { values } = await settings(context, 'compile', argv, card.options);
  const log = logFor(context, values);
  const root = buildRoot(values['build-root'], env);
  const length = values['max-tokens'] ?? simulatedContext;
  const progress = progressOn(context.stderr);
  const weights = await weightsOf(card, { root, env, log, offline: values.offline, signal, progress });
  const { publish } = await import('../store/publish.js');
  const out = resolvePath(values.out);
  const files = await publish({ card, weights, context: length, out, url: values.url, signal });
  for (const { path, size, md5 } of [files.archive, files.embeddings, files.tokenizer])
    log.info(`${path}: ${size} bytes, MD5 ${md5}`);
  await write(context.stdout, values.json ? `${JSON.stringify(files)}\n` : `${files.card}\n`);
}
