/** The figures around the transcript: status, context meter, loading. */
import type { ContextUse } from '../chat/context-use.js';
import { sanitise } from '../sanitise.js';
import { span, widthOf, type Line, type Role, type Span } from './cells.js';
import { elapsed, spinner } from './items.js';
import type { State } from './state.js';

/** A figure as the reference writes it, and in few columns. */
type Figure = readonly [long: string, short: string];

/** The reference's figures, most important first: of the reply under way as it goes, else of the last one. */
function figures(state: State): Figure[] {
  const { pending, chat, now } = state;
  const result = chat?.lastResult;
  const found: Figure[] = [];
  const add = (ttft: string, rate: number, tokens: number) =>
    found.push(
      [`TTFT: ${ttft}`, `TTFT ${ttft}`],
      [`Tokens/sec: ${rate.toFixed(2)}`, `${rate.toFixed(2)} tok/s`],
      [`Tokens: ${tokens}`, `${tokens} tokens`],
    );
  if (pending) {
    const { since, firstAt, tokens } = pending;
    const spent = (now - since) / 1000;
    const ttft = firstAt === undefined ? '…' : `${((firstAt - since) / 1000).toFixed(2)}s`;
    add(ttft, spent > 0 ? tokens / spent : 0, tokens);
  } else if (result) {
    add(`${(result.ttftMs / 1000).toFixed(2)}s`, result.tokensPerSecond, result.completionTokens);
  }
  const { cpuPercent, temperature } = state;
  if (cpuPercent !== undefined)
    found.push([`CPU %: ${cpuPercent.toFixed(1)}%`, `CPU ${cpuPercent.toFixed(1)}%`]);
  if (temperature !== undefined)
    found.push([`Core Temp: ${temperature.toFixed(1)}°C`, `${temperature.toFixed(1)}°C`]);
  else if (result && chat?.info.pipeline === 'transformers-aipu') found.push(['Core Temp: n/a', 'n/a °C']);
  return found;
}

/** The figures in at most `width` columns; none is cut. */
export function statusText(state: State, width: number): string {
  const found = figures(state);
  const long = found.map(([text]) => text).join(' | ');
  return widthOf(long) <= width
    ? long
    : asMany(
        found.map(([, text]) => text),
        '  ',
        width,
      );
}

/** As many of `parts` as `width` columns hold, from the first on, none cut. */
export function asMany(parts: readonly string[], between: string, width: number): string {
  let shown = '';
  for (const part of parts) {
    const more = shown === '' ? part : `${shown}${between}${part}`;
    if (widthOf(more) > width) break;
    shown = more;
  }
  return shown;
}

const meterWidth = 20;
/** From here on there is room to say what the segments are. */
const wideScreen = 110;

/** The segments of the meter, each with a sign of its own, for colour alone says nothing. */
const segments = [
  ['system', '█', 'system'],
  ['history', '▓', 'history'],
  ['message', '▒', 'this message'],
  ['reserve', '░', 'reply'],
] as const;

/** The signs of the context meter with their names; with numbers, where they are given. */
export function meterLegend(context?: ContextUse): Line {
  return segments.flatMap(([part, sign, name]) => [
    span(`${sign} `, { role: part }),
    span(`${name}${context ? ` ${context[part]}` : ''}  `, { role: 'muted' }),
  ]);
}

/** The context in segments: what is used from the left, what is kept for the reply at the right. */
export function contextMeter({ context, columns, pending }: State): Line {
  if (!context || columns < 30) return [];
  const { total, system, history, message } = context;
  // a reply may go on beyond what was kept for it
  const reserve = Math.max(context.reserve, pending?.tokens ?? 0);
  const width = columns < 60 ? meterWidth / 2 : meterWidth;
  const cells = (tokens: number) =>
    tokens === 0 ? 0 : Math.max(1, Math.round((width * tokens) / Math.max(1, total)));
  const kept = Math.min(width, cells(reserve));
  let left = width - kept;
  const bar: Span[] = [];
  const add = (wanted: number, sign: string, role: Role) => {
    const given = Math.min(left, wanted);
    left -= given;
    if (given > 0) bar.push(span(sign.repeat(given), { role }));
  };
  for (const [part, sign] of segments) if (part !== 'reserve') add(cells(context[part]), sign, part);
  add(left, '·', 'muted');
  bar.push(span('░'.repeat(kept), { role: 'reserve' }));
  const used = system + history + message;
  const tight = used + reserve > total;
  const free = `${Math.max(0, total - used - reserve)} free `;
  const counts =
    columns < wideScreen
      ? [span(` ${used}+${reserve}/${total} `, { role: tight ? 'error' : 'muted' })]
      : [
          span('  '),
          ...meterLegend({ ...context, reserve }),
          span(free, { role: tight ? 'error' : 'muted' }),
        ];
  return [span(' '), ...bar, ...counts];
}

/** What is shown until the model is there. */
export function loadingLines({ loading, now, columns, queued }: State, height: number): Line[] {
  const { text, share, since } = loading;
  const lines: Line[] = Array.from({ length: Math.max(0, Math.floor(height / 2) - 2) }, () => []);
  lines.push([
    span('  '),
    span(spinner(now, since), { role: 'accent' }),
    span(` ${sanitise(text)}`, { role: 'text' }),
    span(`  ${elapsed(now, since)}`, { role: 'muted' }),
  ]);
  if (share !== undefined) {
    const width = Math.max(1, Math.min(50, columns - 10));
    const full = Math.round(Math.max(0, Math.min(1, share)) * width);
    const percent = `${Math.floor(share * 100)} %`;
    lines.push([
      span(`  ${'█'.repeat(full)}`, { role: 'accent' }),
      span('░'.repeat(width - full), { role: 'muted' }),
      span(` ${percent}`, { role: 'muted' }),
    ]);
  }
  if (queued !== undefined)
    lines.push([], [span('  Your message is sent when the model is ready.', { role: 'muted' })]);
  return lines;
}
