/** What a stream can show: colour, log lines, and writing that reports its own failure. */
import { AxllmError } from './errors.js';
import { safeJson, sanitise } from './sanitise.js';

/** Environment variables, as in `process.env`. */
export type Env = Readonly<Record<string, string | undefined>>;

/** A stream to write on that may be a terminal. */
export type Output = NodeJS.WritableStream & { isTTY?: boolean };

/** Whether to colour what goes to `stream`: flag, FORCE_COLOR, NO_COLOR, TERM=dumb, terminal, in this order. */
export function wantsColour(stream: { isTTY?: boolean }, env: Env, flag?: boolean): boolean {
  if (flag !== undefined) return flag;
  if (env.FORCE_COLOR) return env.FORCE_COLOR !== '0';
  if (env.NO_COLOR) return false;
  if (isDumb(env)) return false;
  return stream.isTTY === true;
}

/** The terminal says that it knows no escape sequences. */
export function isDumb(env: Env): boolean {
  return env.TERM === 'dumb';
}

const codes = { red: 31, green: 32, yellow: 33, cyan: 36 } as const;

/** `text` in a colour, or as it is when colour is off. */
export function paint(text: string, colour: keyof typeof codes, on: boolean): string {
  return on ? `\u001b[${codes[colour]}m${text}\u001b[0m` : text;
}

/** Writes and waits, so that a full disk or a closed pipe is noticed: `EPIPE` as it is, the rest as an error to show. */
export function write(stream: NodeJS.WritableStream, text: string): Promise<void> {
  if (text === '') return Promise.resolve();
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => (error ? reject(unwritable(stream, error)) : resolve()));
  });
}

/** One JSON value and a newline; `indent` where people may read it. */
export function writeJson(stream: NodeJS.WritableStream, value: unknown, indent?: number): Promise<void> {
  return write(stream, `${safeJson(value, indent)}\n`);
}

function unwritable(stream: NodeJS.WritableStream & { fd?: number }, cause: NodeJS.ErrnoException): Error {
  if (cause.code === undefined || cause.code === 'EPIPE') return cause;
  const name = stream.fd === 2 ? 'stderr' : 'stdout';
  return new AxllmError(cause.code.toLowerCase(), `${name} cannot be written: ${cause.message}`, {
    cause,
    hint: 'see where it was sent to',
  });
}

/** Least important first. */
export const logLevels = ['TRACE', 'DEBUG', 'INFO', 'WARNING', 'ERROR'] as const;
export type LogLevel = (typeof logLevels)[number];

/** Where talk goes; one line each, whatever the text holds. */
export interface Log {
  debug(text: string): void;
  info(text: string): void;
  warning(text: string): void;
}

/** A log that nobody reads. */
export const silentLog: Log = { debug: () => undefined, info: () => undefined, warning: () => undefined };

/** Text that cannot start a second log line or drive the terminal. */
export function oneLine(text: string): string {
  return sanitise(text.replace(/\s*\r?\n\s*/g, ' '));
}
