/** What a row of the table of options says, and what follows from it. */

/** The commands that take options; `run` is also what `axllm MODEL` and `axllm chat` mean. */
export type CommandName =
  | 'run'
  | 'serve'
  | 'compile'
  | 'extract-embeddings'
  | 'devices'
  | 'doctor'
  | 'bench'
  | 'config'
  | 'pull'
  | 'list'
  | 'show'
  | 'verify'
  | 'rm';

/** Headings of `--help`, in its order. The rows of `Sampling` are also what the HTTP interface takes. */
export const groups = [
  'Model',
  'Reply',
  'Sampling',
  'Chat',
  'Server',
  'Output',
  'Logging',
  'Files',
  'Benchmark',
] as const;
export type Group = (typeof groups)[number];

/** One option as the table writes it. `count` counts how often the flag is given; `list` may be repeated. */
export interface OptionSpec {
  readonly type: 'string' | 'number' | 'integer' | 'boolean' | 'count' | 'list';
  readonly help: string;
  readonly group: Group;
  readonly commands: readonly CommandName[];
  readonly alias?: readonly string[];
  readonly choices?: readonly string[];
  readonly default?: string | number | boolean;
  /**
   * Its value when the flag stands without one, `false` for none at all; absent: the flag needs a value. A variable or
   * the config file changes a text here, and does not stand for the flag.
   */
  readonly bare?: string | false;
  /** Names that others gave the variable; they are read before `AXLLM_<NAME>`. */
  readonly env?: readonly string[];
  /** A card may set it: what concerns the model, never files or the network. */
  readonly card?: true;
  /** Never shown. */
  readonly secret?: true;
  readonly min?: number;
  readonly max?: number;
}

/** A row with what follows from its name. */
export interface OptionRow extends OptionSpec {
  /** The environment variables read, the first set one wins. */
  readonly env: readonly string[];
  /** The key in the config file and in a card's `options`. */
  readonly key: string;
}

/** Fills in the variables and the key: `max-tokens` is `AXLLM_MAX_TOKENS` and `max_tokens`. */
export function completeRow(name: string, spec: OptionSpec): OptionRow {
  const key = name.replaceAll('-', '_');
  return { ...spec, key, env: [...(spec.env ?? []), `AXLLM_${key.toUpperCase()}`] };
}
