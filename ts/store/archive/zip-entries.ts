/** A strict reader of zip: what the directory at its end says must be what the entries themselves say. */
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import type { Entry, LocalFileHeader, ZipFile } from 'yauzl';
import { badArchive, type Plan } from './plan.js';
import type { Sink } from './tar.js';

const open = async (path: string): Promise<ZipFile> => {
  const { default: yauzl } = await import('yauzl');
  const options = { lazyEntries: true, autoClose: false, strictFileNames: true, validateEntrySizes: true };
  return promisify<string, typeof options, ZipFile>(yauzl.open)(path, options);
};

/** As `readTar`, for a zip file. */
export async function readZip(path: string, plan: Plan, sink: Sink): Promise<void> {
  const zip = await open(path).catch(refuse);
  try {
    if (zip.comment.length > 0) throw badArchive('it has a comment, which can hide another archive');
    const entries = await listEntries(zip).catch(refuse);
    const planned = entries.map((entry) => {
      checkEntry(entry);
      const kind = entry.fileName.endsWith('/') ? 'folder' : 'file';
      return plan.add(entry.fileName, kind, entry.uncompressedSize);
    });
    await checkPlaces(zip, entries).catch(refuse);
    for (const [at, entry] of entries.entries()) {
      await sink.begin(planned[at]!);
      if (planned[at]!.kind === 'file') await copy(zip, entry, sink);
      await sink.end();
    }
  } finally {
    zip.close();
  }
}

async function copy(zip: ZipFile, entry: Entry, sink: Sink): Promise<void> {
  const stream = await promisify<Entry, NodeJS.ReadableStream>(zip.openReadStream.bind(zip))(entry).catch(
    refuse,
  );
  let sum = 0;
  const chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  for (;;) {
    const next = await chunks.next().catch(refuse);
    if (next.done) break;
    sum = crc32(next.value, sum);
    await sink.data(next.value);
  }
  if (sum !== entry.crc32) throw badArchive(`the checksum of ${JSON.stringify(entry.fileName)} is wrong`);
}

function listEntries(zip: ZipFile): Promise<Entry[]> {
  const entries: Entry[] = [];
  return new Promise((resolve, reject) => {
    zip.on('error', reject);
    zip.on('end', () => resolve(entries));
    zip.on('entry', (entry: Entry) => {
      // the plan counts them too; this bounds the list itself
      if (entries.push(entry) > 20_000) reject(badArchive('it has more than 20000 entries'));
      else zip.readEntry();
    });
    zip.readEntry();
  });
}

function checkEntry(entry: Entry): void {
  const name = JSON.stringify(entry.fileName);
  const mode = entry.externalFileAttributes >>> 16;
  const type = mode & 0o170000;
  if (![0, 0o100000, 0o040000].includes(type)) throw badArchive(`${name} is a link or a device`);
  if ((type === 0o040000) !== entry.fileName.endsWith('/') && type !== 0)
    throw badArchive(`${name} is a file and a folder`);
  if (mode & 0o7000) throw badArchive(`${name} has a set-uid, set-gid or sticky bit`);
  if (entry.generalPurposeBitFlag & 0x2041) throw badArchive(`${name} is encrypted`);
  if (![0, 8].includes(entry.compressionMethod))
    throw badArchive(`${name} is compressed by an unknown method`);
}

/** Entries lie one after the other from the first byte on, each with the header that the directory promises. */
async function checkPlaces(zip: ZipFile, entries: readonly Entry[]): Promise<void> {
  const localHeader = promisify<Entry, LocalFileHeader>(zip.readLocalFileHeader.bind(zip));
  let end = 0;
  for (const entry of [...entries].sort(
    (a, b) => a.relativeOffsetOfLocalHeader - b.relativeOffsetOfLocalHeader,
  )) {
    const name = JSON.stringify(entry.fileName);
    const start = entry.relativeOffsetOfLocalHeader;
    const gap = start - end;
    // a data descriptor of up to 24 bytes may lie between two entries
    if (gap < 0) throw badArchive(`${name} overlaps another entry`);
    if (gap > (end === 0 ? 0 : 24)) throw badArchive(`unknown data lies before ${name}`);
    const local = await localHeader(entry);
    const deferred = (local.generalPurposeBitFlag & 8) !== 0;
    const same =
      local.fileName.equals(entry.fileNameRaw) &&
      local.compressionMethod === entry.compressionMethod &&
      local.generalPurposeBitFlag === entry.generalPurposeBitFlag &&
      (deferred ||
        (fits(local.compressedSize, entry.compressedSize) &&
          fits(local.uncompressedSize, entry.uncompressedSize) &&
          local.crc32 === entry.crc32));
    if (!same) throw badArchive(`${name} and the directory disagree`);
    end = local.fileDataStart + entry.compressedSize;
  }
}

/** All ones stand for "see the 64-bit field". */
function fits(local: number, central: number): boolean {
  return local === central || local === 0xffffffff;
}

function refuse(error: unknown): never {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'bad_archive' || (code && /^E[A-Z]+$/.test(code))) throw error;
  throw badArchive(message);
}
