/** A strict reader of tar: regular files and folders only, and no header that can say a thing twice. */
import { badArchive, type Plan, type PlannedEntry } from './plan.js';

const block = 512;
/** Longest extended header: names, times and owners need far less. */
const maxExtended = 16 * 1024;

/** Told of each entry, then of its bytes in order. */
export interface Sink {
  begin(entry: PlannedEntry): Promise<void>;
  data(chunk: Uint8Array): Promise<void>;
  end(): Promise<void>;
}

/** Walks the archive in `chunks`; `plan` refuses what does not fit, `sink` is given the rest. */
export async function readTar(chunks: AsyncIterable<Uint8Array>, plan: Plan, sink: Sink): Promise<void> {
  const bytes = new Bytes(chunks);
  let longName: string | undefined;
  for (;;) {
    const header = await bytes.take(block);
    if (header.every((byte) => byte === 0)) break;
    const { name, size, type } = parseHeader(header);
    if (type === 'x' || type === 'L') {
      if (longName !== undefined) throw badArchive('an entry has two extended headers');
      if (size > maxExtended) throw badArchive(`an extended header is ${size} bytes long`);
      const padded = await bytes.take(roundUp(size));
      const body = padded.subarray(0, size);
      longName = type === 'x' ? paxPath(body) : text(body);
      continue;
    }
    const kind = kindOf(type, name);
    const entry = plan.add(longName || name, kind, size);
    longName = undefined;
    await sink.begin(entry);
    for (let left = size; left > 0;) {
      const chunk = await bytes.some(left);
      left -= chunk.byteLength;
      await sink.data(chunk);
    }
    await sink.end();
    await bytes.take(roundUp(size) - size);
  }
  if (longName !== undefined) throw badArchive('an extended header belongs to no entry');
  await bytes.onlyZeros();
}

function kindOf(type: string, name: string): 'file' | 'folder' {
  if (type === '5') return 'folder';
  if (type === '0' || type === '\0') return name.endsWith('/') ? 'folder' : 'file';
  const what = types[type] ?? `an entry of type ${JSON.stringify(type)}`;
  throw badArchive(`${JSON.stringify(name)} is ${what}`);
}

const types: Record<string, string> = {
  '1': 'a hard link',
  '2': 'a symbolic link',
  '3': 'a device',
  '4': 'a device',
  '6': 'a pipe',
  S: 'a sparse file',
  g: 'a global header',
};

function parseHeader(header: Buffer) {
  const sum = header.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0);
  if (octal(header, 148, 8) !== sum) throw badArchive('the checksum of a header is wrong');
  const mode = octal(header, 100, 8);
  const ustar = header.toString('latin1', 257, 263) === 'ustar\0';
  const prefix = ustar ? text(header.subarray(345, 500)) : '';
  const short = text(header.subarray(0, 100));
  const name = prefix ? `${prefix}/${short}` : short;
  if (mode & 0o7000) throw badArchive(`${JSON.stringify(name)} has a set-uid, set-gid or sticky bit`);
  return { name, size: octal(header, 124, 12), type: String.fromCharCode(header[156]!) };
}

function octal(header: Buffer, at: number, length: number): number {
  // the base-256 form is for files of 8 GiB and more
  if (header[at]! & 0x80) {
    const digits = header.subarray(at + 1, at + length);
    return digits.reduce((value, byte) => value * 256 + byte, header[at]! & 0x7f);
  }
  const digits = header
    .toString('latin1', at, at + length)
    .replace(/[\0 ]+$/, '')
    .trimStart();
  if (!/^[0-7]*$/.test(digits)) throw badArchive('a header holds a number that is none');
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

/** The one key of a PAX header that is followed; those that change what an entry is are refused. */
function paxPath(body: Buffer): string {
  let path: string | undefined;
  for (let at = 0; at < body.length;) {
    const space = body.indexOf(0x20, at);
    const digits = space === -1 ? '' : body.toString('latin1', at, space);
    const length = /^[1-9]\d{0,5}$/.test(digits) ? Number(digits) : 0;
    const record = body.subarray(space + 1, at + length);
    if (at + length > body.length || record.at(-1) !== 0x0a)
      throw badArchive('an extended header is damaged');
    const line = text(record.subarray(0, -1), false);
    const equals = line.indexOf('=');
    const key = line.slice(0, equals);
    if (key === 'path') {
      if (path !== undefined) throw badArchive('an extended header names its entry twice');
      path = line.slice(equals + 1);
    } else if (
      !/^([acm]time|u?name|[ug]id|[ug]name|comment|LIBARCHIVE\.creationtime|SCHILY\.(dev|ino|nlink))$/.test(
        key,
      )
    ) {
      throw badArchive(`an extended header sets ${JSON.stringify(key)}`);
    }
    at += length;
  }
  return path ?? '';
}

function text(bytes: Buffer, terminated = true): string {
  const end = terminated ? bytes.indexOf(0) : -1;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
      end === -1 ? bytes : bytes.subarray(0, end),
    );
  } catch {
    throw badArchive('a name is not UTF-8');
  }
}

function roundUp(size: number): number {
  return Math.ceil(size / block) * block;
}

/** Reads exact lengths from a stream of chunks. */
class Bytes {
  private readonly source: AsyncIterator<Uint8Array>;
  private rest: Buffer = Buffer.alloc(0);

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.source = chunks[Symbol.asyncIterator]();
  }

  /** At least one byte, at most `most`. */
  async some(most: number): Promise<Buffer> {
    while (this.rest.length === 0) {
      const { value, done } = await this.source.next();
      if (done) throw badArchive('it is cut off');
      this.rest = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    }
    const taken = this.rest.subarray(0, most);
    this.rest = this.rest.subarray(taken.length);
    return taken;
  }

  async take(length: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let left = length; left > 0;) {
      const part = await this.some(left);
      left -= part.length;
      parts.push(part);
    }
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }

  async onlyZeros(): Promise<void> {
    for (let chunk: Uint8Array = this.rest; ;) {
      if (chunk.some((byte) => byte !== 0)) throw badArchive('something follows its end');
      const next = await this.source.next();
      if (next.done) return;
      chunk = next.value;
    }
  }
}
