import type { ReplyResult } from '../native.js';

/** The statistics line of the original, and on the AIPU pipeline its two companions. */
export function statisticsLines(result: ReplyResult, pipeline: string): string[] {
  const line = [
    `Tokenization: ${milliseconds(result.tokenizeMs)}`,
    `Prefill: ${milliseconds(result.prefillMs)}`,
    `TTFT: ${seconds(result.ttftMs)}`,
    `Gen: ${seconds(result.genMs)}`,
    `Tokens/sec: ${result.tokensPerSecond.toFixed(2)}`,
    `Tokens: ${result.completionTokens}`,
  ].join(' | ');
  if (pipeline !== 'transformers-aipu') return [line];
  return [
    line,
    `CPU %: ${known(result.cpuPercent, '%')}`,
    `Core Temp: ${known(result.coreTemperature, '\u00b0C')}`,
  ];
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
