import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { parseCard } from '../ts/store/card-format.js';
import type { AxllmError } from '../ts/errors.js';
import { axmodelOf } from '../ts/axmodel.js';
import { cardNames, defaultModel, findCard, publicNames } from '../ts/store/cards.js';
import { temporary } from './helpers/folder.js';

const metis = `
axelera-model-format: 1.0.0
name: example-1024
description: A card as the vendor publishes them
models:
  example-1024:
    precompiled_url: https://models.example/icdf/example.tar.gz
    precompiled_path: build/example-1024/example.tar.gz
    precompiled_md5: 608e6058f117995efd2c770211ef4eca
    task_category: LanguageModel
    extra_kwargs:
      llm:
        max_tokens: 1024
        embeddings_url: https://models.example/embeddings/example_embeddings.npz
        embeddings_md5: bd4c51008c6841e2c5433ff063401693
        model_name: owner/example
        ddr_requirement_gb: 16
`;

test('the default card has two sources and a checksum', (t) => {
  const card = findCard(defaultModel);
  t.like(card, { name: defaultModel, systemPrompt: undefined });
  t.like(card.weights, { size: 98_362_432, md5: 'a1231443440b107ff29f02bdb38c9d0a' });
  t.deepEqual('sources' in card.weights! && card.weights.sources.map(({ kind }) => kind), ['hub', 'python']);
});

test('every card that ships can be read', (t) => {
  for (const name of cardNames()) t.is(findCard(name).name, name);
});

test('a card as the vendor publishes them', (t) => {
  const card = parseCard(metis, 'example.yaml');
  t.like(card, { contextLength: 1024, requiredMemoryGb: 16, modelName: 'owner/example', weights: undefined });
  const [build] = card.precompiled!.builds;
  t.is(build!.path, 'example-1024/example.tar.gz');
  t.is(build!.archive.file, 'example.tar.gz');
});

test('a card cut at every byte, or with any byte flipped, is a card or one clear error', (t) => {
  for (const name of [defaultModel, 'velvet-2b-1024-4core-static']) {
    const sound = readFileSync(new URL(`../models/${name}.yaml`, import.meta.url));
    const damaged = Array.from(sound, (byte, at) => [
      sound.subarray(0, at),
      ...[0x01, 0x20, 0x80].map((mask) => sound.with(at, byte ^ mask)),
    ]);
    let refused = 0;
    for (const bytes of damaged.flat()) {
      try {
        parseCard(Buffer.from(bytes).toString('utf8'), 'x.yaml');
      } catch (error) {
        refused += 1;
        if ((error as { code?: string }).code !== 'bad_card') throw error;
      }
    }
    t.true(refused > sound.length, `${refused} of ${damaged.length * 4} refused`);
  }
});

test('the path of a card, and of a GGUF file', (t) => {
  const folder = temporary(t);
  const card = join(folder, 'mine.yaml');
  writeFileSync(card, metis);
  t.is(findCard(card).name, 'example-1024');
  const weights = join(folder, 'mine.gguf');
  writeFileSync(weights, '');
  t.like(findCard(weights), { name: 'mine', weights: { path: weights } });
});

const wrong = test.macro({
  exec(t, from: string | RegExp, to: string, text: RegExp) {
    t.throws(() => parseCard(metis.replace(from, to), 'x.yaml'), { code: 'bad_card', message: text });
  },
  title: (given) => `refused: ${given}`,
});

test('another format', wrong, '1.0.0', '2.0.0', /^x.yaml:2: axelera-model-format must be 1.0.0, not "2.0.0"/);
test(
  'not a language model',
  wrong,
  'LanguageModel',
  'Detection',
  /models.example-1024.task_category must be/,
);
test(
  'a path out of the build root',
  wrong,
  'build/example-1024/',
  '../etc/',
  /x.yaml:8: .*precompiled_path must be a relative/,
);
test(
  'an address that is a file',
  wrong,
  'https://models.example/icdf',
  'file:///etc',
  /precompiled_url must be an https address/,
);
test('a short checksum', wrong, '608e', '', /precompiled_md5 must be 32 hex digits/);
test(
  'a text for a number',
  wrong,
  'max_tokens: 1024',
  'max_tokens: many',
  /max_tokens must be a positive whole/,
);
test('not YAML', wrong, 'models:', 'models: [', /^x.yaml:\d+: not YAML/);

const md5 = '608e6058f117995efd2c770211ef4eca';
const anchor = metis.replace('models:\n', 'models: &all\n');
const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${[...'bcdefghi'].map((name, at) => `${name}: &${name} [${`*${'abcdefgh'[at]},`.repeat(9)}]`).join('\n')}\n`;

/** F6 of the list of faults: each is refused with the line. */
const hostile: [string, string, RegExp][] = [
  ['anchors', anchor, /^x.yaml:\d+: anchors and aliases/],
  ['a bomb of aliases', bomb, /^x.yaml:\d+: (anchors and aliases|not YAML)/],
  [
    'two models',
    `${metis}  another:\n    task_category: LanguageModel\n`,
    /^x.yaml:5: models must be exactly one entry, not a mapping/,
  ],
  ['no model', metis.slice(0, metis.indexOf('  example-1024')), /^x.yaml:5: models must be a mapping/],
  [
    'the same key twice',
    metis.replace('name: example-1024', 'name: a\nname: b'),
    /^x.yaml:4: not YAML: Map keys must be unique/,
  ],
  [
    'a step up',
    metis.replace('build/example-1024/', 'build/../../x/'),
    /^x.yaml:8: .*precompiled_path must be a relative/,
  ],
  [
    'a step up in the middle',
    metis.replace('example-1024/example', 'example-1024/../../x'),
    /precompiled_path/,
  ],
  [
    'an absolute path',
    metis.replace('build/example-1024/', '/etc/'),
    /^x.yaml:8: .*precompiled_path must be a relative/,
  ],
  ['a home', metis.replace('build/example-1024/', '~/x/'), /precompiled_path/],
  ['a hidden file', metis.replace('build/example-1024/', 'build/.ssh/'), /precompiled_path/],
  ['a backslash', metis.replace('build/example-1024/', 'build\\x/'), /precompiled_path/],
  [
    'a model that is a path',
    metis.replaceAll('  example-1024:', '  ../example:'),
    /^x.yaml:6: models.\.\.\/example must be named/,
  ],
  [
    'a file',
    metis.replace('https://models.example/icdf', 'file:///etc'),
    /^x.yaml:7: .*precompiled_url must be an https/,
  ],
  [
    'no encryption',
    metis.replace('https://models', 'http://models'),
    /^x.yaml:7: .*precompiled_url must be an https/,
  ],
  [
    'a password',
    metis.replace('https://models', 'https://me:secret@models'),
    /precompiled_url must be an https/,
  ],
  [
    'an address of a folder',
    metis.replace('icdf/example.tar.gz', 'icdf/'),
    /precompiled_url must be an address that ends/,
  ],
  [
    'an encoded step up',
    metis.replace('icdf/example.tar.gz', 'icdf/..%2f..%2fx'),
    /precompiled_url must be an address that ends/,
  ],
  [
    'an MD5 of 31 digits',
    metis.replace(md5, md5.slice(1)),
    /^x.yaml:9: .*precompiled_md5 must be 32 hex digits/,
  ],
  ['an MD5 that is none', metis.replace(md5, 'z'.repeat(32)), /^x.yaml:9: .*must be 32 hex digits/],
  ['no MD5', metis.replace(/.*precompiled_md5.*\n/, ''), /^x.yaml:7: .*precompiled_md5 is missing/],
  [
    'max_tokens -1',
    metis.replace('max_tokens: 1024', 'max_tokens: -1'),
    /^x.yaml:13: .*max_tokens must be a positive/,
  ],
  ['max_tokens 0', metis.replace('max_tokens: 1024', 'max_tokens: 0'), /max_tokens must be a positive/],
  [
    'max_tokens 10⁹',
    metis.replace('max_tokens: 1024', 'max_tokens: 1000000000'),
    /^x.yaml:13: .*max_tokens must be at most/,
  ],
  ['max_tokens 1e3', metis.replace('max_tokens: 1024', 'max_tokens: 1e3'), /max_tokens must be a positive/],
  [
    'a repository that is a path',
    metis.replace('owner/example', '../../etc'),
    /model_name must be OWNER\/NAME/,
  ],
  ['a list for a mapping', '- a\n- b\n', /^x.yaml:1: the document must be a mapping, not a list/],
  ['a text for a mapping', 'hello', /the document must be a mapping, not "hello"/],
  ['nothing', '', /the document is missing/],
  [
    'a tag that makes objects',
    metis.replace('name: example', 'name: !!js/function example'),
    /not YAML|Unresolved/,
  ],
];

for (const [name, text, message] of hostile) {
  test(`refused: ${name}`, (t) => {
    t.throws(() => parseCard(text, 'x.yaml'), { code: 'bad_card', message });
  });
}

test('not UTF-8, and too long for a card', (t) => {
  const path = join(temporary(t), 'x.yaml');
  writeFileSync(path, Buffer.from(metis.replace('vendor', 'v\u00e9ndor'), 'latin1'));
  t.throws(() => findCard(path), { code: 'bad_card', message: /x.yaml: not UTF-8/ });
  writeFileSync(path, `${metis}#${'x'.repeat(100 << 20)}`);
  t.throws(() => findCard(path), { code: 'bad_card', message: /longer than 1048576 bytes/ });
});

test('a byte order mark is read over, and unknown keys are told with their lines', (t) => {
  const warnings: string[] = [];
  const odd = metis.replace('max_tokens', 'max_tokns').replace('name: example', 'nom: x\nname: example');
  const card = parseCard(`\ufeff${odd}`, 'x.yaml', (text) => warnings.push(text));
  t.is(card.contextLength, undefined);
  t.deepEqual(warnings, [
    'x.yaml:3: the key "nom" is not known',
    'x.yaml:14: the key "models.example-1024.extra_kwargs.llm.max_tokns" is not known',
  ]);
});

test('our own keys: SHA-256, mirrors, archives for two versions of AxModel', (t) => {
  const sha = 'a'.repeat(64);
  const more = `precompiled_md5: ${md5}
    precompiled_sha256: ${sha}
    precompiled_size: 77
    precompiled_axmodel: 5
    precompiled_mirrors: [http://mirror.example/a, https://mirror.example/b]
    precompiled_others:
      - axmodel: 4
        url: https://models.example/icdf/4.x/example.tar.gz
        md5: ${'b'.repeat(32)}`;
  const warnings: string[] = [];
  const text = metis.replace(`precompiled_md5: ${md5}`, more);
  const { precompiled } = parseCard(text, 'x.yaml', (each) => warnings.push(each));
  t.deepEqual(warnings, []);
  t.like(precompiled!.builds[0], {
    axmodel: 5,
    path: 'example-1024/example.tar.gz',
    archive: { sha256: sha, size: 77, sources: { length: 3 } },
  });
  t.like(precompiled!.builds[1], {
    axmodel: 4,
    path: 'axmodel-4/example-1024/example.tar.gz',
    archive: { md5: 'b'.repeat(32) },
  });
  t.throws(() => parseCard(text.replace(/.*_sha256.*\n/, ''), 'x.yaml'), {
    message: /precompiled_mirrors must be an https/,
  });
});

test('the twelve published cards: names, checksums, and which of them know the archive for AxModel 5', (t) => {
  const cards = cardNames({ env: { HOME: temporary(t) } })
    .map((name) => findCard(name))
    .filter((card) => card.precompiled);
  t.is(cards.length, 12);
  t.deepEqual(
    cards.filter((card) => card.precompiled!.builds[0]!.axmodel === 4).map(({ name }) => name),
    [
      'llama-3-1-8b-1024-4core-static',
      'llama-3-2-3b-1024-4core-static',
      'phi3-mini-1024-4core-static',
      'phi3-mini-2048-4core-static',
    ],
  );
  const one = findCard('llama-3-2-1b-1024-4core-static');
  t.deepEqual(
    one.precompiled!.builds.map(({ archive: { md5: sum, sources } }) => [
      sum,
      (sources[0] as { url: string }).url,
    ]),
    [
      ['f157cd36953622455c325a0d67511821', 'https://llm.axelera.ai/icdf/5.0/llama1b_1024_mc_model.tar.gz'],
      [md5, 'https://llm.axelera.ai/icdf/4.x/llama1b_1024_mc_model.tar.gz'],
    ],
  );
  t.like(one, { contextLength: 1024, requiredMemoryGb: 4, modelName: 'meta-llama/Llama-3.2-1B-Instruct' });
  const sums = cards.flatMap((card) => card.precompiled!.builds.map((build) => build.archive.md5));
  t.is(new Set(sums).size, 20, 'no checksum stands for two archives');
  t.deepEqual(
    cards.filter((card) => !card.precompiled!.tokenizer).length,
    5,
    'Phi-3 takes its tokenizer from the hub',
  );
});

const writeCard = (folder: string, name: string, text: string) =>
  writeFileSync(
    join(folder, `${name}.yaml`),
    metis.replaceAll('example-1024', name).replace(/description: .*/, `description: ${text}`),
  );

test("cards of --models-dir win over the user's, those over what ships; hidden names are found but not listed", (t) => {
  const home = temporary(t);
  const own = join(home, 'axllm', 'models');
  const dir = join(home, 'dir');
  for (const folder of [own, dir]) mkdirSync(folder, { recursive: true });
  writeCard(own, 'velvet-2b-1024-4core-static', 'mine');
  writeCard(own, 'ax-secret', 'hidden');
  writeCard(own, 'both', 'mine');
  writeCard(dir, 'both', 'of the folder');
  const places = { env: { XDG_CONFIG_HOME: home }, modelsDir: dir };
  t.is(findCard('velvet-2b-1024-4core-static', places).description, 'mine');
  t.is(findCard('both', places).description, 'of the folder');
  t.is(findCard('ax-secret', places).description, 'hidden');
  t.true(publicNames(places).includes('both'));
  t.false(publicNames(places).some((name) => name.startsWith('ax-')));
  t.throws(() => findCard('both', { env: { XDG_CONFIG_HOME: join(home, 'none') } }), {
    code: 'unknown_model',
  });
});

test('the format that a runtime takes, from where it is installed', (t) => {
  t.is(axmodelOf('/opt/axelera/runtime-1.8.0-1/lib/libaxruntime.so'), 5);
  t.is(axmodelOf('/opt/axelera/runtime-1.5.3/lib/libaxruntime.so'), 4);
  t.is(axmodelOf('/home/me/voyager-sdk-1.10/lib/libaxruntime.so'), 5);
  t.is(axmodelOf('/usr/lib/libaxruntime.so'), undefined);
});

test('an unknown name lists what was probably meant', (t) => {
  t.throws(() => findCard('smollm2-135m-instuct'), {
    code: 'unknown_model',
    message: /smollm2-135m-instuct/,
  });
  const error = t.throws(() => findCard('smollm'));
  t.like(error, { hint: 'did you mean smollm2-135m-instruct?' });
  // the beginning of a long name, and with a slip in it
  const family = /^did you mean llama-3-2-1b-1024-static, llama-3-2-1b-1024-4core-static/;
  for (const name of ['llama-3-2-1b', 'lama-3-2-1b']) {
    const { hint } = t.throws(() => findCard(name)) as AxllmError;
    t.regex(hint!, family);
  }
  t.regex((t.throws(() => findCard('gpt-4o-mini')) as AxllmError).hint!, /^known models: /);
  t.throws(() => findCard('./nowhere.gguf'), {
    code: 'unknown_model',
    message: /No such file: .*nowhere\.gguf/,
  });
});
