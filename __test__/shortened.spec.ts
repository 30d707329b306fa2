/** Files that another program cuts short while a reply reads them: an error that names the file, not death by a signal. */
import { readdirSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import anyTest, { type ExecutionContext } from 'ava';
import { axllm, cleanEnv, errorLines, outcome, start } from './helpers/cli.js';
import { temporary } from './helpers/folder.js';
import { writeTinyModel } from './helpers/tiny-model.js';

const test = anyTest.serial;

/** A reply that goes on until its file is cut: drawn from a model that does not end by itself. */
const longReply = ['--pipeline', 'transformers', '-n', '800', '--temperature', '2', '--top-k', '4'];

/** Asks for a long reply, and cuts `file` short when it has begun. */
async function cutWhileReplying(
  t: ExecutionContext,
  args: string[],
  env: Record<string, string>,
  file: string,
) {
  const child = start([...args, ...longReply, '--prompt', 'Hi'], env);
  child.stdin.end();
  child.stdout.once('data', () => truncateSync(file, 64));
  const run = await outcome(child);
  t.is(run.signal, null, run.stderr);
  t.is(run.status, 1, run.stderr);
  t.is(errorLines(run).length, 1, run.stderr);
  t.true(errorLines(run)[0]?.includes(`"${file}" can no longer be read`), run.stderr);
  t.regex(run.stderr, /\[bad_model_file\]\nhint: fetch the model again/);
}

test('a GGUF file, whose embeddings are read token by token', async (t) => {
  const folder = temporary(t);
  const file = writeTinyModel(folder, 300, false);
  await cutWhileReplying(t, [file], { HOME: folder }, file);
});

test('the rounded weights of an earlier start', async (t) => {
  const home = temporary(t);
  const file = writeTinyModel(home, 300, false);
  const env = cleanEnv({ HOME: home, AXELERA_BUILD_ROOT: join(home, 'root') });
  const args = [file, '--dtype', 'q8'];
  t.is((await axllm([...args, ...longReply, '-n', '1', '--prompt', 'Hi'], { env })).status, 0);
  const packed = join(home, 'root', 'packed');
  await cutWhileReplying(t, args, env, join(packed, readdirSync(packed)[0]!));
});
