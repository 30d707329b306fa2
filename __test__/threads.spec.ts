/** How many threads the CPU path takes, one for each core that the system grants, and which instructions. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import anyTest, { type ExecutionContext } from 'ava';
import { load } from '../ts/index.js';
import { axllm, cleanEnv, cliFile } from './helpers/cli.js';
import { temporary } from './helpers/folder.js';
import { writeTinyModel } from './helpers/tiny-model.js';

const test = anyTest.serial;

/** Threads that `axllm serve` multiplies with, counted where the system lists them; `prefix` starts it. */
async function threadsOf(t: ExecutionContext, prefix: readonly string[], ...options: string[]) {
  const model = writeTinyModel(temporary(t));
  const args = [process.execPath, cliFile, 'serve', model, '--pipeline', 'transformers', '--port', '0'];
  const [command = '', ...rest] = [...prefix, ...args, ...options];
  const child = spawn(command, rest, { env: cleanEnv() });
  const ended = new Promise<Error>((resolve) => {
    child.on('error', resolve);
    child.on('close', (status) => resolve(new Error(`it ended with ${status}: ${said}`)));
  });
  let said = '';
  const listens = new Promise<undefined>((resolve) => {
    const hear = (text: string) => void ((said += text).includes('http://') && resolve(undefined));
    child.stdout.setEncoding('utf8').on('data', hear);
    child.stderr.setEncoding('utf8').on('data', hear);
  });
  const failure = await Promise.race([listens, ended]);
  if (failure) throw failure;
  // the prefixes put the program in their own place
  const tasks = `/proc/${child.pid}/task`;
  const count = () => {
    const names = readdirSync(tasks).map((id) => readFileSync(join(tasks, id, 'comm'), 'utf8'));
    return 1 + names.filter((name) => /^axllm-\d+$/m.test(name)).length;
  };
  // a thread names itself, which takes its turn where all of them share a part of one core
  let found = count();
  let same = 0;
  while (same < 10) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    const now = count();
    same = now === found ? same + 1 : 0;
    found = now;
  }
  child.kill('SIGTERM');
  await ended;
  return found;
}

test('one core by the affinity mask is one thread, and --threads wins', async (t) => {
  t.is(await threadsOf(t, ['taskset', '-c', '0']), 1);
  t.is(await threadsOf(t, ['taskset', '-c', '0'], '--threads', '3'), 3);
});

/** The file that moves a process into a cgroup with a quota of one core; `undefined` where none may be made. */
function quotaOfOneCore(t: ExecutionContext): string | undefined {
  const unified = existsSync('/sys/fs/cgroup/cgroup.controllers');
  const folder = join('/sys/fs/cgroup', unified ? '' : 'cpu', `axllm-test-${process.pid}`);
  const [file, quota] = unified ? ['cpu.max', '100000 100000'] : ['cpu.cfs_quota_us', '100000'];
  try {
    mkdirSync(folder);
    t.teardown(() => rmdirSync(folder));
    writeFileSync(join(folder, file), quota);
  } catch (error) {
    t.log(`no cgroup with a quota can be made here: ${(error as Error).message}`);
    return undefined;
  }
  return join(folder, 'cgroup.procs');
}

test('a quota of one core is one thread, and --threads wins', async (t) => {
  const members = quotaOfOneCore(t);
  // a container without the right to make one still has the test of the mask
  if (members === undefined) return t.pass();
  const within = ['sh', '-c', 'echo $$ > "$0" && exec "$@"', members];
  t.is(await threadsOf(t, within), 1);
  t.is(await threadsOf(t, within, '--threads', '3'), 3);
});

test('AXLLM_CPU forces an instruction set, and none changes a greedy reply', async (t) => {
  const file = writeTinyModel(temporary(t));
  const args = [file, '--pipeline', 'transformers', '-q', '-n', '48', '--prompt', 'Hi'];
  const said: string[] = [];
  for (const name of ['scalar', 'avx2', 'avxvnni', 'avx512', 'avx512vnni', 'amx']) {
    const run = await axllm(args, { env: { AXLLM_CPU: name } });
    if (run.status === 0) {
      said.push(run.stdout);
      using model = await load(file, { pipeline: 'transformers', cpu: name });
      t.is(model.info.isa, name);
    } else {
      // a processor without it says so: nothing else is taken in silence
      t.regex(run.stderr, new RegExp(`\\b${name}\\b`));
    }
  }
  t.true(said.length > 0);
  t.deepEqual(new Set(said), new Set(said.slice(0, 1)));
  const unknown = await axllm(args, { env: { AXLLM_CPU: 'mmx' } });
  t.is(unknown.status, 2);
  t.regex(unknown.stderr, /AXLLM_CPU.*mmx/);
});
