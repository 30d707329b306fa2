/** What an {@link AxllmError} carries beside its text. */
export interface ErrorDetails {
  /** What the user can do about it, one sentence. */
  hint?: string | undefined;
  cause?: unknown;
  /** Of a prompt that does not fit (`context_length_exceeded`). */
  counts?: PromptCounts | undefined;
  /** Which of several inputs is at fault, from 0. */
  index?: number | undefined;
}

/** Why a prompt does not fit. */
export interface PromptCounts {
  /** Its tokens; where it is far too long, at least so many. */
  readonly promptTokens: number;
  /** Tokens of the context that are not kept for the reply. */
  readonly room: number;
}

/** The one error that this package throws. Switch on `code`, which is stable; `message` is for people. */
export class AxllmError extends Error {
  override readonly name = 'AxllmError';
  /** A stable word such as `device_in_use` or `unknown_model`; the same in Rust, on stderr and over HTTP. */
  readonly code: string;
  readonly hint: string | undefined;
  /** Of a prompt that does not fit (`context_length_exceeded`). */
  readonly counts: PromptCounts | undefined;
  /** Which of several inputs is at fault, from 0. */
  readonly index: number | undefined;

  constructor(code: string, message: string, { hint, cause, counts, index }: ErrorDetails = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.hint = hint;
    this.counts = counts;
    this.index = index;
  }
}

/** A command line that cannot be understood: exit status 2 instead of 1. */
export class UsageError extends AxllmError {
  constructor(message: string, hint = 'axllm --help lists the options') {
    super('usage', message, { hint });
  }
}

/** Why a run ends early without having failed: a signal, or a reader that went away. */
export class Stopped extends Error {
  override readonly name = 'AbortError';
  constructor(
    readonly exitCode: number,
    reason: string,
  ) {
    super(reason);
  }
}

/** An error that the output already tells; only the exit status is left to say it. */
export class AlreadyReported extends Error {}

/** Any thrown value as an {@link AxllmError}; system errors keep their own code in lower case. */
export function asAxllmError(error: unknown): AxllmError {
  if (error instanceof AxllmError) return error;
  const text = error instanceof Error ? error.message : String(error);
  const code = error instanceof Error && 'code' in error ? String(error.code).toLowerCase() : 'internal';
  return new AxllmError(code, text, { cause: error, hint: systemHints[code] });
}

const systemHints: Record<string, string> = {
  enospc: 'free some disk space, or choose another place with --build-root',
  eacces: 'check who owns the folder, or choose another place with --build-root',
  edquot: 'free some of your disk quota, or choose another place with --build-root',
  eio: 'the disk reports a fault; see what the system log says of it',
  emfile: 'raise the limit of open files (ulimit -n)',
  erofs: 'the folder is read-only; choose another place with --build-root',
};
