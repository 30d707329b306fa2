/** A compiled model as a publisher puts it on a server: archive, embeddings, tokenizer and the card that names them. */
import { createReadStream } from 'node:fs';
import { readdir, rename, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { pack } from 'tar-stream';
import { stringify } from 'yaml';
import { AxllmError } from '../errors.js';
import type { Card } from './cards.js';
import { compileApart, compiledName } from './compiled.js';
import { digestOf, type Sums } from './digest.js';
import { PartFile, replaceFile, syncFolder } from './part-file.js';
import { makeFolder } from './disk.js';

/** One published file and what it must be. */
export interface PublishedFile extends Sums {
  readonly path: string;
}

/** What was written. */
export interface Published {
  readonly name: string;
  readonly card: string;
  readonly archive: PublishedFile;
  readonly embeddings: PublishedFile;
  readonly tokenizer: PublishedFile;
}

/** What to publish, and where. */
export interface PublishRequest {
  /** Of the model that is compiled. */
  readonly card: Card;
  readonly weights: string;
  readonly context: number;
  /** The folder for the files; existing ones of the same names are replaced. */
  readonly out: string;
  /** Address that the folder will be served under. */
  readonly url: string;
  readonly signal?: AbortSignal | undefined;
}

/** Compiles and packs. The same input gives the same bytes; the card comes last, when all that it names is there. */
export async function publish({ card, weights, context, out, url, signal }: PublishRequest) {
  const base = baseAddress(url);
  const name = compiledName(card.name, context);
  const target = (suffix: string) => join(out, `${name}${suffix}`);
  await makeFolder(out);
  let published: Published | undefined;
  await compileApart(join(out, name), { weights, name: card.name, context }, async (part, made) => {
    const archive = await packTree(join(part, name, 'model'), `${name}/model`, target('.tar.gz'), signal);
    const embeddings = await moveTo(target('_embeddings.npz'), made.embeddings);
    const tokenizer = await moveTo(target('_tokenizer.zip'), made.tokenizerZip);
    const files = { name, card: target('.yaml'), archive, embeddings, tokenizer };
    await replaceFile(files.card, cardText(files, { card, context, base }));
    published = files;
  });
  return published!;
}

/** The folder of the compiled model as `.tar.gz`, with nothing in it that differs from one run to the next. */
async function packTree(
  folder: string,
  prefix: string,
  target: string,
  signal: AbortSignal | undefined,
): Promise<PublishedFile> {
  const tar = pack();
  const file = await PartFile.open(target);
  const fill = async () => {
    for (const name of (await readdir(folder, { recursive: true })).sort()) {
      const path = join(folder, name);
      const found = await stat(path);
      // a folder comes out with its first file
      if (found.isDirectory()) continue;
      const { size } = found;
      const entry = tar.entry({ name: `${prefix}/${name}`, size, mode: 0o644, mtime: new Date(0) });
      await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), entry, { signal });
    }
    tar.finalize();
  };
  try {
    await Promise.all([
      // weights hardly shrink, however long one tries
      pipeline(tar, createGzip({ level: 1 }), async (chunks) => {
        for await (const chunk of chunks) await file.write(chunk as Uint8Array);
      }),
      fill().catch((error: unknown) => tar.destroy(error as Error)),
    ]);
  } catch (error) {
    await file.discard();
    throw error;
  }
  return { path: target, ...(await file.commit(target)) };
}

async function moveTo(target: string, from: string): Promise<PublishedFile> {
  await rename(from, target);
  await syncFolder(join(target, '..'));
  return describe(target);
}

async function describe(path: string): Promise<PublishedFile> {
  return { path, ...(await digestOf(path)).finish() };
}

function cardText(
  { name, archive, embeddings, tokenizer }: Published,
  { card, context, base }: { card: Card; context: number; base: string },
): string {
  const named = (stem: string, { path, md5, sha256 }: PublishedFile) => ({
    [`${stem}_url`]: `${base}${encodeURIComponent(basename(path))}`,
    [`${stem}_md5`]: md5,
    [`${stem}_sha256`]: sha256,
  });
  const llm = {
    max_tokens: context,
    model_name: card.modelName,
    ...named('embeddings', embeddings),
    ...named('tokenizer', tokenizer),
    ddr_requirement_gb: card.requiredMemoryGb,
    min_response_space: card.minResponseSpace,
    system_prompt: card.systemPrompt,
    options: Object.keys(card.options).length > 0 ? card.options : undefined,
  };
  const model = {
    ...named('precompiled', archive),
    // the archive is extracted where it lies
    precompiled_path: `build/${basename(archive.path)}`,
    task_category: 'LanguageModel',
    extra_kwargs: { llm },
  };
  const description = `${card.description}, compiled for the simulated Metis with ${context} tokens of context`;
  const top = { 'axelera-model-format': '1.0.0', name, description, models: { [name]: model } };
  // a checksum may look like a number: texts are quoted, as other readers resolve such words
  return stringify(top, { lineWidth: 0, defaultStringType: 'QUOTE_DOUBLE', defaultKeyType: 'PLAIN' });
}

/** With one slash at its end; an address that a card may have. */
function baseAddress(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (!parsed || !/^https?:$/.test(parsed.protocol) || parsed.search || parsed.hash) {
    throw new AxllmError('invalid_option', `--url is ${JSON.stringify(url)}, expected an http(s) address`, {
      hint: 'for example --url https://models.example.org/axllm',
    });
  }
  return parsed.href.replace(/\/*$/, '/');
}
