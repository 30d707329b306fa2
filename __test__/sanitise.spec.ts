import test from 'ava';
import { createSanitiser, sanitise } from '../ts/sanitise.js';

const table: [string, string][] = [
  ['plain text\n\twith a tab', 'plain text\n\twith a tab'],
  ['\u001b[31mred', '^[[31mred'],
  ['\u001b]52;c;aGk=\u0007', '^[]52;c;aGk=^G'],
  ['one\rtwo\bthree', 'one^Mtwo^Hthree'],
  ['\u007f\u0000', '^?^@'],
  ['\u009b2J', '<U+009B>2J'],
  ['a\u202eb\u2066c\u2069', 'a<U+202E>b<U+2066>c<U+2069>'],
  ['a\u2028b\u061c', 'a<U+2028>b<U+061C>'],
  ['🐢 日本語 é', '🐢 日本語 é'],
  ['\ud83d!', '\ufffd!'],
];

for (const [given, wanted] of table) {
  test(`becomes visible: ${JSON.stringify(given)}`, (t) => {
    t.is(sanitise(given), wanted);
    t.is(sanitise(wanted), wanted, 'a second pass changes nothing');
  });
  test(`however it is cut: ${JSON.stringify(given)}`, (t) => {
    for (let cut = 0; cut <= given.length; cut++) {
      const sanitiser = createSanitiser();
      const whole = sanitiser.push(given.slice(0, cut)) + sanitiser.push(given.slice(cut)) + sanitiser.end();
      t.is(whole, wanted);
    }
  });
}

test('random text: clean, and the same in pieces', (t) => {
  let state = 7;
  const random = (below: number) => (state = (state * 1103515245 + 12345) & 0x7fffffff) % below;
  // oxlint-disable-next-line no-control-regex -- looking for them is the purpose
  const dangerous = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/;
  for (let round = 0; round < 20_000; round++) {
    const ranges = [0x20, 0xa0, 0x2070, 0x10000];
    const text = Array.from({ length: random(12) }, () =>
      String.fromCharCode(random(ranges[random(4)]!)),
    ).join('');
    const sanitiser = createSanitiser();
    const cut = random(text.length + 1);
    const pieces = sanitiser.push(text.slice(0, cut)) + sanitiser.push(text.slice(cut)) + sanitiser.end();
    const whole = sanitise(text);
    if (pieces !== whole || dangerous.test(whole)) t.fail(JSON.stringify(text));
  }
  t.pass();
});
