/** `axextractembeddings`: what a card names beside the archive, out of a folder, a GGUF file or a repository. */
import { spawn, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { parse } from 'yaml';
import { packageRoot } from '../ts/package-root.js';
import { extractArchive } from '../ts/store/archive/extract.js';
import { cleanEnv, errorLines, outcome } from './helpers/cli.js';
import { temporary } from './helpers/folder.js';
import { fakeHub, type FakeRepository } from './helpers/hub.js';
import type { Fault } from './helpers/netfault.js';

const support = join(packageRoot, 'crates', 'test-support');
const family = join(support, 'families', 'smollm2');
const tokenizer = join(support, 'tokenizers', 'smollm2');
const tensors = join(family, 'model.safetensors');
const tokenizerFiles = ['tokenizer.json', 'tokenizer_config.json'];
const sum = (kind: string, path: string) => createHash(kind).update(readFileSync(path)).digest('hex');

/** Runs the second program of the package in `folder`. */
function extract(folder: string, args: readonly string[], env: Record<string, string> = {}) {
  const program = join(packageRoot, 'dist', 'axextractembeddings.js');
  const own = { HOME: folder, AXELERA_BUILD_ROOT: join(folder, 'root'), ...env };
  return outcome(spawn(process.execPath, [program, ...args], { cwd: folder, env: cleanEnv(own) }));
}

/** What NumPy says of the file, compared with the rows of `source`. */
function checkWithNumpy(npz: string, source: string): string {
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  const packages = join(cache, 'axllm-test', 'numpy-2.3.5');
  const script = join(packageRoot, '__test__', 'helpers', 'check_npz.py');
  const env = { ...process.env, PYTHONPATH: packages };
  return execFileSync('python3', [script, npz, source], { env, encoding: 'utf8' }).trim();
}

function modelFolder(at: string): string {
  const folder = join(at, 'smol');
  mkdirSync(folder);
  for (const name of ['config.json', 'model.safetensors'])
    copyFileSync(join(family, name), join(folder, name));
  for (const name of tokenizerFiles) copyFileSync(join(tokenizer, name), join(folder, name));
  return folder;
}

test('a folder gives files that NumPy and the store read, and lines for a card', async (t) => {
  const at = temporary(t);
  const run = await extract(at, [modelFolder(at)]);
  t.is(run.status, 0, run.stderr);
  const npz = join(at, 'smol_embeddings.npz');
  const zip = join(at, 'smol_tokenizer.zip');
  t.deepEqual(readdirSync(at).sort(), ['smol', 'smol_embeddings.npz', 'smol_tokenizer.zip']);
  t.is(checkWithNumpy(npz, tensors), '400 64');
  const folder = join(at, 'unpacked');
  t.deepEqual(
    (await extractArchive(zip, folder)).map(({ path }) => path).sort(),
    tokenizerFiles.map((name) => join(folder, name)),
  );
  for (const name of tokenizerFiles) t.is(sum('md5', join(folder, name)), sum('md5', join(tokenizer, name)));
  t.true(run.stdout.includes(`# ${npz}: 400 rows of 64 numbers; ${statSync(npz).size} bytes\n`), run.stdout);
  t.like(parse(run.stdout), {
    embeddings_url: 'https://…/smol_embeddings.npz',
    embeddings_md5: sum('md5', npz),
    embeddings_sha256: sum('sha256', npz),
    tokenizer_url: 'https://…/smol_tokenizer.zip',
    tokenizer_md5: sum('md5', zip),
    tokenizer_sha256: sum('sha256', zip),
  });
  // the same again, byte for byte
  const again = [`--embeddings-out`, 'a.npz', '--tokenizer-zip', 'b.zip', '--json'];
  const second = await extract(at, ['smol', ...again]);
  t.is(second.status, 0, second.stderr);
  t.like(JSON.parse(second.stdout).files[0], { kind: 'embeddings', md5: sum('md5', npz) });
  t.is(sum('md5', join(at, 'a.npz')), sum('md5', npz));
  t.is(sum('md5', join(at, 'b.zip')), sum('md5', zip));
});

test('a GGUF file gives the same, each half alone too', async (t) => {
  const at = temporary(t);
  const gguf = join(support, 'families', 'smollm2.gguf');
  const only = await extract(at, [gguf, '--only-embeddings', '--embeddings-out', 'e.npz']);
  t.is(only.status, 0, only.stderr);
  t.deepEqual(readdirSync(at), ['e.npz']);
  t.is(checkWithNumpy(join(at, 'e.npz'), tensors), '400 64');
  const words = await extract(at, [join(support, 'tokenizers', 'smollm2.gguf'), '--only-tokenizer']);
  t.is(words.status, 0, words.stderr);
  t.deepEqual(readdirSync(at).sort(), ['e.npz', 'smollm2_tokenizer.zip']);
  t.deepEqual(Object.keys(parse(words.stdout)), ['tokenizer_url', 'tokenizer_md5', 'tokenizer_sha256']);
});

const shard = (part: number) => `model-0000${part}-of-00002.safetensors`;

/** Weights of 4 MB beside embeddings of 50 kB, in two files with an index. */
function repository(token?: string): FakeRepository {
  const whole = readFileSync(tensors);
  const length = Number(whole.readBigUInt64LE());
  const { dtype, shape, data_offsets } = JSON.parse(whole.toString('utf8', 8, 8 + length))[
    'model.embed_tokens.weight'
  ] as { dtype: string; shape: number[]; data_offsets: [number, number] };
  const rows = whole.subarray(8 + length + data_offsets[0], 8 + length + data_offsets[1]);
  const filler = Buffer.alloc(2 << 20, 7);
  const header = Buffer.from(
    JSON.stringify({
      'model.before': { dtype: 'U8', shape: [filler.length], data_offsets: [0, filler.length] },
      'model.embed_tokens.weight': {
        dtype,
        shape,
        data_offsets: [filler.length, filler.length + rows.length],
      },
    }).padEnd(256),
  );
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(header.length));
  const map = { 'model.embed_tokens.weight': shard(2), 'model.before': shard(2), 'lm_head.weight': shard(1) };
  const small = Object.fromEntries(
    tokenizerFiles.map((name) => [name, readFileSync(join(tokenizer, name))] as const),
  );
  return {
    commit: 'c'.repeat(40),
    files: {
      ...small,
      'config.json': readFileSync(join(family, 'config.json')),
      'model.safetensors.index.json': Buffer.from(JSON.stringify({ weight_map: map })),
      [shard(1)]: filler,
      [shard(2)]: Buffer.concat([size, header, filler, rows]),
    },
    ...(token === undefined ? {} : { token }),
  };
}

/** A storage host that knows ranges, counts what it sends, and may break off. */
function ranged(counted: { bytes: number; breaks: number }): Fault {
  return (request, response, { body, etag }) => {
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    if (from === undefined) {
      counted.bytes += body.length;
      return void response.writeHead(200, { etag, 'content-length': body.length }).end(body);
    }
    const part = body.subarray(Number(from), Number(to) + 1);
    const range = `bytes ${from}-${Number(from) + part.length - 1}/${body.length}`;
    response.writeHead(206, { etag, 'content-range': range, 'content-length': part.length });
    if (counted.breaks > 0 && part.length > 1000) {
      counted.breaks -= 1;
      counted.bytes += 1000;
      return void response.write(part.subarray(0, 1000), () => setTimeout(() => response.destroy(), 40));
    }
    counted.bytes += part.length;
    response.end(part);
  };
}

test('of a repository only the embeddings are fetched, and a broken transfer goes on', async (t) => {
  const at = temporary(t);
  const counted = { bytes: 0, breaks: 2 };
  const hub = await fakeHub(t, { 'o/m': repository() }, ranged(counted));
  const env = { HF_ENDPOINT: hub.url };
  const run = await extract(at, ['o/m', '--only-embeddings'], env);
  t.is(run.status, 0, run.stderr);
  t.deepEqual(readdirSync(at), ['o_m_embeddings.npz']);
  t.is(checkWithNumpy(join(at, 'o_m_embeddings.npz'), tensors), '400 64');
  t.true(counted.bytes < 60_000, `${counted.bytes} bytes`);
  t.is(counted.breaks, 0);
  const both = await extract(at, ['o/m'], env);
  t.is(both.status, 0, both.stderr);
  t.true(statSync(join(at, 'o_m_tokenizer.zip')).size > 0);
});

test('a repository that is not open says where to get access; a token opens it and goes nowhere else', async (t) => {
  const at = temporary(t);
  const secret = 'hf_canary12345';
  const hub = await fakeHub(t, { 'o/gated': repository(secret) }, ranged({ bytes: 0, breaks: 0 }));
  const env = { HF_ENDPOINT: hub.url };
  for (const only of ['--only-embeddings', '--only-tokenizer']) {
    const refused = await extract(at, ['o/gated', only], env);
    t.is(refused.status, 1);
    t.is(errorLines(refused).length, 1);
    t.regex(errorLines(refused)[0] ?? '', /o\/gated is not open to everyone.*\[gated\]$/);
    t.true(refused.stderr.includes(`ask for access at ${hub.url}/o/gated`), refused.stderr);
    t.true(refused.stderr.includes('HF_TOKEN'), refused.stderr);
    t.is(refused.stdout, '');
  }
  t.deepEqual(
    readdirSync(at).filter((name) => name !== 'root'),
    [],
  );
  const byFlag = await extract(at, ['o/gated', '--only-embeddings', '--hf-token', secret], env);
  t.is(byFlag.status, 0, byFlag.stderr);
  const byVariable = await extract(at, ['o/gated'], { ...env, HF_TOKEN: secret });
  t.is(byVariable.status, 0, byVariable.stderr);
  t.is(checkWithNumpy(join(at, 'o_gated_embeddings.npz'), tensors), '400 64');
  t.true(hub.storage.seen.every(({ headers }) => headers.authorization === undefined));
  t.false([byFlag, byVariable].some(({ stdout, stderr }) => (stdout + stderr).includes(secret)));
});

test('what cannot be extracted is told in one line', async (t) => {
  const at = temporary(t);
  const broken = repository();
  broken.files['model.safetensors.index.json'] = Buffer.from('{"weight_map":{"lm_head.weight":"x"}}');
  const odd = repository();
  odd.files['model-00002-of-00002.safetensors']!.writeBigUInt64LE(1n << 40n);
  const hub = await fakeHub(t, { 'o/broken': broken, 'o/odd': odd }, ranged({ bytes: 0, breaks: 0 }));
  const pickled = join(at, 'pickled');
  mkdirSync(pickled);
  writeFileSync(join(pickled, 'config.json'), '{}');
  writeFileSync(join(pickled, 'pytorch_model.bin'), 'x');
  const cases: [string[], RegExp, number][] = [
    [['o/broken', '--only-embeddings'], /names no file of the repository.*\[bad_model_file\]$/, 1],
    [['o/odd', '--only-embeddings'], /its header is \d+ bytes long \[bad_model_file\]$/, 1],
    [['o/absent'], /no such repository/, 1],
    [[pickled, '--only-embeddings'], /pickled/, 1],
    [['smol', '--embeddings-out', 'no/such/e.npz'], /Unknown model/, 1],
    [['o/m', '--only-embeddings', '--only-tokenizer'], /leave nothing to do/, 2],
  ];
  for (const [args, expected, status] of cases) {
    const run = await extract(at, args, { HF_ENDPOINT: hub.url });
    t.is(run.status, status, `${args.join(' ')}: ${run.stderr}`);
    t.is(errorLines(run).length, 1, run.stderr);
    t.regex(errorLines(run)[0] ?? '', expected);
    t.is(run.stdout, '');
  }
  t.deepEqual(
    readdirSync(at).filter((name) => !['root', 'pickled'].includes(name)),
    [],
  );
});
