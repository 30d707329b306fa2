import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import test from 'ava';
import { extractArchive } from '../ts/store/archive/extract.js';
import { pax, tar, tarEntry, tarEnd, tgz, zip, type TarEntry, type ZipEntry } from './helpers/archives.js';
import { temporary } from './helpers/folder.js';

const data = Buffer.from('weights');
const file = (name: string | Buffer, more: Partial<TarEntry> = {}): TarEntry => ({ name, data, ...more });
const zipped = (name: string | Buffer, more: Partial<ZipEntry> = {}): ZipEntry => ({ name, data, ...more });
const good = file('m/model/model.json');
const many = (count: number) => Array.from({ length: count }, (_, n) => ({ name: `m/${n}` }));

const names: Record<string, string | Buffer> = {
  'a step up': '../canary/file',
  'a step up within': 'm/../../canary/file',
  'a step up at the end': 'm/..',
  'two dots only': '..',
  'an absolute name': '/tmp/axllm-canary',
  'a double slash': '//etc/passwd',
  'a drive letter': 'C:\\windows\\x',
  'a drive letter with a slash': 'C:/windows/x',
  'a backslash step up': '..\\canary\\file',
  'a share of another machine': '\\\\host\\share',
  'a control character': 'm/a\u001b[2Jb',
  'a line break': 'm/a\nb',
  'a name that reads backwards': 'm/a\u202egpj.exe',
  'a zero-width character': 'm/a\u200bb',
  'bytes that are not UTF-8': Buffer.from([0x6d, 0x2f, 0xff, 0xfe]),
  'an empty part': 'm//x',
  'a dot part': 'm/./x',
  'a dot only': '.',
  'a name that ends with a dot': 'm/x.',
  'a name that ends with a blank': 'm/x ',
  'a device name': 'm/NUL',
  'a device name with an ending': 'm/con.txt',
  'a stream of another file': 'm/x:y',
  'a pattern': 'm/*',
  'seventeen folders': `${'d/'.repeat(16)}x`,
  "the store's checksum": 'm/model.md5',
  "the store's hidden checksum": 'm/.md5',
  "the store's index": 'downloaded_models.json',
  "the store's index, shouted": 'Downloaded_Models.JSON',
  "the store's record": 'verified.json',
  'a lock': 'm/model.lock',
  'a part file': 'm/x.part',
  'a hidden file': '.bashrc',
};

const hostile: Record<string, Buffer> = {
  ...Object.fromEntries(Object.entries(names).map(([what, name]) => [`tar: ${what}`, tgz(good, file(name))])),
  ...Object.fromEntries(
    Object.entries(names).map(([what, name]) => [`zip: ${what}`, zip([zipped('m/a'), zipped(name)])]),
  ),
  'tar: a name of 300 bytes': tgz(good, pax({ path: `m/${'x'.repeat(300)}` }), file('short')),
  'tar: a GNU long name that steps up': tgz(
    tarEntry({ name: 'L', type: 'L', data: Buffer.from('../canary/file\0') }),
    file('x'),
  ),
  'tar: a PAX name that steps up': tgz(pax({ path: '../canary/file' }), file('x')),
  'tar: a prefix that steps up': tgz(file('file', { prefix: '../canary' })),
  'tar: a symbolic link': tgz(good, { name: 'm/link', type: '2', link: '../../canary' }),
  'tar: a link, then a file through it': tgz({ name: 'foo', type: '2', link: '/tmp' }, file('foo/x')),
  'tar: a hard link': tgz(good, { name: 'm/hard', type: '1', link: '../canary/file' }),
  'tar: a character device': tgz(good, { name: 'm/null', type: '3' }),
  'tar: a block device': tgz(good, { name: 'm/disk', type: '4' }),
  'tar: a pipe': tgz(good, { name: 'm/pipe', type: '6' }),
  'tar: a sparse file': tgz(good, { name: 'm/sparse', type: 'S' }),
  'tar: a global header': tgz(tarEntry({ name: 'g', type: 'g', data: Buffer.from('12 path=abc\n') }), good),
  'tar: an unknown type': tgz(good, { name: 'm/x', type: 'Z' }),
  'tar: set-uid': tgz(file('m/x', { mode: 0o4755 })),
  'tar: set-gid on a folder': tgz({ name: 'm/', type: '5', mode: 0o2755 }),
  'tar: the same name twice': tgz(good, good),
  'tar: names that differ in case': tgz(file('m/Model'), file('m/model')),
  'tar: folders that differ in case': tgz(file('M/a'), file('m/b')),
  'tar: names that differ in composition': tgz(file('m/\u00e9'), file('m/e\u0301')),
  'tar: a file that is a folder': tgz(file('m/x'), file('m/x/y')),
  'tar: a folder that is a file': tgz(file('m/x/y'), file('m/x')),
  'tar: an empty name': tgz(file('')),
  'tar: a folder with contents': tgz({ name: 'm/x', type: '5', data }),
  'tar: a PAX size beside another': tgz(pax({ size: '1' }), good),
  'tar: a PAX link': tgz(pax({ linkpath: '/etc/passwd' }), good),
  'tar: a PAX sparse map': tgz(pax({ 'GNU.sparse.name': 'x' }), good),
  'tar: a PAX header with two names': tgz(pax({ path: 'm/a' }), pax({ path: 'm/b' }), good),
  'tar: a PAX header of a gigabyte': gzipSync(tarEntry({ name: 'pax', type: 'x', size: 2 ** 30 })),
  'tar: a PAX header that is damaged': tgz(
    tarEntry({ name: 'p', type: 'x', data: Buffer.from('99 path=x\n') }),
    good,
  ),
  'tar: a PAX header at the end': tgz(good, pax({ path: 'm/x' })),
  'tar: a wrong header checksum': tgz(file('m/x', { checksum: 1 })),
  'tar: a file of 4 GiB that is not there': gzipSync(tarEntry({ name: 'm/x', size: 2 ** 32 })),
  'tar: cut off in a file': gzipSync(tarEntry(file('m/x', { size: 5000 }))),
  'tar: cut off before the end mark': gzipSync(tarEntry(good)),
  'tar: 10 001 entries': tgz(...many(10_001)),
  'tar: something after the end': gzipSync(Buffer.concat([tar(good), Buffer.from('x')])),
  'tar: a second archive after the end': gzipSync(Buffer.concat([tar(good), tar(file('../canary/file'))])),
  'gzip: two members': Buffer.concat([tgz(good), tgz(file('../canary/file'))]),
  'gzip: trailing bytes': Buffer.concat([tgz(good), Buffer.from('garbage')]),
  'gzip: cut off': tgz(good).subarray(0, -20),
  'gzip: no trailer': tgz(good).subarray(0, -8),
  'gzip: a flipped checksum': flip(tgz(good), -8),
  'gzip: a flipped length': flip(tgz(good), -4),
  'gzip: not a tar inside': gzipSync(Buffer.alloc(2000, 'x')),
  'no archive': Buffer.from('<html>please log in</html>'),
  nothing: Buffer.alloc(0),
  'zip: a symbolic link': zip([zipped('m/link', { mode: 0o120777 })]),
  'zip: a device': zip([zipped('m/dev', { mode: 0o020644 })]),
  'zip: set-uid': zip([zipped('m/x', { mode: 0o104755 })]),
  'zip: the same name twice': zip([zipped('m/x'), zipped('m/x')]),
  'zip: names that differ in case': zip([zipped('m/X'), zipped('m/x')]),
  'zip: a file that is a folder': zip([zipped('m/x'), zipped('m/x/y')]),
  'zip: another name in the entry': zip([zipped('m/x', { localName: '../canary/file' })]),
  'zip: another size in the entry': zip([zipped('m/x', { localSize: 1 })]),
  'zip: another method in the entry': zip([zipped('m/x', { localMethod: 0 })]),
  'zip: a size that is too small': zip([zipped('m/x', { size: 3 })]),
  'zip: a size that is too large': zip([zipped('m/x', { size: 70_000 })]),
  'zip: a size beyond all bounds': zip([zipped('m/x', { size: 2 ** 32 - 2 })]),
  'zip: a wrong checksum': zip([zipped('m/x', { crc: 1 })]),
  'zip: entries that overlap': zip([zipped('m/x'), zipped('m/y', { overlap: true, localName: 'm/y' })]),
  'zip: encrypted': zip([zipped('m/x', { flags: 0x801 })]),
  'zip: an unknown method': zip([zipped('m/x', { method: 99 })]),
  'zip: an archive in the comment': zip([zipped('m/x')], { comment: zip([zipped('../canary/file')]) }),
  'zip: unknown data between entries': zip([zipped('m/x'), zipped('m/y')], { gap: Buffer.alloc(100) }),
  'zip: a program before it': zip([zipped('m/x')], { prefix: Buffer.from('PK\u0003\u0004#!/bin/sh') }),
  'zip: trailing bytes': zip([zipped('m/x')], { tail: Buffer.from('x') }),
  'zip: more entries promised': zip([zipped('m/x')], { count: 9 }),
  'zip: 10 001 entries': zip(many(10_001)),
};

function flip(bytes: Buffer, at: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[changed.length + at]! ^= 1;
  return changed;
}

/** All that can be told of the files below `folder`. */
function portrait(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .concat('.')
    .sort()
    .map((name) => {
      const path = join(folder, name);
      const { mode, mtimeMs, size, nlink } = lstatSync(path);
      return `${name} ${mode} ${mtimeMs} ${size} ${nlink} ${lstatSync(path).isFile() ? readFileSync(path, 'hex') : ''}`;
    });
}

test('there are at least sixty hostile archives', (t) => t.true(Object.keys(hostile).length >= 60));

for (const [what, bytes] of Object.entries(hostile)) {
  test(`refused, with nothing changed: ${what}`, async (t) => {
    const top = temporary(t);
    const [target, canary, archive] = ['target', 'canary', 'archive'].map((name) => join(top, name)) as [
      string,
      string,
      string,
    ];
    for (const folder of [target, canary]) {
      mkdirSync(join(folder, 'm'), { recursive: true });
      writeFileSync(join(folder, 'file'), 'canary', { mode: 0o600 });
      utimesSync(join(folder, 'file'), 1, 1);
      utimesSync(folder, 1, 1);
    }
    writeFileSync(archive, bytes);
    const before = [portrait(canary), portrait(join(target, 'm')), readdirSync(top)];
    await t.throwsAsync(extractArchive(archive, target), { code: 'bad_archive' });
    t.deepEqual([portrait(canary), portrait(join(target, 'm')), readdirSync(top)], before);
    t.deepEqual(readdirSync(target), ['file', 'm']);
    t.false(existsSync('/tmp/axllm-canary'));
  });
}

for (const [kind, bytes] of [
  [
    'tar.gz',
    tgz(
      { name: './m/', type: '5' },
      pax({ path: 'm/model/long', mtime: '1.5' }),
      file('m/model/short', { mode: 0o777 }),
    ),
  ],
  ['zip', zip([{ name: 'm/', mode: 0o040755 }, zipped('m/model/long', { mode: 0o100777 })])],
] as const) {
  test(`a good ${kind} is put beside what is there, with plain modes`, async (t) => {
    const top = temporary(t);
    mkdirSync(join(top, 'out', 'm', 'model'), { recursive: true });
    writeFileSync(join(top, 'out', 'm', 'embeddings.npz'), 'kept');
    writeFileSync(join(top, 'out', 'm', 'model', 'old'), 'goes');
    writeFileSync(join(top, 'a'), bytes);
    const files = await extractArchive(join(top, 'a'), join(top, 'out'));
    const paths = files.map(({ path }) => path);
    t.deepEqual(paths, [join(top, 'out', 'm', 'model', 'long')]);
    t.deepEqual(readFileSync(paths[0]!), data);
    t.is(files[0]!.sums.sha256, createHash('sha256').update(data).digest('hex'));
    t.is(statSync(paths[0]!).mode & 0o7111, 0);
    t.deepEqual(readdirSync(join(top, 'out', 'm')).sort(), ['embeddings.npz', 'model']);
    t.deepEqual(readdirSync(join(top, 'out', 'm', 'model')), ['long']);
  });
}

test('a bomb is refused by what it declares', async (t) => {
  const top = temporary(t);
  writeFileSync(join(top, 'a'), tgz(file('m/zeros', { data: Buffer.alloc(8 << 20) })));
  const failed = extractArchive(join(top, 'a'), join(top, 'out'), { limits: { total: 1 << 20 } });
  await t.throwsAsync(failed, { code: 'bad_archive', message: /larger than 1048576 bytes/ });
});

test('nothing is written through a link that is there already', async (t) => {
  const top = temporary(t);
  mkdirSync(join(top, 'out'));
  mkdirSync(join(top, 'elsewhere'));
  symlinkSync(join(top, 'elsewhere'), join(top, 'out', 'm'));
  writeFileSync(join(top, 'a'), tgz(good));
  await t.throwsAsync(extractArchive(join(top, 'a'), join(top, 'out')), { code: 'bad_build_root' });
  t.deepEqual(readdirSync(join(top, 'elsewhere')), []);
});

test('a tar with only its end mark holds no files', async (t) => {
  const top = temporary(t);
  writeFileSync(join(top, 'a'), gzipSync(tarEnd));
  t.deepEqual(await extractArchive(join(top, 'a'), join(top, 'out')), []);
});
