import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import test from 'ava';
import { compiledName } from '../ts/store/compiled.js';
import { extractArchive } from '../ts/store/archive/extract.js';
import { findCard, type Build } from '../ts/store/cards.js';
import { axllm, defaultWeights, errorLines } from './helpers/cli.js';
import { temporary } from './helpers/folder.js';
import { fakeHub, folderFiles } from './helpers/hub.js';
import { netfault } from './helpers/netfault.js';

const model = 'smollm2-135m-instruct';
const sum = (kind: string, path: string) => createHash(kind).update(readFileSync(path)).digest('hex');

test('compile writes what a publisher serves: archive, embeddings, tokenizer and their card', async (t) => {
  const out = join(temporary(t), 'set');
  mkdirSync(out);
  writeFileSync(join(out, 'letter.txt'), 'mine');
  const url = 'https://models.example.org/a b/';
  const args = ['compile', model, '-o', out, '--max-tokens', '256', '--url', url];
  const run = await axllm(args);
  t.is(run.status, 0, run.stderr);
  const name = compiledName(model, 256);
  t.is(name, `${model}-256-sim`);
  const card = join(out, `${name}.yaml`);
  t.is(run.stdout, `${card}\n`);
  const files = [`${name}.tar.gz`, `${name}.yaml`, `${name}_embeddings.npz`, `${name}_tokenizer.zip`];
  t.deepEqual(readdirSync(out).sort(), ['letter.txt', ...files]);

  const { precompiled, contextLength, ...described } = findCard(card);
  t.like(described, { name, modelName: 'HuggingFaceTB/SmolLM2-135M-Instruct', weights: undefined });
  t.is(contextLength, 256);
  const [{ archive, path: place }] = precompiled!.builds as [Build];
  t.is(place, `${name}.tar.gz`);
  for (const file of [archive, precompiled!.embeddings, precompiled!.tokenizer!]) {
    const path = join(out, basename(file.file));
    t.is(file.md5, sum('md5', path), path);
    t.is(file.sha256, sum('sha256', path), path);
    const source = { kind: 'url', url: `https://models.example.org/a%20b/${basename(path)}` } as const;
    t.deepEqual(file.sources, [source]);
  }

  // the store takes it for an archive without fault, and another program for one too
  const root = temporary(t);
  const extracted = (await extractArchive(join(out, `${name}.tar.gz`), root)).map((each) => each.path);
  const inside = [`${name}/model/model.json`, `${name}/model/weights.gguf`];
  t.deepEqual(
    extracted,
    inside.map((path) => join(root, path)),
  );
  t.is(sum('sha256', extracted[1]!), sum('sha256', defaultWeights));
  t.like(JSON.parse(readFileSync(extracted[0]!, 'utf8')), { name, context_length: 256, vocab_size: 49152 });
  const listing = execFileSync('tar', ['--numeric-owner', '-tvzf', join(out, `${name}.tar.gz`)], {
    encoding: 'utf8',
    env: { ...process.env, TZ: 'UTC' },
  });
  t.regex(listing, /^-rw-r--r-- 0\/0 +\d+ 1970-01-01 00:00 \S+model\.json\n-rw-r--r-- 0\/0 .*\n$/);

  // a second run gives the same bytes
  const before = files.map((file) => sum('sha256', join(out, file)));
  const again = await axllm([...args, '--json']);
  t.is(again.status, 0, again.stderr);
  t.like(JSON.parse(again.stdout), { name, card, archive: { md5: archive.md5 } });
  t.deepEqual(
    files.map((file) => sum('sha256', join(out, file))),
    before,
  );
});

test('compile says what is wrong with an address before it works', async (t) => {
  const out = temporary(t);
  for (const url of ['ftp://example.org', 'example.org', 'https://example.org/?a=b']) {
    const run = await axllm(['compile', model, '-o', out, '--url', url]);
    t.is(run.status, 1);
    t.regex(errorLines(run)[0] ?? '', /--url is ".*", expected an http\(s\) address \[invalid_option\]$/);
  }
  t.deepEqual(readdirSync(out), []);
});

test('a folder and the same repository of the hub, published: what is fetched answers as the folder does', async (t) => {
  const home = temporary(t);
  const folder = join(home, 'tiny');
  mkdirSync(folder);
  const source = folderFiles('qwen3');
  for (const [name, body] of Object.entries(source)) writeFileSync(join(folder, name), body);
  const hub = await fakeHub(t, { 'o/tiny': { commit: 'c'.repeat(40), files: source } });
  const env = (root: string) => ({
    HOME: home,
    HF_ENDPOINT: hub.url,
    AXELERA_BUILD_ROOT: join(home, root),
  });
  // a model of chance is often undecided, and the card's logits have 8 bits; here its choices lie further apart
  const ask = (what: string, root: string, ...args: string[]) =>
    axllm([what, '-n', '12', '--system-prompt', 'Be brief', '--prompt', 'What is this?', ...args], {
      env: env(root),
    });
  const expected = await ask(folder, 'cpu', '--pipeline', 'transformers');
  t.is(expected.status, 0, expected.stderr);
  t.true(expected.stdout.length > 8, expected.stdout);

  // the model has no more than 128 positions, which is no fault
  for (const [what, name] of [
    [folder, 'tiny-128-sim'],
    ['o/tiny', 'o_tiny-128-sim'],
  ] as const) {
    const out = join(home, name);
    const files: Record<string, Buffer> = {};
    const server = await netfault(t, files);
    const made = await axllm(['compile', what, '-o', out, '--url', server.url], { env: env('made') });
    t.is(made.stdout, `${join(out, `${name}.yaml`)}\n`, made.stderr);
    for (const file of readdirSync(out)) files[`/${file}`] = readFileSync(join(out, file));
    const fetched = await ask(join(out, `${name}.yaml`), `empty-${name}`, '-d', 'sim');
    t.is(fetched.stdout, expected.stdout, fetched.stderr);
    t.deepEqual(
      server.seen.map(({ url }) => url).sort(),
      Object.keys(files)
        .filter((path) => !path.endsWith('.yaml'))
        .sort(),
    );
  }

  // -d sim compiles by itself, once for these files
  const say = 'Compiling tiny for the simulated card';
  for (const compiles of [true, false]) {
    const direct = await ask(folder, 'direct', '-d', 'sim');
    t.is(direct.stdout, expected.stdout, direct.stderr);
    t.is(direct.stderr.includes(say), compiles);
  }
  writeFileSync(join(folder, 'generation_config.json'), '{}');
  t.true((await ask(folder, 'direct', '-d', 'sim')).stderr.includes(say));

  const longer = await axllm(['compile', folder, '-o', home, '-n', '129']);
  t.regex(
    errorLines(longer)[0] ?? '',
    /context of 129 tokens, expected 1 to the model's 128 \[invalid_option\]$/,
  );
});
