/** Archives byte by byte, so that each can lie in one way. */
import { crc32, deflateRawSync, gzipSync } from 'node:zlib';

export interface TarEntry {
  name: string | Buffer;
  data?: Buffer;
  type?: string;
  link?: string;
  mode?: number;
  size?: number;
  prefix?: string;
  checksum?: number;
}

export function tarEntry({
  name,
  data = Buffer.alloc(0),
  type = '0',
  link = '',
  mode = 0o644,
  size,
  prefix = '',
  checksum,
}: TarEntry): Buffer {
  const header = Buffer.alloc(512);
  Buffer.from(name).copy(header, 0, 0, 100);
  header.write(`${mode.toString(8).padStart(7, '0')}\0`, 100);
  header.write('0000000\0'.repeat(2), 108);
  header.write(`${(size ?? data.length).toString(8).padStart(11, '0')}\0`, 124);
  header.write('00000000000\0', 136);
  header.write(type, 156, 'latin1');
  header.write(link, 157);
  header.write('ustar\0', 257);
  header.write('00', 263);
  header.write(prefix, 345);
  header.fill(' ', 148, 156);
  const sum = checksum ?? header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([header, data, Buffer.alloc((512 - (data.length % 512)) % 512)]);
}

/** One PAX record, its own length included. */
export function pax(records: Record<string, string>): Buffer {
  const lines = Object.entries(records).map(([key, value]) => {
    const rest = Buffer.byteLength(` ${key}=${value}\n`);
    let length = rest + 1;
    while (String(length).length + rest !== length) length = String(length).length + rest;
    return `${length} ${key}=${value}\n`;
  });
  return tarEntry({ name: 'pax', type: 'x', data: Buffer.from(lines.join('')) });
}

export const tarEnd = Buffer.alloc(1024);
export const tar = (...parts: (TarEntry | Buffer)[]) =>
  Buffer.concat([...parts.map((part) => (Buffer.isBuffer(part) ? part : tarEntry(part))), tarEnd]);
export const tgz = (...parts: (TarEntry | Buffer)[]) => gzipSync(tar(...parts));

export interface ZipEntry {
  name: string | Buffer;
  data?: Buffer;
  mode?: number;
  method?: number;
  flags?: number;
  localName?: string;
  localSize?: number;
  localMethod?: number;
  size?: number;
  crc?: number;
  /** Points at the entry before it, as overlapping bombs do. */
  overlap?: boolean;
}

export interface ZipShape {
  comment?: Buffer;
  gap?: Buffer;
  prefix?: Buffer;
  tail?: Buffer;
  count?: number;
}

export function zip(
  entries: ZipEntry[],
  { comment = Buffer.alloc(0), gap, prefix, tail, count }: ZipShape = {},
): Buffer {
  const parts: Buffer[] = prefix ? [prefix] : [];
  const central: Buffer[] = [];
  let at = prefix?.length ?? 0;
  let previous = at;
  for (const entry of entries) {
    const { data = Buffer.alloc(0), mode = 0o100644, method = 8, flags = 0x800 } = entry;
    const name = Buffer.from(entry.name);
    const packed = method === 8 ? deflateRawSync(data) : data;
    const crc = entry.crc ?? crc32(data);
    const size = entry.size ?? data.length;
    const localName = Buffer.from(entry.localName ?? name);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(20, 4);
    local.writeUInt16LE(flags, 6);
    local.writeUInt16LE(entry.localMethod ?? method, 8);
    local.writeUInt32LE(crc, 14);
    local.writeUInt32LE(packed.length, 18);
    local.writeUInt32LE(entry.localSize ?? size, 22);
    local.writeUInt16LE(localName.length, 26);
    const head = Buffer.alloc(46);
    head.writeUInt32LE(0x02014b50, 0);
    head.writeUInt16LE(0x0314, 4);
    head.writeUInt16LE(20, 6);
    head.writeUInt16LE(flags, 8);
    head.writeUInt16LE(method, 10);
    head.writeUInt32LE(crc, 16);
    head.writeUInt32LE(packed.length, 20);
    head.writeUInt32LE(size, 24);
    head.writeUInt16LE(name.length, 28);
    head.writeUInt32LE((mode << 16) >>> 0, 38);
    head.writeUInt32LE(entry.overlap ? previous : at, 42);
    central.push(head, name);
    if (!entry.overlap) {
      const body = Buffer.concat([local, localName, packed, gap ?? Buffer.alloc(0)]);
      parts.push(body);
      previous = at;
      at += body.length;
    }
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(count ?? entries.length, 8);
  end.writeUInt16LE(count ?? entries.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(at, 16);
  end.writeUInt16LE(comment.length, 20);
  return Buffer.concat([...parts, directory, end, comment, tail ?? Buffer.alloc(0)]);
}
