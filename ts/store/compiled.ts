/** A model as the simulated card wants it: compiled on first use, complete or not there at all. */
import { mkdtemp, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { AxllmError } from '../errors.js';
import { compile, type CompiledModel } from '../native.js';
import { packageVersion } from '../package-root.js';
import { isAlive, ownerMark, ownerPattern, withLock } from './lock.js';
import { syncFolder } from './part-file.js';
import { makeFolder } from './disk.js';

/** What the AIPU pipeline opens. */
export interface CompiledFiles {
  readonly compiledModel: string;
  readonly embeddings: string;
  readonly tokenizerDir: string;
}

const manifestName = 'axllm.json';

/** What the compiled form of the model `name` is called, after the published ones (`llama-3-2-1b-1024-4core-static`). */
export function compiledName(name: string, context: number): string {
  return `${name}-${context}-sim`;
}

/** The folder that `-d sim` looks in. */
export function compiledFolder(root: string, name: string, context: number): string {
  return join(root, 'compiled', compiledName(name, context));
}

/** What is compiled in `folder`, when this version of the program made it from these very weights. */
export async function readCompiled(folder: string, weights: string): Promise<CompiledFiles | undefined> {
  try {
    const manifest = JSON.parse(await readFile(join(folder, manifestName), 'utf8')) as Record<string, string>;
    if (manifest.version !== packageVersion() || manifest.weights !== (await stampOf(weights)))
      return undefined;
    const { compiledModel, embeddings, tokenizerDir } = manifest as unknown as CompiledFiles;
    return {
      compiledModel: join(folder, compiledModel),
      embeddings: join(folder, embeddings),
      tokenizerDir: join(folder, tokenizerDir),
    };
  } catch {
    return undefined;
  }
}

/** What to compile: `name` is the model's, the compiled form's is made from it. */
export interface CompileRequest {
  readonly weights: string;
  readonly name: string;
  readonly context: number;
  readonly signal?: AbortSignal | undefined;
}

/** Compiles `weights` into a temporary folder beside `folder`, then gives it its name. */
export async function compileInto(
  folder: string,
  { weights, name, context, signal }: CompileRequest,
): Promise<CompiledFiles> {
  await makeFolder(dirname(folder));
  return withLock(folder, { signal }, async () => {
    const ready = await readCompiled(folder, weights);
    if (ready) return ready;
    await compileApart(folder, { weights, name, context }, async (part, made) => {
      const manifest = {
        version: packageVersion(),
        weights: await stampOf(weights),
        compiledModel: relative(part, made.modelJson),
        embeddings: relative(part, made.embeddings),
        tokenizerDir: relative(part, made.tokenizerDir),
      };
      await writeFile(join(part, manifestName), `${JSON.stringify(manifest, null, 2)}\n`, { flush: true });
      await rm(folder, { recursive: true, force: true });
      await rename(part, folder);
      await syncFolder(dirname(folder));
    });
    const files = await readCompiled(folder, weights);
    if (!files) throw new AxllmError('internal', `${folder} was compiled but cannot be read back`);
    return files;
  });
}

/** Compiles into a temporary folder beside `target`, which is gone when `use` is through with it. */
export async function compileApart(
  target: string,
  { weights, name, context }: CompileRequest,
  use: (part: string, made: CompiledModel) => Promise<void>,
): Promise<void> {
  await makeFolder(dirname(target));
  await removeStale(target);
  const part = await mkdtemp(`${target}.${ownerMark}.part-`);
  try {
    const made = await compile({
      weights,
      outDir: part,
      name: compiledName(name, context),
      contextLength: context,
    });
    await use(part, made);
  } finally {
    await rm(part, { recursive: true, force: true });
  }
}

/** Of the file, or of each file of the folder: a changed one is another. */
async function stampOf(weights: string): Promise<string> {
  const found = await stat(weights);
  if (!found.isDirectory()) return `${found.size} bytes, ${found.mtimeMs}`;
  const stamps = (await readdir(weights)).sort().map(async (name) => {
    const file = await stat(join(weights, name)).catch(() => undefined);
    return file?.isFile() ? [`${name}: ${file.size} bytes, ${file.mtimeMs}`] : [];
  });
  return (await Promise.all(stamps)).flat().join('; ');
}

const stale = new RegExp(String.raw`\.${ownerPattern}\.part-`);

async function removeStale(folder: string): Promise<void> {
  const parent = dirname(folder);
  for (const entry of await readdir(parent)) {
    const owner = entry.startsWith(`${basename(folder)}.`) && stale.exec(entry)?.[1];
    if (owner && !isAlive(owner)) await rm(join(parent, entry), { recursive: true, force: true });
  }
}
