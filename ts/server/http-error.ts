/** Errors as HTTP says them: a status, and a body in OpenAI's or Ollama's words. */
import { asAxllmError, type AxllmError } from '../errors.js';

/** What a client is told beside the text. */
export interface HttpErrorDetails {
  /** OpenAI's `code`; a stable word. */
  readonly code?: string;
  /** The parameter at fault, as OpenAI names it: `messages[0].content`. */
  readonly param?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** More fields of the error object. */
  readonly extra?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** A request that is not answered as it hoped. */
export class HttpError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly details: HttpErrorDetails = {},
  ) {
    super(message, { cause: details.cause });
  }

  get type(): string {
    if (this.status === 401) return 'authentication_error';
    if (this.status === 403) return 'permission_error';
    if (this.status === 429) return 'rate_limit_error';
    return this.status >= 500 ? 'server_error' : 'invalid_request_error';
  }
}

/** In which words a route speaks. */
export type Style = 'openai' | 'ollama';

/** The body of an error. */
export function errorBody(error: HttpError, style: Style): object {
  if (style === 'ollama') return { error: error.message };
  const { code = null, param = null, extra } = error.details;
  return { error: { message: error.message, type: error.type, param, code, ...extra } };
}

/** Whatever went wrong, as a client is told it; `contextLength` is the model's, where one was asked. */
export function asHttpError(error: unknown, contextLength?: number): HttpError {
  if (error instanceof HttpError) return error;
  const known = asAxllmError(error);
  const { code, message, hint } = known;
  const text = hint ? `${message}; ${hint}` : message;
  const status = statuses[code] ?? 500;
  // a system error's text may name files
  if (status === 500 && code !== 'internal' && error !== known) {
    return new HttpError(500, 'The server met an error of its own', { code: 'internal', cause: error });
  }
  const param = code === 'invalid_messages' ? { param: 'messages' } : {};
  return new HttpError(status, text, { code, ...param, cause: error, extra: countsOf(known, contextLength) });
}

const statuses: Record<string, number> = {
  context_length_exceeded: 400,
  invalid_messages: 400,
  invalid_option: 400,
  template_failed: 400,
  unknown_token: 400,
  device_failed: 503,
  device_in_use: 503,
  // not 501: clients would try again, and show a fault of the server's
  embeddings_unsupported: 400,
  disposed: 503,
};

function countsOf({ counts }: AxllmError, contextLength: number | undefined) {
  if (!counts) return undefined;
  return { n_prompt_tokens: counts.promptTokens, n_ctx: contextLength ?? counts.room };
}
