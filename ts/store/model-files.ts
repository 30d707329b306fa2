/** From a card to the files that a pipeline opens, fetched where they are missing. */
import { AxllmError } from '../errors.js';
import { ensureArchive } from './archive-model.js';
import type { Build, Card } from './cards.js';
import type { CompiledFiles } from './compiled.js';
import { ensureFile, type FetchContext } from './fetch.js';
import { ensureRepository } from './hub.js';
import { weightsIn } from './hub-select.js';
import { ensureTokenizer } from './tokenizers.js';

/** The weights of a card for the CPU: a GGUF file, or a folder in Hugging Face layout. */
export async function weightsOf(card: Card, context: FetchContext): Promise<string> {
  const { weights, modelName } = card;
  const source = weights ?? (modelName === undefined ? undefined : { repo: modelName });
  if (!source) {
    throw new AxllmError('no_weights', `${card.name} names no weights for the CPU`, {
      hint: 'give the path of a .gguf file or of a folder of safetensors instead',
    });
  }
  if ('path' in source) return source.path;
  if ('sources' in source) return ensureFile(source, card.name, context);
  const choice = 'choice' in source ? source.choice : undefined;
  return weightsIn(await ensureRepository(source.repo, { kind: 'model', choice }, context), choice);
}

/** The compiled model of a card, its embeddings and its tokenizer; `tokenizerDir` is the user's own. */
export async function compiledFilesOf(
  card: Card,
  build: Build,
  tokenizerDir: string | undefined,
  context: FetchContext,
): Promise<CompiledFiles> {
  // a tokenizer that cannot be had is known before gigabytes are fetched
  const tokenizer = await ensureTokenizer(card, tokenizerDir, context);
  const compiledModel = await ensureArchive(build, context);
  const embeddings = await ensureFile(card.precompiled!.embeddings, card.name, context);
  return { compiledModel, embeddings, tokenizerDir: tokenizer };
}
