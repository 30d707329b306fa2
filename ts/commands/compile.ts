/** `axllm compile MODEL`: a model for the simulated card, in the files that a published Metis model has. */
import { resolve as resolvePath } from 'node:path';
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { logFor, settings, type Context } from '../context.js';
import { findCard } from '../store/cards.js';
import { usualContext } from '../native.js';
import { weightsOf } from '../store/model-files.js';
import { write, writeJson } from '../terminal.js';
import { filesOf, placesOf } from './files.js';
import { yargsOptions } from './yargs-options.js';

export const compileCommand = (context: Context): CommandModule<object, { model?: string }> => ({
  command: 'compile <model>',
  describe: 'Compile a model for the simulated card',
  builder: (yargs) =>
    yargs
      .positional('model', {
        type: 'string',
        describe: `a card's name, the path of a card, .gguf file or folder, or OWNER/NAME of the hub`,
      })
      .options(yargsOptions('compile'))
      .example('$0 compile smollm2-135m-instruct -o set', 'archive, embeddings, tokenizer and card')
      .example('$0 compile my.gguf --url https://models.example.org', 'a card that names its server')
      .example(
        '$0 compile Qwen/Qwen2.5-0.5B-Instruct -o set',
        'safetensors of the hub, rounded to 8 bits at load',
      ),
  handler: (argv) => run(argv, context),
});

async function run(argv: ArgumentsCamelCase<{ model?: string }>, context: Context): Promise<void> {
  const first = await settings(context, 'compile', argv);
  const card = findCard(argv.model!, placesOf(context, first.values));
  const { values } = await settings(context, 'compile', argv, card.options);
  const log = logFor(context, values);
  const weights = await weightsOf(card, filesOf(context, values, log));
  const { publish } = await import('../store/publish.js');
  const out = resolvePath(values.out);
  const files = await publish({
    card,
    weights,
    context: values['max-tokens'] ?? (await usualContext(weights)),
    out,
    url: values.url,
    signal: context.signal,
  });
  for (const { path, size, md5 } of [files.archive, files.embeddings, files.tokenizer])
    log.info(`${path}: ${size} bytes, MD5 ${md5}`);
  if (values.json) return writeJson(context.stdout, files);
  return write(context.stdout, `${files.card}\n`);
}
