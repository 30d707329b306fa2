/** What a client may take of the server; each is a row of the table of options. */
import type { OptionValues } from '../options.js';
import { resolve } from '../resolve.js';

const names = [
  'parallel',
  'queue',
  'per-client',
  'max-sockets',
  'max-body',
  'max-headers',
  'header-timeout',
  'body-timeout',
  'idle-timeout',
  'write-timeout',
  'reply-timeout',
  'drain-timeout',
] as const;

/** By the names of the options: counts, bytes, and seconds. */
export type Limits = Readonly<Pick<OptionValues, (typeof names)[number]>>;

/** The limits among the values of all options. */
export function limitsOf(values: OptionValues): Limits {
  return Object.fromEntries(names.map((name) => [name, values[name]])) as unknown as Limits;
}

/** The table's own values. */
export function defaultLimits(): Limits {
  return limitsOf(resolve('serve', {}).values);
}
