import { Writable } from 'node:stream';
import test from 'ava';
import { progressOn } from '../ts/store/progress.js';
import { createLog } from '../ts/logging.js';
import { wantsColour } from '../ts/terminal.js';

const colour = test.macro({
  exec(t, isTTY: boolean, env: Record<string, string>, flag: boolean | undefined, wanted: boolean) {
    t.is(wantsColour({ isTTY }, env, flag), wanted);
  },
  title: (given) => `colour: ${given}`,
});

test('on a terminal', colour, true, {}, undefined, true);
test('not in a pipe', colour, false, {}, undefined, false);
test('NO_COLOR', colour, true, { NO_COLOR: '1' }, undefined, false);
test('an empty NO_COLOR says nothing', colour, true, { NO_COLOR: '' }, undefined, true);
test('TERM=dumb', colour, true, { TERM: 'dumb' }, undefined, false);
test('FORCE_COLOR beats NO_COLOR', colour, false, { FORCE_COLOR: '1', NO_COLOR: '1' }, undefined, true);
test('the flag beats all', colour, true, { FORCE_COLOR: '1' }, false, false);

function sink(isTTY = false) {
  let text = '';
  const stream = new Writable({
    write(chunk, _, done) {
      text += String(chunk);
      done();
    },
  });
  return { stream: Object.assign(stream, { isTTY, columns: 80 }), text: () => text };
}

test('log lines look like the original’s, and are one line each', (t) => {
  const { stream, text } = sink();
  const log = createLog(stream);
  log.info('one');
  log.warning('two\n\u001b[31mthree');
  log.debug('not shown');
  t.is(text(), 'INFO    : one\nWARNING : two ^[[31mthree\n');
});

test('progress: a line for each tenth where there is no terminal', (t) => {
  const { stream, text } = sink();
  let now = 0;
  const progress = progressOn(stream, () => (now += 1000))('file', 1_000_000);
  for (let done = 0; done <= 1_000_000; done += 50_000) progress.update(done);
  progress.end();
  const lines = text().trim().split('\n');
  t.is(lines.length, 10);
  t.regex(lines[0]!, /^file 10 % of 1\.0 MB, \d+ kB\/s$/);
  t.false(text().includes('\r'));
});

test('progress: what an earlier process fetched has no rate', (t) => {
  const { stream, text } = sink();
  let now = 0;
  const progress = progressOn(stream, () => (now += 1000))('file', 1_000_000);
  progress.update(810_000);
  progress.update(900_000);
  t.regex(text(), /^file 80 % of 1\.0 MB\nfile 90 % of 1\.0 MB, \d+ kB\/s\n$/);
});

test('progress: what a card calls its file cannot drive the terminal', (t) => {
  for (const isTTY of [true, false]) {
    const { stream, text } = sink(isTTY);
    const progress = progressOn(stream, () => 0)('a\u001b]0;owned\u0007\nb', 10);
    progress.update(10);
    progress.end();
    t.true(text().includes('a^[]0;owned^G b'), JSON.stringify(text()));
  }
});

test('progress: a bar with bytes, rate and time left on a terminal', (t) => {
  const { stream, text } = sink(true);
  let now = 0;
  const progress = progressOn(stream, () => (now += 500))('file', 2_000_000);
  progress.update(0);
  progress.update(1_000_000);
  const line = text().split('\r').at(-1)!;
  t.true(line.startsWith('\u001b[K'));
  t.regex(line, /file \[#+\.+\] {2}50 % 1\.0 MB [\d.]+ [kM]B\/s \d+ s left$/);
  t.true(line.length < 100);
});
