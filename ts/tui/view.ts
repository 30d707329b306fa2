/** `state → lines`: pure. The rows of the whole screen, and where the cursor stands. */
import { sanitise } from '../sanitise.js';
import {
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
import { itemsOf, spinning } from './items.js';
import { contextMeter, loadingLines, statusLine } from './bars.js';
import { helpLines, settingsLines } from './panel-view.js';
import type { State } from './state.js';
import { visible } from './viewport.js';

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
  const warmth = `temperature ${chat.settings.temperature}`;
  const rest = [pipeline, sanitise(device), warmth].join(' · ');
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
  const above = Math.max(0, Math.floor((height - words.length) / 2));
  const centred = words.map((text) => [
    span(' '.repeat(Math.max(0, Math.floor((columns - text.length) / 2)))),
    span(text, { role: 'muted' }),
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
    return line.flatMap((part): Span[] => {
      const pieces = [...part.text].map((character) => {
        const hit = covered(text, wanted, at);
        at += character.length;
        return span(character, hit ? { ...part.style, inverse: true } : part.style);
      });
      return pieces;
    });
  });
}

function covered(text: string, wanted: string, at: number): boolean {
  const found = text.lastIndexOf(wanted, at);
  return found >= 0 && found + wanted.length > at;
}

/** Between transcript and input: the context meter, and what is below the view. */
function rule(state: State): Line {
  const { columns } = state;
  const meter = contextMeter(state);
  const news: Line = state.anchor
    ? [
        span(state.unseen ? ' ↓ new (Ctrl-End) ' : ' ↓ more (Ctrl-End) ', {
          role: state.unseen ? 'warning' : 'muted',
          bold: state.unseen,
        }),
      ]
    : [];
  const used = lineWidth(news) + lineWidth(meter);
  const dashes = span('─'.repeat(Math.max(0, columns - used)), { role: 'muted' });
  return used <= columns ? [...news, dashes, ...meter] : fit(news.length > 0 ? news : meter, columns);
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
  const { columns, panel, notice, pending } = state;
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
  const wait = pending ? `${spinning(state.now, pending.since)} ` : '';
  return spread(
    statusLine(state, bar),
    [span(pending ? `${wait}Esc stops ` : 'F1 help ', { ...bar, role: 'muted' })],
    columns,
    bar,
  );
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
