/** `axllm extract-embeddings MODEL`, installed as `axextractembeddings` too: what a card names beside the archive. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { basename, dirname, join, resolve as resolvePath } from 'node:path';
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { logFor, settings, type Context } from '../context.js';
import { AxllmError, UsageError } from '../errors.js';
import { extractEmbeddings, extractTokenizer } from '../native.js';
import type { OptionValues } from '../options.js';
import { findCard, type Card } from '../store/cards.js';
import { digestOf, type Sums } from '../store/digest.js';
import type { FetchContext } from '../store/fetch.js';
import { weightsOf } from '../store/model-files.js';
import { oneLine, write, writeJson } from '../terminal.js';
import { filesOf, placesOf } from './files.js';
import { yargsOptions } from './yargs-options.js';

export const extractCommand = (context: Context): CommandModule<object, { model?: string }> => ({
  command: 'extract-embeddings <model>',
  describe: "Write a model's embeddings as .npz and its tokenizer as .zip",
  builder: (yargs) =>
    yargs
      .positional('model', {
        type: 'string',
        describe: 'OWNER/NAME of the hub, a folder, a .gguf file or a card',
      })
      .options(yargsOptions('extract-embeddings'))
      .example('$0 extract-embeddings meta-llama/Llama-3.2-1B-Instruct', 'the same: axextractembeddings …'),
  handler: (argv) => run(argv, context),
});

/** One file that was written. */
interface Extracted extends Sums {
  readonly kind: 'embeddings' | 'tokenizer';
  readonly path: string;
  readonly holds: string;
}

async function run(argv: ArgumentsCamelCase<{ model?: string }>, context: Context): Promise<void> {
  const { values } = await settings(context, 'extract-embeddings', argv);
  if (values['only-embeddings'] && values['only-tokenizer'])
    throw new UsageError(
      '--only-embeddings and --only-tokenizer leave nothing to do',
      'leave one of them out',
    );
  const log = logFor(context, values);
  const card = findCard(argv.model!, placesOf(context, values, log));
  const token = values['hf-token'];
  const env = token ? { ...context.env, HF_TOKEN: token } : context.env;
  const files: FetchContext = { ...filesOf(context, values, log), env };
  const written: Extracted[] = [];
  // what is small and can be refused comes first
  if (!values['only-embeddings']) written.unshift(await tokenizerOf(card, values, files));
  if (!values['only-tokenizer']) written.unshift(await embeddingsOf(card, values, files));
  if (values.json) return writeJson(context.stdout, { model: card.name, files: written }, 2);
  return write(context.stdout, summary(written));
}

async function tokenizerOf(card: Card, values: OptionValues, files: FetchContext): Promise<Extracted> {
  const out = resolvePath(values['tokenizer-zip'] ?? `${card.name}_tokenizer.zip`);
  const repo = repositoryOf(card);
  const { ensureRepository } = await import('../store/hub.js');
  let from = repo && (await ensureRepository(repo, { kind: 'tokenizer' }, files));
  // a repository of GGUF files has it inside them
  if (!from || !existsSync(join(from, 'tokenizer.json'))) from = await weightsOf(card, files);
  const names = await extractTokenizer(from, out);
  return { kind: 'tokenizer', path: out, holds: names.join(', '), ...(await digestOf(out)).finish() };
}

async function embeddingsOf(card: Card, values: OptionValues, files: FetchContext): Promise<Extracted> {
  const out = resolvePath(values['embeddings-out'] ?? `${card.name}_embeddings.npz`);
  await statfs(dirname(out)).catch((cause: unknown) => {
    throw new AxllmError('not_found', `There is no folder ${dirname(out)}`, { cause, hint: 'make it first' });
  });
  const part = await mkdtemp(join(dirname(out), '.axllm-extract-'));
  try {
    const from = await sourceOf(card, part, files);
    files.log.info(`Writing ${out}`);
    const { vocabSize, embeddingDim } = await extractEmbeddings(from, out);
    const holds = `${vocabSize} rows of ${embeddingDim} numbers`;
    return { kind: 'embeddings', path: out, holds, ...(await digestOf(out)).finish() };
  } finally {
    await rm(part, { recursive: true, force: true });
  }
}

/** What holds the rows: files that are here, or a folder with nothing but them, fetched into `part`. */
async function sourceOf(card: Card, part: string, files: FetchContext): Promise<string> {
  const repo = repositoryOf(card);
  if (repo === undefined) return weightsOf(card, files);
  const { foundRepository } = await import('../store/hub.js');
  const here = await foundRepository(repo, { kind: 'model' }, files);
  if (here !== undefined || files.offline) return weightsOf(card, files);
  const { fetchEmbeddingTensor } = await import('../store/hub-tensor.js');
  return (await fetchEmbeddingTensor(repo, part, files)) ?? weightsOf(card, files);
}

/** The repository whose safetensors are meant; `undefined` where the card has files of its own. */
function repositoryOf({ weights, modelName }: Card): string | undefined {
  if (weights === undefined) return modelName;
  return 'repo' in weights && weights.choice === undefined ? weights.repo : undefined;
}

/** Lines to put into a card, under `extra_kwargs.llm`, with the addresses that the files get. */
function summary(files: readonly Extracted[]): string {
  const lines = files.flatMap(({ kind, path, holds, size, md5, sha256 }) => [
    `# ${oneLine(path)}: ${oneLine(holds)}; ${size} bytes`,
    `${kind}_url: https://…/${encodeURIComponent(basename(path))}`,
    `${kind}_md5: ${md5}`,
    `${kind}_sha256: ${sha256}`,
  ]);
  return `${lines.join('\n')}\n`;
}
