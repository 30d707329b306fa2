import type { ReplyResult } from '../native.js';

/** What to print after a reply. On the AIPU pipeline `stats` brings the other two along unless they are off. */
export interface Telemetry {
  readonly stats: boolean;
  readonly cpu?: boolean | undefined;
  readonly temperature?: boolean | undefined;
}

/** The statistics line of the original, and its two companions. */
export function statisticsLines(result: ReplyResult, pipeline: string, show: Telemetry): string[] {
  const implied = show.stats && pipeline === 'transformers-aipu';
  const lines = show.stats ? [timings(result)] : [];
  if (show.cpu ?? implied) lines.push(`CPU %: ${known(result.cpuPercent, '%')}`);
  if (show.temperature ?? implied) lines.push(`Core Temp: ${known(result.coreTemperature, '\u00b0C')}`);
  return lines;
}

function timings(result: ReplyResult): string {
  return [
    `Tokenization: ${milliseconds(result.tokenizeMs)}`,
    `Prefill: ${milliseconds(result.prefillMs)}`,
    `TTFT: ${seconds(result.ttftMs)}`,
    `Gen: ${seconds(result.genMs)}`,
    `Tokens/sec: ${result.tokensPerSecond.toFixed(2)}`,
    `Tokens: ${result.completionTokens}`,
  ].join(' | ');
}

/** The original's example shows 0.4ms beside 3.1us: micro-seconds begin where a tenth of a ms would read 0.0. */
function milliseconds(ms: number): string {
  return ms < 0.1 ? `${(ms * 1000).toFixed(1)}us` : `${ms.toFixed(1)}ms`;
}

function seconds(ms: number): string {
  return ms < 1 ? `${(ms * 1000).toFixed(1)}us` : `${(ms / 1000).toFixed(3)}s`;
}

function known(value: number | undefined, unit: string): string {
  return value === undefined ? 'n/a' : `${value.toFixed(1)}${unit}`;
}
