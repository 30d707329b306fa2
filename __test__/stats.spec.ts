import test from 'ava';
import { statisticsLines, type Telemetry } from '../ts/chat/stats.js';

const published = {
  finishReason: 'stop' as const,
  promptTokens: 30,
  completionTokens: 21,
  cachedTokens: 0,
  droppedTurns: 0,
  tokenizeMs: 0.4,
  prefillMs: 0.0031,
  ttftMs: 573,
  promptMs: 570,
  decodeMs: 1538,
  genMs: 2111,
  tokensPerSecond: 9.9479,
  cpuPercent: 1.8,
  coreTemperature: 34,
};

test('the published example, to the letter', (t) => {
  t.deepEqual(statisticsLines(published, 'transformers-aipu', { stats: true }), [
    'Tokenization: 0.4ms | Prefill: 3.1us | TTFT: 0.573s | Gen: 2.111s | Tokens/sec: 9.95 | Tokens: 21',
    'CPU %: 1.8%',
    'Core Temp: 34.0°C',
  ]);
});

test('what cannot be read is n/a, and the CPU pipeline has one line', (t) => {
  const unread = { ...published, cpuPercent: undefined, coreTemperature: undefined };
  const said = statisticsLines(unread, 'transformers-aipu', { stats: true });
  t.deepEqual(said.slice(1), ['CPU %: n/a', 'Core Temp: n/a']);
  t.is(statisticsLines(published, 'transformers', { stats: true }).length, 1);
});

function lines(show: Telemetry, pipeline = 'transformers-aipu') {
  return statisticsLines(published, pipeline, show).map((line) => line.split(':', 1)[0]);
}

test('each line can be had alone, and be left out', (t) => {
  t.deepEqual(lines({ stats: false }), []);
  t.deepEqual(lines({ stats: false, cpu: true }, 'transformers'), ['CPU %']);
  t.deepEqual(lines({ stats: false, temperature: true }), ['Core Temp']);
  t.deepEqual(lines({ stats: true, cpu: false }), ['Tokenization', 'Core Temp']);
  t.deepEqual(lines({ stats: true, temperature: false }), ['Tokenization', 'CPU %']);
});
