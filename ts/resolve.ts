/** From flags, environment, config file and card to option values: pure, and the same checks for each source. */
import { UsageError } from './errors.js';
import { allOptions, optionsOf } from './options.js';
import type { CommandName, OptionName, OptionRow, OptionValues } from './options.js';
import type { Env } from './terminal.js';

/** Where a value came from, first wins. */
export type Source = 'flag' | 'env' | 'config' | 'card' | 'default';

/** The layers that {@link resolve} looks through. */
export interface Layers {
  readonly flags?: Readonly<Record<string, unknown>>;
  readonly env?: Env;
  /** The config file's values, by config key. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** A card's `options`, by config key. */
  readonly card?: Readonly<Record<string, unknown>>;
}

export interface Resolved {
  readonly values: OptionValues;
  readonly sources: Readonly<Partial<Record<OptionName, Source>>>;
  /** What the source calls it: the variable, or the key. */
  readonly labels: Readonly<Partial<Record<OptionName, string>>>;
}

/** The value of each option that `command` takes, and where it came from. */
export function resolve(command: CommandName, layers: Layers): Resolved {
  const values: Record<string, unknown> = {};
  const sources: Partial<Record<OptionName, Source>> = {};
  const labels: Partial<Record<OptionName, string>> = {};
  for (const [name, row] of optionsOf(command)) {
    const [source, label, raw] = find(name, row, layers);
    values[name] = raw === undefined ? undefined : check(label, row, raw);
    if (raw === undefined) continue;
    sources[name] = source;
    labels[name] = label;
  }
  return { values: values as OptionValues, sources, labels };
}

function find(
  name: OptionName,
  row: OptionRow,
  { flags = {}, env = {}, config = {}, card = {} }: Layers,
): [Source, string, unknown] {
  // yargs counts to 0 where the flag is not given
  const given = row.type === 'count' && flags[name] === 0 ? undefined : flags[name];
  // given several times, the last one counts
  const flag = Array.isArray(given) && row.type !== 'list' ? (given.at(-1) as unknown) : given;
  const bare = typeof row.bare === 'string' && flag === '';
  if (flag !== undefined && !bare) return ['flag', `--${name}`, flag];
  const preset = elsewhere(row, { env, config, card });
  // of a flag that may stand alone, all others say only what it means then
  if (bare) return preset ?? ['flag', `--${name}`, row.bare];
  return typeof row.bare === 'string'
    ? ['default', name, undefined]
    : (preset ?? ['default', name, row.default]);
}

function elsewhere(
  row: OptionRow,
  { env = {}, config = {}, card = {} }: Omit<Layers, 'flags'>,
): [Source, string, unknown] | undefined {
  const variable = row.env.find((each) => env[each]);
  if (variable) return ['env', variable, env[variable]];
  if (config[row.key] !== undefined) return ['config', `the config file's ${row.key}`, config[row.key]];
  if (row.card && card[row.key] !== undefined) return ['card', `the card's ${row.key}`, card[row.key]];
  return undefined;
}

/** `raw` as the row wants it; `label` names it in the complaint. */
export function check(label: string, row: OptionRow, raw: unknown): unknown {
  switch (row.type) {
    case 'string':
      return checkChoice(label, row, checkText(label, raw));
    case 'list':
      return (Array.isArray(raw) ? raw : [raw]).map((each) => checkText(label, each));
    case 'boolean':
      return checkBoolean(label, raw);
    case 'number':
    case 'integer':
    case 'count':
      return checkNumber(label, row, raw);
    default:
      return row.type satisfies never;
  }
}

function checkText(label: string, raw: unknown): string {
  if (typeof raw === 'string') return raw;
  if (typeof raw === 'number') return String(raw);
  throw new UsageError(`${label} takes one value, not ${JSON.stringify(raw)}`);
}

function checkChoice(label: string, row: OptionRow, text: string): string {
  if (!row.choices) return text;
  const known = row.choices.find((choice) => choice.toLowerCase() === text.toLowerCase());
  if (known !== undefined) return known;
  throw new UsageError(`${label} is one of ${row.choices.join(', ')}, not ${JSON.stringify(text)}`);
}

function checkBoolean(label: string, raw: unknown): boolean {
  if (typeof raw === 'boolean') return raw;
  const text = String(raw).toLowerCase();
  if (['1', 'true', 'yes', 'on'].includes(text)) return true;
  if (['0', 'false', 'no', 'off'].includes(text)) return false;
  throw new UsageError(`${label} is true or false, not ${JSON.stringify(raw)}`);
}

function checkNumber(label: string, row: OptionRow, raw: unknown): number {
  const value = typeof raw === 'string' && raw.trim() === '' ? Number.NaN : Number(raw);
  const kind = row.type === 'number' ? 'a number' : 'a whole number';
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = row;
  const fits = Number.isFinite(value) && (row.type === 'number' || Number.isSafeInteger(value));
  if (fits && value >= min && value <= max) return value;
  throw new UsageError(`${label} is ${kind}${range(row)}, not ${JSON.stringify(raw)}`);
}

function range({ min, max }: OptionRow): string {
  if (min !== undefined && max !== undefined) return ` from ${min} to ${max}`;
  if (min !== undefined) return ` of at least ${min}`;
  return '';
}

/**
 * The command line as yargs understands it: `-dmetis-0:1:0` becomes `-d=metis-0:1:0`, for yargs takes it for a bundle of
 * flags; a flag that may stand alone and then means nothing (`--prompt`) goes where no value follows.
 */
export function normalise(argv: readonly string[]): string[] {
  const end = argv.indexOf('--');
  return argv.flatMap((word, at) => {
    if (end !== -1 && at > end) return word;
    if (word.startsWith('--')) {
      const row = allOptions().find(([name]) => word === `--${name}`);
      return row?.[1].bare === false && !isValue(argv[at + 1]) ? [] : word;
    }
    const match = /^-([a-z])=?(.+)$/s.exec(word);
    if (!match || Number.isFinite(Number(word))) return word;
    const [, letter, value] = match;
    const row = allOptions().find(([, { alias }]) => alias?.includes(letter!));
    if (!row || row[1].type === 'count' || row[1].type === 'boolean') return word;
    return `-${letter}=${value}`;
  });
}

/** As yargs sees it: not another flag, but `-` and negative numbers are values. */
function isValue(word: string | undefined): boolean {
  return word !== undefined && (word === '-' || !word.startsWith('-') || Number.isFinite(Number(word)));
}
