import test from 'ava';
import * as fc from 'fast-check';
import { textOf, widthOf, type Line } from '../ts/tui/cells.js';
import { encode } from '../ts/tui/encode.js';
import { documentOf, type Document } from '../ts/tui/markdown/document.js';
import { markdownLines } from '../ts/tui/markdown/layout.js';
import { deepest, tokensOf } from '../ts/tui/markdown/lexer.js';
import { hardWrap, wrap } from '../ts/tui/wrap.js';
import { markdown } from './helpers/tui_states.js';

test('Markdown that grows character by character ends as if it had come at once', (t) => {
  for (const width of [20, 77]) {
    const grown = {};
    for (let at = 1; at < markdown.length; at += 1) documentOf(grown, markdown.slice(0, at), width, true);
    const whole = documentOf({}, markdown, width, false);
    const piecewise = documentOf(grown, markdown, width, false);
    t.deepEqual(piecewise.lines(0, piecewise.rows), whole.lines(0, whole.rows));
    t.is(piecewise.rows, whole.lines(0, whole.rows).length);
  }
});

/** How many quotes, lists, emphases and links of `tokens` are inside each other. */
function depthOf(tokens: readonly object[]): number {
  const inside = tokens.map((token) => {
    const { tokens: own = [], items = [] } = token as { tokens?: object[]; items?: object[] };
    const counts = /^(?:blockquote|list|em|strong|del|link)$/.test((token as { type: string }).type);
    return depthOf([...own, ...items]) + (counts ? 1 : 0);
  });
  return Math.max(0, ...inside);
}

test('marks nested deeper than anybody writes are characters, however much stack there is', (t) => {
  const nested = {
    list: '- '.repeat(2900) + 'deep',
    quote: '> '.repeat(2900) + 'deep',
    both: '> - '.repeat(1400) + 'deep',
    emphasis: '*a **b '.repeat(400) + 'deep' + ' b** a*'.repeat(400),
    struck: '~~a *b '.repeat(400) + 'deep' + ' b* a~~'.repeat(400),
  };
  for (const [name, source] of Object.entries(nested)) {
    t.is(depthOf(tokensOf(source)), deepest, name);
    t.true(markdownLines(source, 200).map(textOf).join('').includes('deep'), name);
  }
  const some = '- '.repeat(deepest) + '*deep*';
  t.is(depthOf(tokensOf(some)), deepest + 1, 'what an item says is taken apart after its block');
});

/** Each kind of mark that Markdown has. */
const everything = `Intro **bold _both_ it** and ***all*** ~~gone~~ \`a*b\` &amp; &lt;tag&gt; ok!
A [ref], [^1], [1, 2] and ~5; 2*3 = 6, 2**3 and 4*5, re*write*s, <https://x.org/> and snake_case_ _too_.

## Second [one](https://x.org/a_b) ![pic](https://x.org/p.png) end
Text line
- item *one*
- [x] done
- [ ] open
  1. sub
  2. sub **two**

***

> quote with \`code\`
> and more

Text before
| a | b |
|---|:-:|
| 1 | **2** |
| 3 | 4 |

Name | Age
:-- | --:
Ann [x] | *12*

If a | b holds, the text goes on
in the next line.

- in a list:
  \`\`\`sh
  ls -l | wc
  \`\`\`

~~~
plain
\`\`
~~~

Setext
---

1) one
2) two

\\*literal\\* done`;

const characters = (document: Document) =>
  document
    .lines(0, document.rows)
    .map(textOf)
    .join('')
    .replace(/[\s─┼│]/g, '');

test('nothing that shows while text streams vanishes again: no mark flickers, whatever the pieces', (t) => {
  for (const source of [markdown, everything]) {
    const whole = characters(documentOf({}, source, 400, false));
    for (const size of [1, 2, 3, 7]) {
      const grown = {};
      for (let at = size; at < source.length; at += size) {
        const now = characters(documentOf(grown, source.slice(0, at), 400, true));
        t.true(
          whole.startsWith(now),
          `after ${JSON.stringify(source.slice(Math.max(0, at - 30), at))}: …${now.slice(-30)}`,
        );
      }
    }
  }
});

/** What models write, each mark closed. */
const phrases = [
  'one two 日本 12 snake_case 2*3 a**b C++ ~5 price* $x_1$ a_b_ AT&T &amp; \\*asis\\* ! it\'s "quoted" <b> (see)'.split(
    ' ',
  ),
  're*write* re**writ**es **bold** *it* (*it*) ***both*** ~~gone~~ _under_ __strong__ **Note:** **`c`** `code` `a*b`'.split(
    ' ',
  ),
  '[ref] [^1] http://x.org/a_b <https://x.org> www.x.org [a](https://x.org/y_z) ![p](https://x.org/p.png)'.split(
    ' ',
  ),
  [
    '5 * 3',
    '1 < 2',
    '[1, 2]',
    '`a | b`',
    '**bold *nested* text**',
    '*it **nested** text*',
    '**[l](https://x.org)**',
  ],
].flat();
const phrase = fc.constantFrom(...phrases);
const sentence = fc.array(phrase, { minLength: 1, maxLength: 6 }).map((words) => words.join(' '));
const linesOf = (mark: (n: number) => string) =>
  fc
    .array(sentence, { minLength: 1, maxLength: 3 })
    .map((all) => all.map((line, n) => mark(n) + line).join('\n'));
const cell = sentence.map((words) => words.replaceAll('`a | b`', 'c'));
const table = fc
  .tuple(
    fc.constantFrom(['| ', ' |'], ['', '']),
    fc.array(fc.tuple(cell, cell), { minLength: 1, maxLength: 3 }),
  )
  .map(([[before, after], rows]) =>
    [['Name', 'Age'], ['---', ':--'], ...rows].map((cells) => before + cells.join(' | ') + after).join('\n'),
  );
const block = fc.oneof(
  ...['', '# ', '- ', '> '].map((mark) => linesOf(() => mark)),
  linesOf((n) => `${n + 1}. `),
  sentence.map((words) => `\`\`\`js\n${words}\n\`\`\``),
  fc.constantFrom('***', '---', 'Title\n==='),
  table,
);

test('of any text whose marks are closed, no prefix shows anything that the whole text does not begin with', (t) => {
  const text = fc.array(block, { minLength: 1, maxLength: 3 }).map((blocks) => blocks.join('\n\n'));
  const property = fc.property(text, (source) => {
    const whole = characters(documentOf({}, source, 400, false));
    const message = {};
    for (let at = 1; at <= source.length; at += 1) {
      const now = characters(documentOf(message, source.slice(0, at), 400, true));
      if (!whole.startsWith(now)) throw new Error(`after ${JSON.stringify(source.slice(0, at))}: ${now}`);
    }
  });
  t.notThrows(() => fc.assert(property, { numRuns: 300 }));
});

const remains = (before: string, after: string) => {
  let at = 0;
  for (const character of after) if (character === before[at]) at += 1;
  return at === before.length;
};

test('a mark that never closes comes to light at the end, and nothing that was shown goes for it', (t) => {
  for (const source of [
    '*Note: prices* may vary, *or not',
    '**bold and no end\n\nNext.',
    'a `code and no end',
    '[text](not closed\n\nNext.',
    'An [open bracket and no end',
    '1. **first\n2. second*',
    'a ~~b\n\nc',
    'See [ref] here.\n\n[ref]: https://x.org\n\nEnd',
    'Head | that is\nnone',
    'w```\nx',
    '* * *\nx',
    '- - -\nx',
  ]) {
    const message = {};
    let before = '';
    for (let at = 1; at <= source.length + 1; at += 1) {
      const grows = at <= source.length;
      const now = characters(documentOf(grows ? message : {}, source.slice(0, at), 400, grows));
      t.true(remains(before, now), `${JSON.stringify(source.slice(0, at))}: ${before} became ${now}`);
      before = now;
    }
  }
});

/** The last paragraph but one is finished when a line of the next one is: what comes after may still belong to it. */
const isOpen = (line: Line) => line.length === 0 || /literal|And a/.test(textOf(line));

test('what is finished is laid out once: its lines are the same objects in each frame', (t) => {
  const message = {};
  const start = `${everything}\n\nAnd a new paragraph`;
  const first = documentOf(message, start, 60, true);
  const later = documentOf(message, `${start} that goes on`, 60, true);
  for (let row = 0; row < first.rows; row += 1) {
    const [line] = first.lines(row, row + 1);
    if (!isOpen(line!)) t.is(later.lines(row, row + 1)[0], line, `row ${row}`);
  }
});

test('an endless code block and an endless paragraph are laid out in parts that do not show', (t) => {
  const code = Array.from({ length: 1500 }, (_, n) => `let line${n} = ${n};`).join('\n');
  const paragraph = Array.from({ length: 5000 }, (_, n) => `word${n}`).join(' ');
  for (const [source, wanted] of [
    [`\n\n\`\`\`ts\n${code}\n\`\`\`\n\nEnd.`, `ts${code}End.`],
    [`Start.\n\n${paragraph}\n\nEnd.`, `Start.${paragraph}End.`],
  ] as const) {
    const grown = {};
    for (let at = 700; at < source.length; at += 700) documentOf(grown, source.slice(0, at), 60, true);
    const all = documentOf(grown, source, 60, false);
    t.is(squeezed(all.lines(0, all.rows)), wanted.replace(/\s/g, ''));
    t.is(all.rows, all.lines(0, all.rows).length);
  }
});

const squeezed = (lines: readonly Line[]) => lines.map(textOf).join('').replace(/\s/g, '');
const words = fc.string({
  unit: fc.constantFrom(
    'a',
    'bc',
    ' ',
    '\n',
    '\t',
    '日',
    '한',
    '👩‍👩‍👧',
    '🐢',
    '✅',
    'é',
    'e\u0301',
    '\u200b',
    '…',
    '─',
  ),
  maxLength: 80,
});

test('wrapping keeps every character and no line is wider than asked', (t) => {
  const property = fc.property(words, fc.integer({ min: 2, max: 40 }), (text, width) => {
    for (const lines of [wrap([{ text, style: {} }], width), hardWrap([{ text, style: {} }], width)]) {
      if (lines.some((line) => widthOf(textOf(line)) > width)) return false;
      if (squeezed(lines) !== text.replace(/\s/g, '')) return false;
    }
    return true;
  });
  t.notThrows(() => fc.assert(property, { numRuns: 1000 }));
});

test('any Markdown fits any width', (t) => {
  const source = fc.string({
    unit: fc.constantFrom(
      '# ',
      '- ',
      '1. ',
      '> ',
      '```\n',
      '| a | b |\n|--|--|\n',
      '**',
      '`',
      '[x](y)',
      '\n',
      ' ',
      'word',
      '日本',
      '🐢',
      '    ',
    ),
    maxLength: 60,
  });
  const property = fc.property(source, fc.integer({ min: 1, max: 30 }), (text, width) =>
    markdownLines(text, width).every((line) => widthOf(textOf(line)) <= width),
  );
  t.notThrows(() => fc.assert(property, { numRuns: 1000 }));
});

test('links are OSC 8 where the terminal takes it, to addresses that a browser opens, each row closed', (t) => {
  const [line] = markdownLines('see [the docs](https://example.org/a) and [x](javascript:alert)', 80);
  const bytes = encode(line!, 80, { theme: 'dark', links: true });
  t.regex(bytes, /\u001b\]8;;https:\/\/example\.org\/a\u001b\\the docs\u001b\]8;;\u001b\\/); // oxlint-disable-line no-control-regex
  t.false(bytes.includes(']8;;javascript'));
  t.false(encode(line!, 80, { theme: 'dark', links: false }).includes(']8;'));
  t.is(textOf(line!), 'see the docs (https://example.org/a) and x (javascript:alert)');
  const rows = markdownLines('[a link of many words](https://example.org/a)', 8);
  for (const row of rows) {
    const shown = encode(row, 8, { theme: 'dark', links: true });
    t.is(shown.split(']8;;h').length, shown.split(']8;;\u001b\\').length);
  }
});

test('code has its language as a label and its words in colours', (t) => {
  const lines = markdownLines('```ts\nconst a = "b"; // c\n```', 40);
  t.is(textOf(lines[0]!).trim(), 'ts');
  const roles = new Map(lines[1]!.map(({ text, style }) => [text.trim(), style.role]));
  t.is(roles.get('const'), 'keyword');
  t.is(roles.get('"b"'), 'string');
  t.is(roles.get('// c'), 'comment');
});
