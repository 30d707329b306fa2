/** Measures what a user waits for: loading, the prompt pass, decoding; through the public way of a reply. */
import type { Model } from '../model.js';

/** How much of what. */
export interface Plan {
  /** Tokens of the prompt pass; 0 leaves it out. */
  readonly promptTokens: number;
  /** Tokens to generate; 0 leaves decoding out. */
  readonly genTokens: number;
  readonly repetitions: number;
  /** Tokens already in the context. */
  readonly depth: number;
}

/** Several measurements of one thing. */
export interface Figure {
  readonly median: number;
  /** Half of the range that the middle half of the measurements covers. */
  readonly spread: number;
  readonly values: readonly number[];
}

export interface Measured {
  readonly load_ms: Figure;
  readonly prefill_tokens_per_second: Figure | null;
  readonly decode_tokens_per_second: Figure | null;
  readonly host_cpu_us_per_token: Figure | null;
  readonly peak_rss_bytes: number;
  /** What the prompt pass really read: whole words, and the model's template around them. */
  readonly prompt_tokens: number;
  readonly device: string;
}

/** Loads the model anew for each repetition, so that nothing is left of the one before. */
export async function measure(
  open: () => Promise<Model>,
  plan: Plan,
  signal: AbortSignal,
): Promise<Measured> {
  const loads: number[] = [];
  const prefill: number[] = [];
  const decode: number[] = [];
  const cpu: number[] = [];
  let promptTokens = 0;
  let device = '';
  for (let n = 0; n < plan.repetitions; n++) {
    const start = performance.now();
    const model = await open();
    loads.push(performance.now() - start);
    try {
      device = model.info.device;
      const once = await repetition(model, plan, signal);
      promptTokens = once.promptTokens;
      if (plan.promptTokens > 0) prefill.push(once.prefill);
      if (once.decode !== undefined) decode.push(once.decode);
      if (once.cpu !== undefined) cpu.push(once.cpu);
    } finally {
      model.dispose();
    }
  }
  return {
    load_ms: figure(loads)!,
    prefill_tokens_per_second: figure(prefill),
    decode_tokens_per_second: figure(decode),
    host_cpu_us_per_token: figure(cpu),
    peak_rss_bytes: process.resourceUsage().maxRSS * 1024,
    prompt_tokens: promptTokens,
    device,
  };
}

async function repetition(model: Model, plan: Plan, signal: AbortSignal) {
  const chat = model.chat({ systemPrompt: '' });
  if (plan.depth > 0) await chat.send(textOf(model, plan.depth), { maxTokens: 1, signal }).text();
  const reply = chat.send(textOf(model, Math.max(1, plan.promptTokens)), {
    maxTokens: Math.max(1, plan.genTokens),
    signal,
  });
  let tokens = 0;
  let cpuAtFirst: NodeJS.CpuUsage | undefined;
  let tokensAtFirst = 0;
  for await (const chunk of reply) {
    tokens += chunk.tokens;
    if (cpuAtFirst) continue;
    cpuAtFirst = process.cpuUsage();
    tokensAtFirst = tokens;
  }
  const used = process.cpuUsage(cpuAtFirst);
  const result = await reply.result;
  chat.dispose();
  const read = result.promptTokens - result.cachedTokens;
  const steps = result.completionTokens - 1;
  const later = tokens - tokensAtFirst;
  const decoded = plan.genTokens > 0 && steps > 0;
  return {
    promptTokens: read,
    prefill: (read / result.promptMs) * 1000,
    decode: decoded ? (steps / result.decodeMs) * 1000 : undefined,
    cpu: decoded && later > 0 ? (used.user + used.system) / later : undefined,
  };
}

const sentence = 'Tell me a very long story about the sea, the wind and an old ship. ';

/** A text of about `tokens` tokens, the template not counted. */
function textOf(model: Model, tokens: number): string {
  const words = sentence.repeat(Math.ceil(tokens / 8) + 1).split(' ');
  let [low, high] = [1, words.length];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (model.countTokens(words.slice(0, middle).join(' ')) <= tokens) low = middle;
    else high = middle - 1;
  }
  return words.slice(0, low).join(' ');
}

/** Median and half the interquartile range; `null` of nothing. */
export function figure(values: readonly number[]): Figure | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const spread = (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / 2;
  return { median: quantile(sorted, 0.5), spread, values };
}

function quantile(sorted: readonly number[], q: number): number {
  const at = (sorted.length - 1) * q;
  const [low, high] = [sorted[Math.floor(at)]!, sorted[Math.ceil(at)]!];
  return low + (high - low) * (at - Math.floor(at));
}
