/** Figures for Prometheus, in its text format. */
import type { ReplyResult } from '../native.js';

const ttftBuckets = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const tokenBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];

/** Counts observations up to each bound. */
class Histogram {
  private readonly counts: number[];
  private sum = 0;
  private count = 0;

  constructor(private readonly bounds: readonly number[]) {
    this.counts = bounds.map(() => 0);
  }

  observe(value: number, times = 1): void {
    this.sum += value * times;
    this.count += times;
    this.bounds.forEach((bound, at) => {
      if (value <= bound) this.counts[at]! += times;
    });
  }

  *lines(name: string): Generator<string> {
    for (const [at, bound] of this.bounds.entries()) yield `${name}_bucket{le="${bound}"} ${this.counts[at]}`;
    yield `${name}_bucket{le="+Inf"} ${this.count}`;
    yield `${name}_sum ${this.sum}`;
    yield `${name}_count ${this.count}`;
  }
}

/** What a moment looks like: asked for when the figures are. */
export interface Gauges {
  readonly queued: number;
  readonly running: number;
  readonly connections: number;
  readonly temperatures: readonly (readonly [device: string, celsius: number])[];
}

/** One server's figures since its start. */
export class Metrics {
  private readonly requests = new Map<string, number>();
  private readonly ttft = new Histogram(ttftBuckets);
  private readonly perToken = new Histogram(tokenBuckets);
  private promptTokens = 0;
  private cachedTokens = 0;
  private completionTokens = 0;
  private embeddingTokens = 0;
  private hits = 0;
  private misses = 0;

  /** A request was answered; a client that left counts as 499. */
  request(path: string, status: number): void {
    const labels = `path="${path}",status="${status}"`;
    this.requests.set(labels, (this.requests.get(labels) ?? 0) + 1);
  }

  /** A reply's first token was there, so many seconds after its request. */
  firstToken(seconds: number): void {
    this.ttft.observe(seconds);
  }

  /** A reply has ended. */
  reply(result: ReplyResult): void {
    this.promptTokens += result.promptTokens;
    this.cachedTokens += result.cachedTokens;
    this.completionTokens += result.completionTokens;
    if (result.cachedTokens > 0) this.hits += 1;
    else this.misses += 1;
    const later = result.completionTokens - 1;
    if (later > 0) this.perToken.observe(result.decodeMs / 1000 / later, later);
  }

  /** Inputs of so many tokens have become vectors. */
  embedded(tokens: number): void {
    this.embeddingTokens += tokens;
  }

  text(gauges: Gauges): string {
    return `${[...this.lines(gauges)].join('\n')}\n`;
  }

  private *lines(gauges: Gauges): Generator<string> {
    yield* head('axllm_requests_total', 'counter', 'Requests answered.');
    for (const [labels, count] of this.requests) yield `axllm_requests_total{${labels}} ${count}`;
    yield* single('axllm_requests_running', 'gauge', 'Replies under way.', gauges.running);
    yield* single('axllm_requests_queued', 'gauge', 'Requests that wait for their turn.', gauges.queued);
    yield* single('axllm_connections', 'gauge', 'Open connections.', gauges.connections);
    yield* single('axllm_prompt_tokens_total', 'counter', 'Tokens of prompts.', this.promptTokens);
    yield* single('axllm_cached_tokens_total', 'counter', 'Those not read again.', this.cachedTokens);
    yield* single('axllm_completion_tokens_total', 'counter', 'Tokens generated.', this.completionTokens);
    yield* single('axllm_embedding_tokens_total', 'counter', 'Tokens embedded.', this.embeddingTokens);
    yield* single('axllm_cache_hits_total', 'counter', 'Replies that reused a KV cache.', this.hits);
    yield* single(
      'axllm_cache_misses_total',
      'counter',
      'Replies that read their whole prompt.',
      this.misses,
    );
    yield* head('axllm_time_to_first_token_seconds', 'histogram', 'From the request to its first token.');
    yield* this.ttft.lines('axllm_time_to_first_token_seconds');
    yield* head('axllm_time_per_token_seconds', 'histogram', 'Of each token after the first.');
    yield* this.perToken.lines('axllm_time_per_token_seconds');
    if (gauges.temperatures.length === 0) return;
    yield* head('axllm_device_temperature_celsius', 'gauge', 'The hottest core after the last reply.');
    for (const [device, celsius] of gauges.temperatures) {
      yield `axllm_device_temperature_celsius{device="${device.replaceAll(/[\\"\n]/g, '_')}"} ${celsius}`;
    }
  }
}

function* head(name: string, type: string, help: string): Generator<string> {
  yield `# HELP ${name} ${help}`;
  yield `# TYPE ${name} ${type}`;
}

function* single(name: string, type: string, help: string, value: number): Generator<string> {
  yield* head(name, type, help);
  yield `${name} ${value}`;
}
