/** Which files of a repository a model needs. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { AxllmError } from '../errors.js';
import type { HubFile } from './hub-listing.js';

/** `model`: weights and tokenizer; `tokenizer`: that alone. `choice` picks one of several GGUF files. */
export interface Want {
  readonly kind: 'model' | 'tokenizer';
  readonly choice?: string | undefined;
}

const tokenizerFiles = [
  'tokenizer.json',
  'tokenizer_config.json',
  'tokenizer.model',
  'special_tokens_map.json',
  'added_tokens.json',
  'generation_config.json',
  'chat_template.jinja',
  'chat_template.json',
  'config.json',
  'vocab.json',
  'merges.txt',
];
const index = 'model.safetensors.index.json';

/** Small and still good first; a repository of GGUF files usually has a dozen. */
const preference = ['Q4_K_M', 'Q4_0', 'Q4_1', 'Q4_K_S', 'Q5_K_M', 'Q8_0', 'Q6_K', 'F16', 'BF16', 'F32'];

/** The files to fetch; throws when there are no weights that can be read. */
export function selectFiles(files: readonly HubFile[], { kind, choice }: Want): HubFile[] {
  const names = new Map(files.map((file) => [file.path, file]));
  const small = tokenizerFiles.filter((name) => names.has(name));
  const chosen = kind === 'tokenizer' ? small : weightsOf([...names.keys()], choice, small);
  return chosen.map((name) => names.get(name)!);
}

function weightsOf(names: string[], choice: string | undefined, small: string[]): string[] {
  const ggufs = names.filter((name) => /\.gguf$/i.test(name) && !/mmproj|imatrix/i.test(name));
  const tensors = names.filter((name) => /^model(-\d+-of-\d+)?\.safetensors$/.test(name));
  if (choice === undefined && tensors.length > 0) {
    return [...small, ...(names.includes(index) ? [index] : []), ...tensors];
  }
  const gguf = pickGguf(ggufs, choice);
  if (gguf !== undefined) return shardsOf(gguf, ggufs);
  if (choice !== undefined) {
    throw new AxllmError('no_weights', `no GGUF file ${JSON.stringify(choice)}`, {
      hint: ggufs.length > 0 ? `it has ${ggufs.join(', ')}` : 'it has no GGUF file at all',
    });
  }
  const pickled = names.some((name) => /\.(bin|pt|pth|pkl|ckpt)$/.test(name));
  throw new AxllmError(
    'no_weights',
    `no weights that axllm reads${pickled ? ': pickled files are programs, and are never opened' : ''}`,
    { hint: 'look for a repository with .safetensors or .gguf files of the same model' },
  );
}

/** By its name, by a quantisation in its name, or the first that is preferred. */
function pickGguf(ggufs: readonly string[], choice: string | undefined): string | undefined {
  const first = ggufs.filter((name) => !/-(?!0*1-of-)\d+-of-\d+\.gguf$/i.test(name)).sort();
  if (choice !== undefined) {
    return first.find((name) => name === choice) ?? first.find((name) => hasTag(name, choice));
  }
  for (const tag of preference) {
    const found = first.find((name) => hasTag(name, tag));
    if (found !== undefined) return found;
  }
  return first[0];
}

function hasTag(name: string, tag: string): boolean {
  return name.toLowerCase().split(/[-.]/).includes(tag.toLowerCase());
}

/** All parts of a split file. */
function shardsOf(name: string, ggufs: readonly string[]): string[] {
  const stem = /^(.*)-\d+(-of-\d+\.gguf)$/i.exec(name);
  if (!stem) return [name];
  return ggufs.filter((each) => each.startsWith(`${stem[1]}-`) && each.endsWith(stem[2]!)).sort();
}

/** What the engine opens in a folder that holds the files: the folder, or a GGUF file in it. */
export function weightsIn(folder: string, choice: string | undefined): string {
  const gguf = pickGguf(
    list(folder).filter((name) => name.endsWith('.gguf')),
    choice,
  );
  return gguf === undefined || list(folder).some((name) => name.endsWith('.safetensors'))
    ? folder
    : join(folder, gguf);
}

/** Whether a folder of Python's cache has all that `want` needs. */
export function complete(folder: string, { kind, choice }: Want): boolean {
  const names = list(folder);
  const has = (name: string) => existsSync(join(folder, name));
  if (kind === 'tokenizer') return has('tokenizer.json');
  const gguf = pickGguf(
    names.filter((name) => name.endsWith('.gguf')),
    choice,
  );
  if (gguf !== undefined && (choice !== undefined || !names.some((name) => name.endsWith('.safetensors')))) {
    const parts = Number(/-of-(\d+)\.gguf$/.exec(gguf)?.[1] ?? 1);
    return shardsOf(gguf, names).filter(has).length === parts;
  }
  if (choice !== undefined || !has('config.json') || !has('tokenizer.json')) return false;
  const parts = names.filter((name) => /^model(-\d+-of-\d+)?\.safetensors$/.test(name)).filter(has);
  const total = Number(/-of-(\d+)\./.exec(parts[0] ?? '')?.[1] ?? 1);
  return parts.length === total && parts.length > 0;
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
