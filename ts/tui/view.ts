/** `state → lines`: pure. The rows of the whole screen, and where the cursor stands. */
import { sanitise } from '../sanitise.js';
import {
  clustersOf,
  cut,
  fit,
  lineWidth,
  span,
  spread,
  textOf,
  widthOf,
  type Line,
  type Span,
  type Style,
} from './cells.js';
import { geometryOf, typedLines } from './geometry.js';
import { elapsed, itemsOf, spinner } from './items.js';
import { asMany, contextMeter, loadingLines, statusText } from './bars.js';
import { helpLines } from './help.js';
import { settingsLines } from './settings-view.js';
import type { State } from './state.js';
import { visible } from './viewport.js';
import { wrap } from './wrap.js';

export interface Frame {
  /** As many as the screen has rows; each at most as wide as the screen. */
  readonly lines: readonly Line[];
  readonly cursor?: { readonly x: number; readonly y: number };
}

export function view(state: State): Frame {
  const { columns, rows } = state;
  const parts = geometryOf(state);
  const lines: Line[] = [];
  if (parts.header > 0) lines.push(header(state));
  lines.push(...body(state, parts.transcript));
  if (parts.rule > 0) lines.push(rule(state));
  const inputAt = lines.length;
  lines.push(...inputLines(state, parts.input.lines));
  if (parts.status > 0) lines.push(bottomLine(state));
  const shown = lines.slice(0, rows).map((line) => cut(line, columns, ''));
  const cursor = cursorOf(state, inputAt, parts.input);
  return { lines: shown, ...(cursor && cursor.y < rows && cursor.x < columns ? { cursor } : {}) };
}

const bar: Style = { role: 'text', ground: 'bar' };

function header({ columns, title, chat }: State): Line {
  const name = span(` ${sanitise(chat?.modelName ?? title)} `, { ...bar, bold: true });
  if (!chat) return spread([name], [span(' axllm ', bar)], columns, bar);
  const { pipeline, device } = chat.info;
  const parts = [sanitise(device), pipeline, `temperature ${chat.settings.temperature}`];
  const rest = asMany(parts, ' · ', columns - lineWidth([name]) - 2);
  return spread([name], [span(` ${rest} `, { ...bar, role: 'muted' })], columns, bar);
}

/** The transcript, or what is over it; always `height` rows. */
function body(state: State, height: number): Line[] {
  const { panel } = state;
  let lines: Line[];
  if (panel?.kind === 'help') lines = helpLines(state.columns).slice(panel.top, panel.top + height);
  else if (panel?.kind === 'settings') lines = settingsLines(state, height);
  else if (!state.chat) lines = loadingLines(state, height);
  else if (itemsOf(state).length === 0) lines = welcome(state, height);
  else
    lines =
      panel?.kind === 'search' ? marked(visible(state, height), panel.query.text) : visible(state, height);
  return Array.from({ length: Math.max(0, height) }, (_, row) => lines[row] ?? []);
}

function welcome({ columns }: State, height: number): Line[] {
  const words = ['Ask something.', 'Enter sends, Alt-Enter starts a new line, F1 shows all keys.'];
  const lines = words.flatMap((text) => wrap([span(text, { role: 'muted' })], Math.max(1, columns - 2)));
  const above = Math.max(0, Math.floor((height - lines.length) / 2));
  const centred = lines.map((line) => [
    span(' '.repeat(Math.max(0, Math.floor((columns - lineWidth(line)) / 2)))),
    ...line,
  ]);
  return [...Array.from({ length: above }, () => []), ...centred];
}

/** The lines with each place that holds `query` in reverse. */
function marked(lines: readonly Line[], query: string): Line[] {
  const wanted = query.toLowerCase();
  if (wanted === '') return [...lines];
  return lines.map((line) => {
    const text = textOf(line).toLowerCase();
    // a letter whose lower case is longer would shift the places
    if (!text.includes(wanted) || text.length !== textOf(line).length) return line;
    let at = 0;
    return line.flatMap((part): Span[] =>
      [...clustersOf(part.text)].map(([cluster]) => {
        const hit = covered(text, wanted, at);
        at += cluster.length;
        return span(cluster, hit ? { ...part.style, inverse: true } : part.style);
      }),
    );
  });
}

function covered(text: string, wanted: string, at: number): boolean {
  const found = text.lastIndexOf(wanted, at);
  return found >= 0 && found + wanted.length > at;
}

/** Between transcript and input: what is under way, what is below the view, and the context meter. */
function rule(state: State): Line {
  const { columns, anchor, unseen, pending, now } = state;
  const meter = contextMeter(state);
  const news: Line = anchor
    ? [
        span(unseen ? ' ↓ new (Ctrl-End) ' : ' ↓ more (Ctrl-End) ', {
          role: unseen ? 'warning' : 'muted',
          bold: unseen,
        }),
      ]
    : [];
  const turning: Line = pending ? [span(` ${spinner(now, pending.since)}`, { role: 'accent' })] : [];
  const seconds = pending ? [span(` ${elapsed(now, pending.since)}`, { role: 'muted' })] : [];
  const stops = pending ? [span(' Esc stops ', { role: 'muted' })] : [];
  // the best that there is room for
  const choices: Line[] = [
    [...turning, ...seconds, ...stops, ...news, ...meter],
    [...turning, ...stops, ...news, ...meter],
    [...turning, ...stops, ...news],
    news.length > 0 ? news : stops.length > 0 ? stops : meter,
  ];
  const shown = choices.find((line) => lineWidth(line) <= columns) ?? [];
  const dashes = span('─'.repeat(Math.max(0, columns - lineWidth(shown))), { role: 'muted' });
  const at = shown.findIndex((part) => meter.includes(part));
  return at < 0 ? [...shown, dashes] : [...shown.slice(0, at), dashes, ...shown.slice(at)];
}

function inputLines(state: State, typed: readonly Line[]): Line[] {
  const mark = state.replaces === undefined ? '❯ ' : '✎ ';
  const hint: Line =
    state.input.text === '' && state.queued !== undefined
      ? [span('(sent when the model is ready)', { role: 'muted' })]
      : [];
  return typed.map((line, row) => [
    span(row === 0 ? mark : '  ', { role: 'accent', bold: true }),
    ...(row === 0 && hint.length > 0 ? hint : line),
  ]);
}

function bottomLine(state: State): Line {
  const { columns, panel, notice } = state;
  if (panel?.kind === 'search') {
    const style: Style = { ...bar, role: panel.missing ? 'error' : 'text' };
    const typed = typedLines(panel.query, Math.max(1, columns - 10), 1).lines[0] ?? [];
    const text: Line = [span(' search: ', bar), ...typed.map((part) => span(part.text, style))];
    return spread(
      text,
      [span(panel.missing ? ' not found ' : ' Enter: earlier  Esc: close ', style)],
      columns,
      bar,
    );
  }
  if (notice) return fit([span(` ${sanitise(notice.text)}`, { ...bar, role: notice.role })], columns, bar);
  const hint = panel ? ' Esc closes ' : ' F1 help ';
  // the figures go before a hint that can be found elsewhere
  const text = statusText(state, columns - 2 - (panel ? hint.length : 0));
  return spread([span(` ${text}`, bar)], [span(hint, { ...bar, role: 'muted' })], columns, bar);
}

function cursorOf(state: State, inputAt: number, input: { x: number; y: number }): Frame['cursor'] {
  const { panel, rows, columns } = state;
  if (panel?.kind === 'search') {
    const { x } = typedLines(panel.query, Math.max(1, columns - 10), 1);
    return { x: widthOf(' search: ') + x, y: rows - 1 };
  }
  if (panel) return undefined;
  return { x: 2 + input.x, y: inputAt + input.y };
}
