import { once } from 'node:events';
import { promisify } from 'node:util';
import type { Entry, ZipFile } from 'yauzl';
import { AxllmError } from '../errors.js';

/** Streams one member of a zip archive to `consume`, a chunk at a time. */
export async function readZipMember(
  path: string,
  member: string,
  consume: (chunk: Uint8Array) => Promise<void>,
): Promise<void> {
  const { default: yauzl } = await import('yauzl');
  const openZip = promisify<string, { lazyEntries: boolean; autoClose: boolean }, ZipFile>(yauzl.open);
  const zip = await openZip(path, { lazyEntries: true, autoClose: false });
  try {
    const entry = await findEntry(zip, member);
    if (!entry) throw new AxllmError('download_failed', `${path} holds no ${member}`);
    const stream = await promisify<Entry, NodeJS.ReadableStream>(zip.openReadStream.bind(zip))(entry);
    for await (const chunk of stream) await consume(chunk as unknown as Uint8Array);
  } finally {
    zip.close();
  }
}

async function findEntry(zip: ZipFile, member: string): Promise<Entry | undefined> {
  const end = once(zip, 'end').then(() => undefined);
  for (;;) {
    const next = once(zip, 'entry');
    zip.readEntry();
    const found = await Promise.race([next, end]);
    if (!found) return undefined;
    const entry = found[0] as Entry;
    if (entry.fileName === member) return entry;
  }
}
