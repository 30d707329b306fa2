/** Colours and signs: what the golden screens, which are text, do not show. */
import test from 'ava';
import { newConversation, withTurn } from '../ts/chat/conversation.js';
import { span } from '../ts/tui/cells.js';
import { meterLegend } from '../ts/tui/bars.js';
import { encode } from '../ts/tui/encode.js';
import { themeFor, type ThemeName } from '../ts/tui/theme.js';
import { shown } from './helpers/tui_cells.js';
import { key, opened, play, result, scenarios, text } from './helpers/tui_states.js';

test('turns that no longer fit are grey where they stand, under a line that says so', async (t) => {
  const { at, lines } = await shown(scenarios.dropped!(80, 24));
  const [grey, question, reply] = [
    at('Answer 1, first').getFgColor(),
    at('❯ Question 1?'),
    at('Answer 3, first'),
  ];
  t.is(at('Answer 2, second').getFgColor(), grey);
  t.is(question.getFgColor(), grey);
  t.false(question.isBgPalette());
  t.not(reply.getFgColor(), grey);
  t.true(at('❯ Question 3?').isBgPalette());
  t.true(
    lines.findIndex((line) => line.includes('no longer sees')) <
      lines.findIndex((line) => line.includes('Question 3?')),
  );
});

test('the meter: a segment each for system, history, this message and the reply, each in its colour and sign', async (t) => {
  const state = scenarios.finished!(80, 24);
  const { lines, cell } = await shown(state);
  const row = lines.findIndex((line) => line.includes('372+128/1024'));
  const first = lines[row]!.indexOf('█');
  // 60, 300, 12 and 128 of 1,024 tokens in 20 cells, none of them empty
  t.is(lines[row]!.slice(first, first + 20), `█${'▓'.repeat(6)}▒${'·'.repeat(9)}${'░'.repeat(3)}`);
  const colours = [0, 1, 7, 17].map((n) => cell(row, first + n).getFgColor());
  t.is(new Set(colours).size, 4);
  const wide = (await shown(scenarios.finished!(120, 40))).lines.join('\n');
  t.regex(wide, /█ system 60 {2}▓ history 300 {2}▒ this message 12 {2}░ reply 128 {2}524 free/);
  t.is(meterLegend().length, 8);
});

test('a user stands on a coloured ground, code on another, and with sixteen colours signs tell them apart', async (t) => {
  const state = scenarios.finished!(120, 40);
  const many = await shown(state);
  const grounds = [many.at('How do I').getBgColor(), many.at('import {').getBgColor()];
  t.is(new Set(grounds).size, 2);
  const few = await shown(state, '16');
  t.false(few.at('How do I').isBgPalette());
  t.true(few.at('How do I').isFgPalette());
  t.true(few.at('llama-3-2-1b').isInverse() !== 0);
  t.regex(few.lines.join('\n'), /❯ How do I/);
});

test('without colours no colour is written; emphasis and bars are', async (t) => {
  for (const [name, make] of Object.entries(scenarios)) {
    const { bytes } = await shown(make(80, 24), 'none');
    // oxlint-disable-next-line no-control-regex -- the terminal's own sequences are the subject
    for (const [, codes = ''] of bytes.matchAll(/\u001b\[([\d;]*)m/g))
      for (const code of codes.split(';')) t.true(Number(code) < 30, `${name}: ${codes}`);
  }
  const { at } = await shown(scenarios.finished!(80, 24), 'none');
  t.true(at('open and').isBold() !== 0);
  t.true(at('llama-3-2-1b').isInverse() !== 0);
});

test('dark, light, sixteen colours or none: as the terminal says', (t) => {
  const cases: readonly (readonly [Record<string, string>, boolean, ThemeName])[] = [
    [{ TERM: 'xterm-256color' }, true, 'dark'],
    [{ TERM: 'xterm-256color', COLORFGBG: '0;15' }, true, 'light'],
    [{ TERM: 'xterm-256color', COLORFGBG: '15;default;0' }, true, 'dark'],
    [{ TERM: 'xterm', COLORTERM: 'truecolor' }, true, 'dark'],
    [{ TERM: 'xterm' }, true, '16'],
    [{ TERM: 'linux' }, true, '16'],
    [{}, true, '16'],
    [{ TERM: 'xterm-256color' }, false, 'none'],
  ];
  for (const [env, colour, theme] of cases) t.is(themeFor(env, colour), theme, JSON.stringify(env));
});

test('each theme is readable: no foreground of a role equals a ground it may stand on', async (t) => {
  for (const theme of ['dark', 'light'] as const) {
    for (const [name, make] of Object.entries(scenarios)) {
      const { cell } = await shown(make(80, 24), theme);
      for (let row = 0; row < 24; row += 1)
        for (let column = 0; column < 80; column += 1) {
          const at = cell(row, column);
          if (at.getChars().trim() !== '' && at.isBgPalette()) t.not(at.getFgColor(), at.getBgColor(), name);
        }
    }
  }
});

test('where terminals disagree about a width, what follows is addressed anew', (t) => {
  for (const wide of ['👩‍👩‍👧', '🐢', '✅', '🫠', '☑', 'e\u0301'])
    t.regex(encode([span(`${wide}|`)], 10, { theme: 'none', links: false }), /\[\d+G\|/, wide);
  for (const known of ['한', '日', 'é', '─'])
    t.notRegex(encode([span(`${known}|`)], 10, { theme: 'none', links: false }), /\[\d+G\|/, known);
});

test('figures of each reply where they are asked for, as the reference prints them', async (t) => {
  const conversation = withTurn(newConversation(), 'Hi', 'Ho');
  const state = play(
    opened(120, 24),
    text('Hi'),
    key('Enter'),
    { kind: 'ended', conversation, result },
    key('F2'),
  );
  const { lines } = await shown(state);
  t.regex(
    lines.join('\n'),
    /Tokenization: 0\.4ms \| Prefill: 3\.1us \| TTFT: 0\.573s \| Gen: 2\.111s \| Tokens\/sec: 9\.95 \| Tokens: 21/,
  );
  t.notRegex((await shown(play(state, key('F2')))).lines.join('\n'), /Tokenization/);
});

test('the status bar while a reply runs: TTFT, tokens/s, tokens, CPU and core temperature as they are known', async (t) => {
  const telemetry = { kind: 'telemetry', cpuPercent: 41.26, temperature: 52 } as const;
  for (const [columns, rows, wanted] of [
    [
      120,
      40,
      /TTFT: 0\.60s \| Tokens\/sec: 10\.00 \| Tokens: 21 \| CPU %: 41\.3% \| Core Temp: 52\.0°C +F1 help/,
    ],
    [
      80,
      24,
      /TTFT 0\.60s {2}10\.00 tok\/s {2}21 tokens {2}CPU 41\.3% {2}52\.0°C|TTFT: 0\.60s \| Tokens\/sec: 10\.00 \| Tokens: 21 \| CPU %: 41\.3% \| Core Temp: 52\.0°C/,
    ],
    [40, 12, /TTFT 0\.60s {2}10\.00 tok\/s {2}21 tokens/],
  ] as const) {
    const { lines } = await shown(play(scenarios.streaming!(columns, rows), telemetry));
    t.regex(lines.at(-1)!, wanted);
    t.regex(lines.join('\n'), /[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] (2\.1 s )?Esc stops/);
  }
});
