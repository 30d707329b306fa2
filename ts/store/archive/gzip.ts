/** One gzip member and nothing else: Node's own gunzip takes several, and ignores what follows them. */
import { createReadStream } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { crc32, createInflateRaw } from 'node:zlib';
import { badArchive } from './plan.js';

const trailerBytes = 8;

/** The inflated bytes of `path`; throws `bad_archive` unless header, checksum, length and end all fit. */
export async function* gunzip(path: string): AsyncGenerator<Buffer> {
  const { start, size, crc, length } = await frame(path);
  const inflate = createInflateRaw();
  const source = createReadStream(path, { start, end: size - trailerBytes - 1, highWaterMark: 1 << 18 });
  source.on('error', (error) => inflate.destroy(error));
  source.pipe(inflate);
  let seen = 0;
  let sum = 0;
  try {
    for await (const chunk of inflate as AsyncIterable<Buffer>) {
      seen += chunk.length;
      sum = crc32(chunk, sum);
      yield chunk;
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw code?.startsWith('Z_') ? badArchive(`its compressed data is damaged (${code})`) : error;
  } finally {
    source.destroy();
    inflate.destroy();
  }
  if (inflate.bytesWritten !== size - trailerBytes - start) throw badArchive('something follows its end');
  if (seen % 2 ** 32 !== length || sum !== crc) throw badArchive('its own checksum does not fit');
}

async function frame(path: string) {
  const handle = await open(path);
  try {
    const { size } = await handle.stat();
    const start = headerEnd(await read(handle, 0, Math.min(size, 4096)));
    if (size < start + trailerBytes + 2) throw badArchive('it is cut off');
    const trailer = await read(handle, size - trailerBytes, trailerBytes);
    return { start, size, crc: trailer.readUInt32LE(0), length: trailer.readUInt32LE(4) };
  } finally {
    await handle.close();
  }
}

function headerEnd(head: Buffer): number {
  const flags = head[3] ?? 0;
  const known = head[0] === 0x1f && head[1] === 0x8b && head[2] === 8 && flags < 32;
  if (!known || head.length < 18) throw badArchive('it is not a gzip file');
  let at = 10;
  if (flags & 4) at += 2 + head.readUInt16LE(at);
  // file name, then comment: both end with a zero
  for (const flag of [8, 16]) {
    if (!(flags & flag)) continue;
    const end = head.indexOf(0, at);
    if (end === -1) throw badArchive('its header does not end');
    at = end + 1;
  }
  return flags & 2 ? at + 2 : at;
}

async function read(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await handle.read(buffer, 0, length, position);
  return buffer.subarray(0, bytesRead);
}
