import xterm from '@xterm/headless';
import test from 'ava';
import * as fc from 'fast-check';
import { createSanitiser, safeJson, sanitise } from '../ts/sanitise.js';

const table: [string, string][] = [
  ['plain text\n\twith a tab', 'plain text\n\twith a tab'],
  ['\u001b[31mred', '^[[31mred'],
  ['\u001b]52;c;aGk=\u0007', '^[]52;c;aGk=^G'],
  ['one\rtwo\bthree', 'one^Mtwo^Hthree'],
  ['\u007f\u0000', '^?^@'],
  ['\u009b2J', '<U+009B>2J'],
  ['a\u202eb\u2066c\u2069', 'a<U+202E>b<U+2066>c<U+2069>'],
  ['a\u2028b\u061c\u206f\ufff9', 'a<U+2028>b<U+061C><U+206F><U+FFF9>'],
  ['🐢 日本語 é', '🐢 日本語 é'],
  ['\ud83d!', '\ufffd!'],
];

for (const [given, wanted] of table) {
  test(`becomes visible: ${JSON.stringify(given)}`, (t) => {
    t.is(sanitise(given), wanted);
  });
}

/** UTF-16 in which everything that matters is frequent: controls, surrogates alone and paired, marks. */
const hostile = fc
  .array(
    fc.oneof(
      fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)),
      fc.integer({ min: 0, max: 0x9f }).map((code) => String.fromCharCode(code)),
      fc.integer({ min: 0x2000, max: 0x206f }).map((code) => String.fromCharCode(code)),
      fc.integer({ min: 0xd800, max: 0xdfff }).map((code) => String.fromCharCode(code)),
      fc.constantFrom('🐢', 'é', '日', '\u001b[2J', '\u001b]0;title\u0007', '\u001bP$q\u001b\\', '^[', '<U+'),
    ),
    { maxLength: 40 },
  )
  .map((parts) => parts.join(''));

// oxlint-disable-next-line no-control-regex -- looking for them is the purpose
const dangerous = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f]/;
const loneSurrogate = /\p{Surrogate}/u;

test('nothing that drives a terminal is left, and a second pass changes nothing', (t) => {
  fc.assert(
    fc.property(hostile, (text) => {
      const clean = sanitise(text);
      return !dangerous.test(clean) && !loneSurrogate.test(clean) && sanitise(clean) === clean;
    }),
    { numRuns: 20_000 },
  );
  t.pass();
});

test('the pieces, however they are cut, equal the whole', (t) => {
  fc.assert(
    fc.property(hostile, fc.array(fc.nat(60), { maxLength: 8 }), (text, cuts) => {
      const at = [0, ...cuts.map((cut) => Math.min(cut, text.length)).sort((a, b) => a - b), text.length];
      const sanitiser = createSanitiser();
      const pieces = at.slice(1).map((end, i) => sanitiser.push(text.slice(at[i], end)));
      return pieces.join('') + sanitiser.end() === sanitise(text);
    }),
    { numRuns: 20_000 },
  );
  t.pass();
});

test('JSON drives no terminal either, and reads back as what it was', (t) => {
  fc.assert(
    fc.property(hostile, (text) => {
      const json = safeJson({ text, [text]: [text] }, 2);
      t.deepEqual(JSON.parse(json), { text, [text]: [text] });
      return !dangerous.test(json);
    }),
    { numRuns: 2_000 },
  );
  t.is(safeJson('\u009b\u202e\u007fé\u001b'), String.raw`"\u009b\u202e\u007fé\u001b"`);
});

test('a terminal emulator shows it character by character, and answers nothing', async (t) => {
  const ascii = fc
    .array(
      fc.oneof(
        fc.integer({ min: 0, max: 0x9f }).map((code) => String.fromCharCode(code)),
        fc.constantFrom(
          '\u001b[6n',
          '\u001b[?1049h',
          '\u001b]0;x\u0007',
          '\u001b[c',
          '\u001b[5;5H',
          '\u009b6n',
        ),
      ),
      { maxLength: 20 },
    )
    .map((parts) => parts.join('').replace(/[\n\t]/g, ' '));
  await fc.assert(
    fc.asyncProperty(ascii, async (text) => {
      const emulator = new xterm.Terminal({ cols: 400, rows: 3, allowProposedApi: true });
      let said = '';
      emulator.onData((data) => (said += data));
      emulator.onTitleChange((title) => (said += title));
      const clean = sanitise(text);
      await new Promise<void>((done) => emulator.write(clean, done));
      const shown = emulator.buffer.active.getLine(0)!.translateToString(true);
      const { cursorX, type } = emulator.buffer.active;
      emulator.dispose();
      return (
        shown.trimEnd() === clean.trimEnd() && cursorX === clean.length && type === 'normal' && said === ''
      );
    }),
    { numRuns: 500 },
  );
  t.pass();
});
