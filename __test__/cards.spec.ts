import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { parseCard } from '../ts/store/card-format.js';
import { cardNames, defaultModel, findCard } from '../ts/store/cards.js';
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

test('an unknown name lists what was probably meant', (t) => {
  t.throws(() => findCard('smollm2-135m-instuct'), {
    code: 'unknown_model',
    message: /smollm2-135m-instuct/,
  });
  const error = t.throws(() => findCard('smollm'));
  t.like(error, { hint: 'did you mean smollm2-135m-instruct?' });
  t.throws(() => findCard('./nowhere.gguf'), {
    code: 'unknown_model',
    message: /No such file: .*nowhere\.gguf/,
  });
});
