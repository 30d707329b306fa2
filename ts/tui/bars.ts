/** The figures around the transcript: status, context meter, loading. */
import { sanitise } from '../sanitise.js';
import { span, type Line, type Role, type Style } from './cells.js';
import { spinning } from './items.js';
import type { State } from './state.js';

/** The reference's figures: of the reply under way as it goes, else of the last one. */
export function statusLine(state: State, bar: Style): Line {
  const { pending, chat, now } = state;
  const result = chat?.lastResult;
  const figures: string[] = [];
  if (pending) {
    const seconds = pending.firstAt === undefined ? undefined : (pending.firstAt - pending.since) / 1000;
    figures.push(`TTFT: ${seconds === undefined ? '…' : `${seconds.toFixed(2)}s`}`);
    const elapsed = (now - pending.since) / 1000;
    figures.push(`Tokens/sec: ${elapsed > 0 ? (pending.tokens / elapsed).toFixed(2) : '0.00'}`);
    figures.push(`Tokens: ${pending.tokens}`);
  } else if (result) {
    figures.push(`TTFT: ${(result.ttftMs / 1000).toFixed(2)}s`);
    figures.push(`Tokens/sec: ${result.tokensPerSecond.toFixed(2)}`, `Tokens: ${result.completionTokens}`);
  }
  if (state.cpuPercent !== undefined) figures.push(`CPU %: ${state.cpuPercent.toFixed(1)}%`);
  if (chat?.info.pipeline === 'transformers-aipu') {
    const warmth = state.temperature === undefined ? 'n/a' : `${state.temperature.toFixed(1)}°C`;
    figures.push(`Core Temp: ${warmth}`);
  }
  return [span(` ${figures.join(' | ')}`, bar)];
}

const meterWidth = 20;

/** The context in segments, each with a sign of its own, for colour alone says nothing. */
export function contextMeter({ context, columns }: State): Line {
  if (!context || columns < 30) return [];
  const { total, system, history, message, reserve } = context;
  const parts: readonly (readonly [number, string, Role])[] = [
    [system, '█', 'system'],
    [history, '▓', 'history'],
    [message, '▒', 'message'],
  ];
  const width = columns < 60 ? meterWidth / 2 : meterWidth;
  const cells = (tokens: number) =>
    tokens === 0 ? 0 : Math.max(1, Math.round((width * tokens) / Math.max(1, total)));
  const line: Line[number][] = [span(' ')];
  let left = width;
  const add = (wanted: number, sign: string, role: Role) => {
    const given = Math.min(left, wanted);
    left -= given;
    if (given > 0) line.push(span(sign.repeat(given), { role }));
  };
  const kept = Math.min(width, cells(reserve));
  left -= kept;
  for (const [tokens, sign, role] of parts) add(cells(tokens), sign, role);
  line.push(
    span('·'.repeat(Math.max(0, left)), { role: 'muted' }),
    span('░'.repeat(kept), { role: 'reserve' }),
  );
  const used = system + history + message;
  line.push(span(` ${used}+${reserve}/${total} `, { role: used + reserve > total ? 'error' : 'muted' }));
  return line;
}

/** What is shown until the model is there. */
export function loadingLines({ loading, now, columns, queued }: State, height: number): Line[] {
  const { text, share, since } = loading;
  const lines: Line[] = Array.from({ length: Math.max(0, Math.floor(height / 2) - 2) }, () => []);
  lines.push([
    span('  '),
    span(spinning(now, since), { role: 'accent' }),
    span(`  ${sanitise(text)}`, { role: 'text' }),
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
