/** Rounded weights take room: `list` tells it, and `rm` takes those of a model, and of models that are gone. */
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { axllm } from './helpers/cli.js';
import { temporary } from './helpers/folder.js';
import { fakeHub, folderFiles } from './helpers/hub.js';

interface Listed {
  name: string;
  downloaded: boolean;
  bytes: number;
  files: { kind: string; path: string; bytes: number }[];
}

test('list tells their size, rm removes those of a model and of models that are gone, and no others', async (t) => {
  const home = temporary(t);
  const files = folderFiles();
  const hub = await fakeHub(t, { 'o/m': { commit: 'd'.repeat(40), files } });
  const [own, other] = ['own', 'other'].map((name) => {
    const folder = join(home, name);
    mkdirSync(folder);
    for (const [file, body] of Object.entries(files)) writeFileSync(join(folder, file), body);
    return folder;
  }) as [string, string];
  const root = join(home, 'root');
  const packed = join(root, 'packed');
  const env = { HOME: home, HF_ENDPOINT: hub.url, AXELERA_BUILD_ROOT: root };
  const run = async (...args: string[]) => {
    const done = await axllm(args, { env });
    t.is(done.status, 0, done.stderr);
    return done.stdout;
  };
  const ask = (model: string, ...args: string[]) =>
    run(model, '--pipeline', 'transformers', '-n', '2', '--prompt', 'Hi', ...args);
  const listed = async (name: string) =>
    (JSON.parse(await run('list', '--json')) as Listed[]).find((each) => each.name === name);

  for (const model of ['o/m', own, other]) await ask(model);
  await ask('o/m', '--dtype', 'q4');
  t.is(readdirSync(packed).length, 4);
  const sizeOf = (kind: string) =>
    readdirSync(packed)
      .filter((name) => name.startsWith(kind))
      .reduce((sum, name) => sum + statSync(join(packed, name)).size, 0);

  const ofHub = await listed('o/m');
  t.deepEqual(
    ofHub!.files.map(({ kind }) => kind),
    ['weights', 'packed', 'packed'],
  );
  t.is(ofHub!.bytes, ofHub!.files[0]!.bytes + sizeOf('dddd'));
  t.like(await listed(own), { bytes: sizeOf('own-') });
  t.regex(await run('list'), new RegExp(`^${own} +\\d+ kB `, 'm'));
  t.regex(await run('show', own), /^packed +\d+ kB, unchecked: /m);
  t.is(await run('verify', 'o/m').then((text) => text.trim().split('\n').length), 1);

  // the user's own weights stay, their rounded copy goes
  t.is((await run('rm', own)).trim().split('\n').length, 1);
  t.true(existsSync(join(own, 'model.safetensors')));
  t.is(sizeOf('own-'), 0);
  t.is(await listed(own), undefined);

  rmSync(other, { recursive: true });
  t.like(await listed('rounded weights'), { downloaded: false, bytes: sizeOf('other-') });
  const removed = JSON.parse(await run('rm', 'o/m', '--json')) as { kind: string; bytes: number }[];
  t.deepEqual(
    removed.map(({ kind }) => kind),
    ['weights', 'packed', 'packed', 'packed'],
  );
  t.false(existsSync(packed));
  t.is(await listed('rounded weights'), undefined);
});
