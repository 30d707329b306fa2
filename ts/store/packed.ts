/** `<build-root>/packed`: weights that a start has rounded, for the next one to map; the engine writes them. */
import { open, readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** One file of rounded weights. */
export interface PackedFile {
  readonly path: string;
  readonly bytes: number;
  /** The weight file or folder that it was made from; absent where the file does not say. */
  readonly source?: string;
}

/** Where they are kept. */
export function packedFolder(root: string): string {
  return join(root, 'packed');
}

/** All of them. */
export async function packedFiles(root: string): Promise<PackedFile[]> {
  const folder = packedFolder(root);
  const names = await readdir(folder).catch(() => []);
  const files = names.sort().map(async (name): Promise<PackedFile[]> => {
    const path = join(folder, name);
    const found = await stat(path).catch(() => undefined);
    if (!found?.isFile()) return [];
    const source = await sourceOf(path).catch(() => undefined);
    return [{ path, bytes: found.size, ...(source === undefined ? {} : { source }) }];
  });
  return (await Promise.all(files)).flat();
}

/** Those that were made from one of `weights`, files or folders, or from what is in one of them. */
export async function packedFrom(weights: readonly string[], root: string): Promise<PackedFile[]> {
  const places = await Promise.all(weights.map((path) => realpath(path).catch(() => path)));
  const within = (source: string) =>
    places.some((place) => source === place || source.startsWith(`${place}/`));
  return (await packedFiles(root)).filter(({ source }) => source !== undefined && within(source));
}

/** Those whose weights are gone, or that do not say what they are of. */
export async function orphans(root: string): Promise<PackedFile[]> {
  const files = await packedFiles(root);
  const there = await Promise.all(
    files.map(({ source }) => source !== undefined && stat(source).then(Boolean, () => false)),
  );
  return files.filter((_, at) => !there[at]);
}

const magic = 'AXLLMPACK';
/** Magic, version, the header's length. */
const prefix = magic.length + 1 + 8;
const maxHeader = 16 << 20;

/** What the header says, see `crates/transformer/src/weights/cache.rs`. */
async function sourceOf(path: string): Promise<string | undefined> {
  const file = await open(path);
  try {
    const { buffer: start, bytesRead } = await file.read(Buffer.alloc(prefix), 0, prefix, 0);
    if (bytesRead < prefix || start.toString('latin1', 0, magic.length) !== magic) return undefined;
    const length = Number(start.readBigUInt64LE(magic.length + 1));
    if (length > maxHeader) return undefined;
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, prefix);
    const { source } = JSON.parse(buffer.toString()) as { source?: unknown };
    return typeof source === 'string' ? source : undefined;
  } finally {
    await file.close();
  }
}
