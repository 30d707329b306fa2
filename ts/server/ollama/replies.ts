/** `POST /api/chat` and `/api/generate`: lines of JSON, or one object. */
import type * as z from 'zod';
import type { Message, ReplyResult } from '../../native.js';
import { generate, type Ask, type Prompt } from '../generation.js';
import { asHttpError, errorBody } from '../http-error.js';
import { json, route, type Call } from '../route.js';
import { StreamWriter } from '../stream-writer.js';
import { fromOllama, ollamaChatSchema, ollamaGenerateSchema } from './schemas.js';

type ChatInput = z.infer<typeof ollamaChatSchema>;
type GenerateInput = z.infer<typeof ollamaGenerateSchema>;

export const ollamaChatRoute = route<ChatInput>({
  method: 'POST',
  path: '/api/chat',
  access: 'all',
  style: 'ollama',
  runs: true,
  summary: 'Answers a conversation, in lines of JSON.',
  input: ollamaChatSchema,
  handle(call) {
    const messages = (call.input.messages ?? []).map(({ role, content }): Message => ({ role, content }));
    const prompt = messages.length > 0 ? { messages } : undefined;
    return reply(call, prompt, (content) => ({ message: { role: 'assistant', content } }));
  },
});

export const ollamaGenerateRoute = route<GenerateInput>({
  method: 'POST',
  path: '/api/generate',
  access: 'all',
  style: 'ollama',
  runs: true,
  summary: 'Answers a prompt, in lines of JSON.',
  input: ollamaGenerateSchema,
  handle: (call) => reply(call, promptOf(call.input), (response) => ({ response })),
});

function promptOf({ prompt, system, raw }: GenerateInput): Prompt | undefined {
  if (!prompt) return undefined;
  if (raw) return { text: prompt };
  const before: Message[] = system ? [{ role: 'system', content: system }] : [];
  return { messages: [...before, { role: 'user', content: prompt }] };
}

/** Answers; without anything to answer, says that the model is loaded, as Ollama's clients expect. */
async function reply(
  call: Call<ChatInput | GenerateInput>,
  prompt: Prompt | undefined,
  part: (text: string) => object,
): Promise<void> {
  const { input, server, identity, signal, response } = call;
  const ready = server.model(input.model);
  const head = () => ({ model: ready.served.id, created_at: new Date().toISOString() });
  if (!prompt) return json(response, { ...head(), ...part(''), done: true, done_reason: 'load' });
  const started = performance.now();
  const options = fromOllama(input.options);
  const ask: Ask = { ready, prompt, options, identity, signal, metrics: server.metrics };
  const last = (text: string, result: ReplyResult) => ({
    ...head(),
    ...part(text),
    done: true,
    ...endOf(result, performance.now() - started),
  });
  const streaming = input.stream !== false;
  let writer: StreamWriter | undefined;
  let said = '';
  const chunks = generate(ask);
  try {
    for (;;) {
      const step = await chunks.next();
      if (step.done && !streaming) return json(response, last(said, step.value));
      writer ??= streaming ? new StreamWriter(response, 'ndjson', server.limits['write-timeout']) : undefined;
      if (step.done) {
        void writer?.send(last('', step.value));
        return writer?.end();
      }
      if (!writer) said += step.value.text;
      else await writer.send({ ...head(), ...part(step.value.text), done: false });
    }
  } catch (error) {
    const known = asHttpError(error, ready.contextLength);
    if (!writer) throw known;
    if (known.status === 499 || response.destroyed) return writer.abandon();
    writer.fail(errorBody(known, 'ollama'));
  } finally {
    // a client that does not read leaves the reply in its middle: its place must not be lost
    await chunks.return(undefined as never);
  }
}

const ns = (ms: number) => Math.round(ms * 1e6);

/** Durations in nanoseconds. */
function endOf(result: ReplyResult, totalMs: number) {
  return {
    done_reason: result.finishReason === 'length' ? 'length' : 'stop',
    total_duration: ns(totalMs),
    load_duration: 0,
    prompt_eval_count: result.promptTokens,
    prompt_eval_duration: ns(result.promptMs),
    eval_count: result.completionTokens,
    eval_duration: ns(result.decodeMs),
  };
}
