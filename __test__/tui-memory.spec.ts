/** Memory of the full-screen chat, by what one copy of the text takes. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import test from 'ava';
import { helper } from './helpers/tui_terminal.js';

/** What V8 compiles and throws away again would drown the rest. */
const flags = ['--expose-gc', '--no-opt', '--no-sparkplug', '--no-flush-bytecode'];

test('memory grows by no more than twice the text, while it streams too', async (t) => {
  const [node, ...args] = helper('tui_memory.ts', ...flags);
  const { stdout } = await promisify(execFile)(node!, args);
  const figures = Object.entries(JSON.parse(stdout) as Record<string, number>);
  t.is(figures.length, 10);
  for (const [what, times] of figures) {
    t.log(`${what}: ${times.toFixed(2)}`);
    t.true(times > 0.8, `${what}: ${times}: not even the text itself is counted`);
    t.true(times <= 2, `${what}: ${times}`);
  }
});
