/** The server, as the page uses it. */
import type { Message } from '../native.js';
import type { ErrorBody, SessionRequest, UiState } from '../server/page-state.js';
import { readEvents } from './sse.js';
import type { Sampling } from './state/settings.js';

/** A request that failed; `status` 0: no answer came. */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly code: string | undefined = undefined,
    readonly hint: string | undefined = undefined,
  ) {
    super(message);
  }
}

const gone = new ApiError('The server does not answer', 0, 'no_answer', 'is axllm still running there?');

/** How a reply stands, after each piece of it. */
export interface Progress {
  readonly text: string;
  readonly tokens: number;
  /** The place in the queue, from 1. */
  readonly queued?: number;
  readonly promptTokens?: number;
  readonly droppedTurns?: number;
  /** The server's own figures; before they come the page's clock has to do. */
  readonly ttftMs?: number;
  readonly tokensPerSecond?: number;
  readonly finish?: string;
}

interface ChunkBody {
  readonly error?: ErrorBody;
  readonly choices?: readonly {
    readonly delta?: { readonly content?: string };
    readonly finish_reason?: string | null;
  }[];
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number } | null;
  readonly timings?: Readonly<Record<string, number>>;
}

export async function openSession(key: string): Promise<void> {
  await post('/ui/session', { key } satisfies SessionRequest);
}

export async function fetchState(signal?: AbortSignal): Promise<UiState> {
  const response = await request('/ui/page', { signal: signal ?? null });
  return (await response.json()) as UiState;
}

/** The tokens of a text that is not sent yet. */
export async function countTokens(text: string, signal: AbortSignal): Promise<number> {
  const response = await post('/tokenize', { content: text }, signal);
  return ((await response.json()) as { tokens: unknown[] }).tokens.length;
}

/** One reply, piece by piece. A reply that ends without the server's word that it is whole is an error. */
export async function* streamReply(
  messages: readonly Message[],
  sampling: Sampling,
  signal: AbortSignal,
): AsyncGenerator<Progress, void> {
  const body = {
    messages,
    ...sampling,
    stream: true,
    stream_options: { include_usage: true },
    timings_per_token: true,
    on_overflow: 'drop',
  };
  const response = await post('/v1/chat/completions', body, signal);
  if (!response.body) throw gone;
  let progress: Progress = { text: '', tokens: 0 };
  try {
    for await (const sent of readEvents(response.body)) {
      if (sent.kind === 'comment') {
        const place = /^queued (\d+)$/.exec(sent.text);
        if (place) progress = { ...progress, queued: Number(place[1]) };
      } else if (sent.data === '[DONE]') {
        if (progress.finish === undefined) break;
        return;
      } else progress = advanced(progress, JSON.parse(sent.data) as ChunkBody);
      yield progress;
    }
  } catch (error) {
    if (error instanceof ApiError || signal.aborted) throw error;
    throw new ApiError('The connection broke in the middle of the reply', 0, 'broken', gone.hint);
  }
  throw new ApiError('The reply ended before it was complete', 0, 'incomplete');
}

function advanced(progress: Progress, { error, choices, usage, timings = {} }: ChunkBody): Progress {
  if (error) throw new ApiError(error.message, 200, error.code ?? undefined, error.hint);
  const [choice] = choices ?? [];
  const text = progress.text + (choice?.delta?.content ?? '');
  const finish = choice?.finish_reason ?? progress.finish;
  return {
    ...progress,
    text,
    queued: 0,
    tokens:
      usage?.completion_tokens ?? timings.predicted_n ?? progress.tokens + (choice?.delta?.content ? 1 : 0),
    ...(finish === undefined ? {} : { finish }),
    ...(usage ? { promptTokens: usage.prompt_tokens } : {}),
    ...(timings.ttft_ms === undefined ? {} : { ttftMs: timings.ttft_ms }),
    ...(timings.tokens_per_second === undefined ? {} : { tokensPerSecond: timings.tokens_per_second }),
    ...(timings.dropped_turns === undefined ? {} : { droppedTurns: timings.dropped_turns }),
  };
}

function post(path: string, body: object, signal: AbortSignal | null = null): Promise<Response> {
  const headers = { 'Content-Type': 'application/json' };
  return request(path, { method: 'POST', headers, body: JSON.stringify(body), signal });
}

async function request(path: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { ...init, credentials: 'same-origin', cache: 'no-store' });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw gone;
  }
  if (response.ok) return response;
  const { error } = (await response.json().catch(() => ({}))) as { error?: ErrorBody };
  const retry = response.headers.get('Retry-After');
  throw new ApiError(
    error?.message ?? `The server answered ${response.status}`,
    response.status,
    error?.code ?? undefined,
    error?.hint ?? (retry ? `try again in ${retry} s` : undefined),
  );
}
