/**
 * A pull that is killed, or refused by the disk, at each call that changes something there. The calls are those of a run
 * that nothing disturbs.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import anyTest, { type ExecutionContext } from 'ava';
import { temporary } from './helpers/folder.js';
import { pull } from './helpers/pull.js';
import { bundled, callsIn, changing, pullUnder, type Call, type Disturbed } from './helpers/strace.js';
import { treeOf, vendor } from './helpers/vendor.js';

const test = anyTest.serial;

/** What each call may be refused with; the calls of one name take turns. */
const refusals: Record<string, string[]> = {
  openat: ['ENOSPC', 'EACCES', 'EMFILE'],
  write: ['ENOSPC', 'EIO'],
  pwrite64: ['ENOSPC', 'EIO'],
  fsync: ['EIO', 'ENOSPC'],
  rename: ['EIO', 'ENOSPC', 'EACCES'],
  unlink: ['EIO', 'EACCES'],
  rmdir: ['EIO', 'EACCES'],
  mkdir: ['ENOSPC', 'EACCES', 'EIO'],
};

/** A server with the model, the process that pulls it, and what that leaves where nothing disturbs it. */
async function world(t: ExecutionContext) {
  const set = await vendor(t);
  const folder = temporary(t);
  const program = await bundled(folder);
  const prepare = (name: string) => {
    const root = join(folder, name);
    mkdirSync(join(root, set.name), { recursive: true });
    writeFileSync(join(root, 'letter.txt'), 'mine');
    writeFileSync(join(root, set.name, 'letter.txt'), 'mine');
    return root;
  };
  const root = prepare('golden');
  const golden = await pullUnder(['-e', `trace=${changing.join()}`], { program, card: set.card, root });
  t.is(golden.status, 0, golden.stderr);
  const tree = treeOf(root);
  t.is(Object.keys(tree).length, 11);
  const changes = callsIn(golden.log).filter((call) => changesDisk(call, root));
  const under = (what: string, options: string[]) => {
    const place = prepare(what);
    return pullUnder(options, { program, card: set.card, root: place }).then((run) => ({ run, root: place }));
  };

  /** What is there is right, and the next pull finishes it. */
  const recovers = async (place: string, what: string) => {
    for (const [path, sum] of Object.entries(treeOf(place))) {
      if (path in tree) t.is(sum, tree[path]!, `${what}: ${path}`);
    }
    for (const note of ['downloaded_models.json', 'verified.json']) {
      if (note in treeOf(place)) t.notThrows(() => JSON.parse(readFileSync(join(place, note), 'utf8')), what);
    }
    await pull(set.card, place);
    t.deepEqual(treeOf(place), tree, what);
    rmSync(place, { recursive: true });
  };
  return { changes, under, recovers };
}

function changesDisk({ name, line }: Call, root: string): boolean {
  if (!line.includes(root) || / = -1 /.test(line)) return false;
  return name !== 'openat' || line.includes('O_CREAT');
}

/** The file that a call is about; what is random in its name is left out. */
const fileOf = ({ line }: Call) =>
  (/[<"](\/[^>"]+)[>"]/.exec(line.replace(/^\w+\(AT_FDCWD<[^>]*>/, ''))?.[1] ?? '').replace(
    /\.(extract-)?\d+_\d+[.-]\w+/,
    '',
  );

/** Of calls that are alike the first and the last: of all, or of those that write the rows of one file's content. */
function thinned(calls: readonly Call[], what: 'rows of content' | 'repetitions'): Call[] {
  return calls.filter((call) => {
    if (what === 'rows of content' && call.name !== 'write') return true;
    const alike = calls.filter((other) => other.name === call.name && fileOf(other) === fileOf(call));
    return call === alike[0] || call === alike.at(-1);
  });
}

/** Two at a time, as there are cores. */
async function each<T>(items: readonly T[], work: (item: T, at: number) => Promise<void>): Promise<void> {
  const left = items.map((item, at) => ({ item, at }));
  const lane = async () => {
    for (let next = left.shift(); next; next = left.shift()) await work(next.item, next.at);
  };
  await Promise.all([lane(), lane()]);
}

test('killed at every call that changes the disk: what is there is right, and the next run finishes it', async (t) => {
  const { under, recovers, ...all } = await world(t);
  const changes = thinned(all.changes, 'rows of content');
  let killed = 0;
  await each(changes, async ({ name, at }, index) => {
    const what = `killed at ${name} ${at}`;
    const options = ['-e', `trace=${name}`, '-e', `inject=${name}:signal=KILL:when=${at}`];
    const { run, root } = await under(`kill-${index}`, options);
    if (run.signal === 'SIGKILL') killed++;
    else t.is(run.status, 0, `${what}: ${run.stderr}`);
    await recovers(root, what);
  });
  t.log(`${killed} of ${changes.length}`);
  t.true(killed > 0.9 * changes.length, `${killed} of ${changes.length} were killed`);
});

test('refused at every call that changes the disk: one clear error or none, and the next run finishes it', async (t) => {
  const { under, recovers, ...all } = await world(t);
  const changes = thinned(all.changes, 'repetitions');
  const tally = { refused: 0, errors: 0 };
  await each(changes, async ({ name, at }, index) => {
    const choices = refusals[name]!;
    const error = choices[at % choices.length]!;
    const what = `${error} from ${name} ${at}`;
    const options = ['-e', `trace=${name}`, '-e', `inject=${name}:error=${error}:when=${at}`];
    let { run, root } = await under(`refuse-${index}`, options);
    // between the writes into files are those by which threads wake each other, and not always as many
    for (let more = 0; more < 5 && !hit(run, root); more++) {
      rmSync(root, { recursive: true });
      ({ run, root } = await under(`refuse-${index}`, options));
    }
    if (hit(run, root)) {
      tally.refused++;
      if (run.status !== 0) {
        tally.errors++;
        t.is(run.status, 1, `${what}: ${run.signal} ${run.stderr}`);
        t.regex(run.stderr, /^ERROR: [^\n]*\/[^\n]* \[[a-z_]+\]\n(hint: [^\n]+\n)?$/, what);
        t.notRegex(run.stderr, /\[internal\]/, what);
      } else t.is(run.stderr, '', what);
    }
    await recovers(root, what);
  });
  t.log(tally);
  t.log(`of ${changes.length}`);
  t.true(tally.refused > 0.8 * changes.length && tally.errors > 20, JSON.stringify(tally));
});

/** Whether it was a call to the disk that was refused, and not one by which threads wake each other. */
function hit({ log }: Disturbed, root: string): boolean {
  return log.split('\n').some((line) => line.includes('(INJECTED)') && line.includes(root));
}
