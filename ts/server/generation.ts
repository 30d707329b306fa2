/** One request's reply: waits for a place, reads the reply, gives the place back whatever happens. */
import type { Chunk, GenerateOptions, Message, ReplyResult } from '../native.js';
import type { Identity } from './access.js';
import { HttpError, asHttpError } from './http-error.js';
import { prefixKey } from './lane.js';
import type { Metrics } from './metrics.js';
import type { Ready } from './served.js';

/** What is to be answered. */
export type Prompt = { readonly messages: readonly Message[] } | { readonly text: string };

/** A reply that is asked for. */
export interface Ask {
  readonly ready: Ready;
  readonly prompt: Prompt;
  readonly options: GenerateOptions;
  readonly identity: Identity;
  readonly signal: AbortSignal;
  readonly metrics: Metrics;
  onPosition?(position: number): void;
}

/** Chunks, then the result. Abandoning the iteration stops the device within one step. */
export async function* generate(ask: Ask): AsyncGenerator<Chunk, ReplyResult, void> {
  const { ready, options, identity, signal, metrics } = ask;
  const started = performance.now();
  const prompt = framed(ask.prompt, ready);
  const parts = 'text' in prompt ? [{ role: 'text', content: prompt.text }] : prompt.messages;
  const key = prefixKey(parts);
  const place = await ready.scheduler.acquire({ identity, key, signal, onPosition: ask.onPosition });
  let said = '';
  try {
    const stream = place.slot.reply(prompt, {
      ...ready.served.defaults,
      ...options,
      // never silently: who sends a whole conversation wants it read
      onOverflow: options.onOverflow ?? ready.served.defaults?.onOverflow ?? 'error',
      signal,
    });
    let first = true;
    for await (const chunk of stream) {
      if (first) metrics.firstToken((performance.now() - started) / 1000);
      first = false;
      said += chunk.text;
      yield chunk;
    }
    const result = await stream.result;
    place.lane.temperature = result.coreTemperature ?? place.lane.temperature;
    metrics.reply(result);
    if (result.finishReason === 'cancelled') throw new HttpError(503, 'The reply was cut off');
    return result;
  } finally {
    place.release(
      'text' in prompt
        ? prefixKey([{ role: 'text', content: prompt.text + said }]).slice(0, -1)
        : key + prefixKey([{ role: 'assistant', content: said }]),
    );
  }
}

/** A conversation without a system message gets the model's. */
function framed(prompt: Prompt, { served, scheduler }: Ready): Prompt {
  const system = served.systemPrompt ?? scheduler.lanes[0]!.model.systemPrompt;
  if ('text' in prompt || !system || prompt.messages[0]?.role === 'system') return prompt;
  return { messages: [{ role: 'system', content: system }, ...prompt.messages] };
}

/** The whole text, its chunks and the result; what fails is an error as clients are told it. */
export async function collect(ask: Ask): Promise<{ text: string; chunks: Chunk[]; result: ReplyResult }> {
  const chunks: Chunk[] = [];
  const iterator = generate(ask);
  for (;;) {
    const step = await iterator.next().catch((error: unknown) => {
      throw asHttpError(error, ask.ready.contextLength);
    });
    if (step.done) {
      return { text: chunks.map(({ text }) => text).join(''), chunks, result: step.value };
    }
    // kept only where a client asks for them: a long reply has thousands
    if (ask.options.logprobs !== undefined || chunks.length === 0) chunks.push(step.value);
    else chunks[0]!.text += step.value.text;
  }
}
