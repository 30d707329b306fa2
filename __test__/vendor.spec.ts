import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import anyTest from 'ava';
import { axllm, cliFile, errorLines, outcome } from './helpers/cli.js';
import * as fault from './helpers/netfault.js';
import { machine, published, question, treeOf, vendor } from './helpers/vendor.js';

// each of them keeps all cores busy
const test = anyTest.serial;
const paced = fault.paced(8, 6);

/** What a run that nothing disturbs leaves and says. */
let golden: { tree: Record<string, string>; reply: string; ms: number };

test.before(async () => {
  const ends: (() => void)[] = [];
  const set = await vendor({ teardown: (end: () => void) => void ends.push(end) } as never, {
    otherwise: paced,
  });
  const env = machine(set.folder);
  await axllm([set.card, ...question], { env: machine(set.folder, 'warm') });
  const start = Date.now();
  const run = await axllm([set.card, ...question], { env });
  if (run.status !== 0) throw new Error(run.stderr);
  golden = { tree: treeOf(env.AXELERA_BUILD_ROOT!), reply: run.stdout, ms: Date.now() - start };
  for (const end of ends) end();
});

test('from an empty build root to a reply: the layout is the original one, and a second start fetches nothing', async (t) => {
  const set = await vendor(t);
  const env = machine(set.folder);
  const run = await axllm([set.name, '--models-dir', set.models, ...question], { env });
  t.is(run.status, 0, run.stderr);
  t.is(run.stdout, golden.reply);
  const root = env.AXELERA_BUILD_ROOT!;
  t.deepEqual(Object.keys(treeOf(root)), [
    'downloaded_models.json',
    `${set.name}/model/model.json`,
    `${set.name}/model/weights.gguf`,
    `${set.name}/${set.name}_embeddings.npz`,
    `tokenizers/${set.name}.md5`,
    `tokenizers/${set.name}/generation_config.json`,
    `tokenizers/${set.name}/tokenizer.json`,
    `tokenizers/${set.name}/tokenizer_config.json`,
    'verified.json',
  ]);
  const index = JSON.parse(readFileSync(join(root, 'downloaded_models.json'), 'utf8')) as object;
  t.like(Object.values(index)[0], { model_path: join(root, set.name, 'model', 'model.json') });
  t.is(set.server.sent(), set.total);
  const again = await axllm([set.name, '--models-dir', set.models, '--offline', ...question], { env });
  t.is(again.stdout, golden.reply, again.stderr);
  t.true(
    again.stderr.includes(
      `Model already downloaded and verified: ${join(root, set.name, 'model', 'model.json')}`,
    ),
  );
  t.is(set.server.seen.length, 3);
});

test('killed at 100 random moments between the first byte and the reply: the next run finishes it', async (t) => {
  const set = await vendor(t, { otherwise: paced });
  let state = 20_261_124;
  const random = () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
  const left = Array.from({ length: 100 }, (_, at) => ({ at, moment: random() * golden.ms }));
  const tally = { killed: 0, resumed: 0 };
  const lane = async () => {
    for (let next = left.shift(); next; next = left.shift()) {
      const env = machine(set.folder, `m${next.at}`);
      const child = spawn(process.execPath, [cliFile, set.card, ...question], { env, stdio: 'ignore' });
      const ended = once(child, 'close');
      setTimeout(() => child.kill('SIGKILL'), next.moment).unref();
      const [, signal] = (await ended) as [number | null, string | null];
      if (signal === 'SIGKILL') tally.killed++;
      const run = await axllm([set.card, ...question], { env });
      const what = `killed after ${next.moment.toFixed(0)} ms: ${run.stderr}`;
      t.is(run.status, 0, what);
      t.is(run.stdout, golden.reply, what);
      t.deepEqual(treeOf(env.AXELERA_BUILD_ROOT!), golden.tree, what);
      rmSync(env.AXELERA_BUILD_ROOT!, { recursive: true });
    }
  };
  await Promise.all([lane(), lane()]);
  tally.resumed = set.server.seen.filter(({ headers }) => headers.range).length;
  t.log(`${tally.killed} of 100 were killed before their end, ${tally.resumed} downloads were resumed`);
  t.true(tally.killed >= 80 && tally.resumed >= 3, JSON.stringify(tally));
});

test('eight processes at once: each answers, and the files cross the wire once', async (t) => {
  const set = await vendor(t, { otherwise: paced });
  const root = join(set.folder, 'shared');
  const runs = await Promise.all(
    Array.from({ length: 8 }, (_, at) =>
      axllm([set.card, ...question], { env: machine(set.folder, `p${at}`, { AXELERA_BUILD_ROOT: root }) }),
    ),
  );
  for (const run of runs) t.is(run.stdout, golden.reply, run.stderr);
  t.deepEqual(treeOf(root), golden.tree);
  t.true(set.server.sent() <= 1.1 * set.total, `${set.server.sent()} of ${set.total} bytes`);
});

test('broken, truncated and corrupted transfers, ranges ignored, ETags that change: the files are the golden ones', async (t) => {
  const script = [
    fault.closedAt(900),
    fault.wrongRange(3),
    fault.flipped(40),
    fault.resetAt(60_000),
    fault.ignoresRanges,
    fault.resetAt(20_000),
    fault.otherFile(5_000),
    fault.status(503),
    fault.chunked(),
  ];
  const set = await vendor(t, { script });
  const env = machine(set.folder);
  const run = await axllm([set.card, ...question], { env });
  t.is(run.stdout, golden.reply, run.stderr);
  t.deepEqual(treeOf(env.AXELERA_BUILD_ROOT!), golden.tree);
  t.true(set.server.seen.length >= script.length);
});

test('a server that only corrupts: an error with both sums, and nothing under a final name', async (t) => {
  const set = await vendor(t, { otherwise: fault.flipped(500) });
  const env = machine(set.folder);
  const run = await axllm([set.card, ...question], { env });
  t.is(run.status, 1);
  t.regex(errorLines(run)[0] ?? '', /sha256 is [0-9a-f]{64}, expected [0-9a-f]{64}/);
  t.deepEqual(treeOf(env.AXELERA_BUILD_ROOT!), {});
});

/** Runs a shell script with mounts of its own; `axllm` is a function in it. */
async function inNamespace(script: string, env: Record<string, string>, args: readonly string[]) {
  const axllmFunction = `axllm() { s=0; "${process.execPath}" "${cliFile}" "$@" || s=$?; echo "status=$s"; }`;
  const child = spawn('unshare', ['-rm', 'sh', '-euc', `${axllmFunction}\n${script}`, 'sh', ...args], {
    env,
  });
  return outcome(child);
}

test('a full disk: said before anything is fetched, or when it happens; with room again it goes on', async (t) => {
  const set = await vendor(t, { script: [fault.honest, fault.chunked()] });
  const env = machine(set.folder);
  const root = env.AXELERA_BUILD_ROOT!;
  const run = await inNamespace(
    `mkdir -p "$AXELERA_BUILD_ROOT"
     mount -t tmpfs -o size=256k none "$AXELERA_BUILD_ROOT"
     axllm "$@"
     find "$AXELERA_BUILD_ROOT" -name '*.part' -o -name '*.tar.gz' | sed 's/^/left: /'
     axllm "$@"
     mount -o remount,size=16m "$AXELERA_BUILD_ROOT"
     axllm "$@"
     cp -r "$AXELERA_BUILD_ROOT" "$AXELERA_BUILD_ROOT.copy"`,
    env,
    [set.card, ...question],
  );
  t.is(run.stdout, `status=1\nstatus=1\n${golden.reply}status=0\n`, run.stderr);
  const [first, second, ...more] = errorLines(run);
  t.regex(first ?? '', /no space left on device.* \[enospc\]$/i);
  t.regex(second ?? '', /has \d+ bytes free, \d+ are needed \[enospc\]$/);
  t.deepEqual(more, []);
  t.deepEqual(treeOf(`${root}.copy`), golden.tree);
});

test('a read-only build root: an error where something is missing, a reply where nothing is', async (t) => {
  const set = await vendor(t);
  const env = machine(set.folder);
  const run = await inNamespace(
    `mkdir -p "$AXELERA_BUILD_ROOT"
     mount --bind "$AXELERA_BUILD_ROOT" "$AXELERA_BUILD_ROOT"
     mount -o remount,bind,ro "$AXELERA_BUILD_ROOT"
     axllm "$@"
     mount -o remount,bind,rw "$AXELERA_BUILD_ROOT"
     axllm "$@"
     rm "$AXELERA_BUILD_ROOT/verified.json"
     mount -o remount,bind,ro "$AXELERA_BUILD_ROOT"
     axllm "$@"`,
    env,
    [set.card, ...question],
  );
  t.is(run.stdout, `status=1\n${golden.reply}status=0\n${golden.reply}status=0\n`, run.stderr);
  t.is(errorLines(run).length, 1);
  t.regex(errorLines(run)[0] ?? '', /read-only file system.* \[erofs\]$/i);
});

test('what has changed on the disk is fetched again, and nothing else', async (t) => {
  const set = await vendor(t);
  const env = machine(set.folder);
  const root = env.AXELERA_BUILD_ROOT!;
  await axllm([set.card, ...question], { env });
  const cases = [
    [`${set.name}/model/model.json`, '.tar.gz'],
    [`${set.name}/model/weights.gguf`, '.tar.gz'],
    [`${set.name}/${set.name}_embeddings.npz`, '_embeddings.npz'],
    [`tokenizers/${set.name}/tokenizer.json`, '_tokenizer.zip'],
  ] as const;
  for (const [file, source] of cases) {
    const body = readFileSync(join(root, file));
    body[body.length - 9]! ^= 1;
    writeFileSync(join(root, file), body);
    const before = set.server.seen.length;
    const run = await axllm([set.card, ...question], { env });
    t.is(run.stdout, golden.reply, run.stderr);
    t.deepEqual(treeOf(root), golden.tree);
    t.deepEqual(
      set.server.seen.slice(before).map(({ url }) => url),
      [`/${set.name}${source}`],
    );
  }
  t.truthy((await published()).card);
});
