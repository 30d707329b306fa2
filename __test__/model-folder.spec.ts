/** A model given as a folder in Hugging Face layout: rounded once, mapped ever after. */
import { copyFile, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import anyTest, { type TestFn } from 'ava';
import { load } from '../ts/index.js';

const fixtures = join(import.meta.dirname, '..', 'crates', 'test-support');
const test = anyTest.serial as TestFn<{ folder: string; root: string }>;

test.beforeEach(async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'axllm-folder-'));
  for (const file of ['config.json', 'model.safetensors']) {
    await copyFile(join(fixtures, 'families', 'smollm2', file), join(folder, file));
  }
  for (const file of ['tokenizer.json', 'tokenizer_config.json']) {
    await copyFile(join(fixtures, 'tokenizers', 'smollm2', file), join(folder, file));
  }
  t.context = { folder, root: await mkdtemp(join(tmpdir(), 'axllm-root-')) };
});

test.afterEach.always(async (t) => {
  for (const path of Object.values(t.context)) await rm(path, { recursive: true, force: true });
});

async function reply(folder: string, buildRoot: string, dtype?: string): Promise<string> {
  using model = await load(folder, { pipeline: 'transformers', buildRoot, dtype, threads: 1 });
  return model.generate('Hello', { maxTokens: 8, temperature: 0 }).text();
}

test('a folder answers in every type, and the second start takes what the first has rounded', async (t) => {
  const { folder, root } = t.context;
  const packed = async () => (await readdir(join(root, 'packed'))).toSorted();
  for (const dtype of [undefined, 'f32', 'bf16', 'q4']) {
    const first = await reply(folder, root, dtype);
    const file = join(
      root,
      'packed',
      (await packed()).find((name) => name.endsWith(`.${dtype ?? 'q8'}`)) ?? '',
    );
    const { ino, mtimeMs } = await stat(file);
    t.is(await reply(folder, root, dtype), first, dtype);
    const again = await stat(file);
    t.deepEqual([again.ino, again.mtimeMs], [ino, mtimeMs], 'the copy was not written anew');
  }
  t.is((await packed()).length, 4);
});

test('what is wrong with a folder is named', async (t) => {
  const { folder, root } = t.context;
  await t.throwsAsync(reply(folder, root, 'q3'), {
    code: 'invalid_option',
    message: /q3.*f32, bf16, q8 or q4/,
  });
  await rm(join(folder, 'tokenizer.json'));
  await t.throwsAsync(reply(folder, root), { code: 'tokenizer_unreadable' });
  await rm(join(folder, 'model.safetensors'));
  await t.throwsAsync(reply(folder, root), {
    code: 'bad_model_file',
    message: /neither model\.safetensors nor/,
  });
});
