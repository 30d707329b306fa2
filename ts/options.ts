/** THE table of options: each is one row here, and flags, variables, config keys and help derive from it. */

/** The two pipelines of the guide, and `auto`: the AIPU when a device answers, else the CPU. */
export const pipelines = ['auto', 'transformers-aipu', 'transformers'] as const;
export type Pipeline = (typeof pipelines)[number];

export const overflowPolicies = ['drop', 'error'] as const;

/** The commands that take options; `run` is also what `axllm MODEL` means. */
export type CommandName = 'run' | 'compile' | 'devices';

/** One option. `count` counts how often the flag is given; `list` may be given several times. */
export interface OptionRow {
  readonly type: 'string' | 'number' | 'integer' | 'boolean' | 'count' | 'list';
  readonly help: string;
  readonly group: 'Model' | 'Reply' | 'Chat' | 'Output' | 'Files';
  readonly commands: readonly CommandName[];
  readonly alias?: readonly string[];
  readonly choices?: readonly string[];
  readonly default?: string | number | boolean;
  /** The environment variables read, the first set one wins. */
  readonly env: readonly string[];
  /** The key in the config file and in a card's `options`. */
  readonly key: string;
  readonly min?: number;
  readonly max?: number;
}

const run = ['run'] as const;
const every = ['run', 'compile', 'devices'] as const;

export const optionTable = {
  prompt: {
    type: 'string',
    group: 'Reply',
    commands: run,
    env: [],
    key: 'prompt',
    help: 'answer this once and exit; - reads it from stdin',
  },
  pipeline: {
    type: 'string',
    group: 'Model',
    commands: run,
    env: ['AXLLM_PIPELINE'],
    key: 'pipeline',
    choices: pipelines,
    default: 'auto',
    help: 'the AIPU, the CPU, or the AIPU if one answers',
  },
  devices: {
    type: 'string',
    alias: ['d'],
    group: 'Model',
    commands: ['run', 'devices'],
    env: ['AXELERA_DEVICE_SELECTOR'],
    key: 'devices',
    help: 'a device by index (-d0) or name (-dmetis-0:1:0); sim or sim:0 for the simulated card',
  },
  'tokenizer-dir': {
    type: 'string',
    group: 'Model',
    commands: run,
    env: ['AXLLM_TOKENIZER_DIR'],
    key: 'tokenizer_dir',
    help: "tokenizer files to use instead of the card's",
  },
  threads: {
    type: 'integer',
    group: 'Model',
    commands: run,
    env: ['AXLLM_THREADS'],
    key: 'threads',
    min: 1,
    max: 1024,
    help: 'CPU threads (default: one a core)',
  },
  isa: {
    type: 'string',
    group: 'Model',
    commands: run,
    env: ['AXLLM_ISA'],
    key: 'isa',
    help: 'CPU instruction set to use instead of the best one found',
  },
  'system-prompt': {
    type: 'string',
    alias: ['system', 's'],
    group: 'Reply',
    commands: run,
    env: ['AXLLM_SYSTEM_PROMPT'],
    key: 'system_prompt',
    help: "who the assistant is (default: the card's)",
  },
  temperature: {
    type: 'number',
    alias: ['temp', 't'],
    group: 'Reply',
    commands: run,
    env: ['AXLLM_TEMPERATURE'],
    key: 'temperature',
    default: 0,
    min: 0,
    max: 100,
    help: '0 always gives the same reply; 0.7 is a good balance',
  },
  'top-k': {
    type: 'integer',
    group: 'Reply',
    commands: run,
    env: ['AXLLM_TOP_K'],
    key: 'top_k',
    min: 0,
    help: 'draw among the k likeliest tokens only (0: all)',
  },
  'top-p': {
    type: 'number',
    group: 'Reply',
    commands: run,
    env: ['AXLLM_TOP_P'],
    key: 'top_p',
    min: 0,
    max: 1,
    help: 'draw among the likeliest tokens that make up this share',
  },
  'min-p': {
    type: 'number',
    group: 'Reply',
    commands: run,
    env: ['AXLLM_MIN_P'],
    key: 'min_p',
    min: 0,
    max: 1,
    help: 'drop tokens below this share of the likeliest one',
  },
  'repeat-penalty': {
    type: 'number',
    group: 'Reply',
    commands: run,
    env: ['AXLLM_REPEAT_PENALTY'],
    key: 'repeat_penalty',
    min: 0,
    max: 10,
    help: 'above 1: tokens already seen become less likely',
  },
  'presence-penalty': {
    type: 'number',
    group: 'Reply',
    commands: run,
    env: ['AXLLM_PRESENCE_PENALTY'],
    key: 'presence_penalty',
    min: -2,
    max: 2,
    help: 'subtracted from the logit of each token already used',
  },
  'frequency-penalty': {
    type: 'number',
    group: 'Reply',
    commands: run,
    env: ['AXLLM_FREQUENCY_PENALTY'],
    key: 'frequency_penalty',
    min: -2,
    max: 2,
    help: 'subtracted once for each time that a token was used',
  },
  seed: {
    type: 'integer',
    group: 'Reply',
    commands: run,
    env: ['AXLLM_SEED'],
    key: 'seed',
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    help: 'makes a reply with temperature repeatable',
  },
  'max-tokens': {
    type: 'integer',
    alias: ['n'],
    group: 'Reply',
    commands: ['run', 'compile'],
    env: ['AXLLM_MAX_TOKENS'],
    key: 'max_tokens',
    min: 1,
    help: 'length limit: of a reply, or with compile of the context',
  },
  stop: {
    type: 'list',
    group: 'Reply',
    commands: run,
    env: ['AXLLM_STOP'],
    key: 'stop',
    help: 'end the reply before this text (repeatable)',
  },
  history: {
    type: 'boolean',
    group: 'Chat',
    commands: run,
    env: ['AXLLM_HISTORY'],
    key: 'history',
    default: true,
    help: 'remember earlier turns; --no-history makes every message stand alone',
  },
  'on-overflow': {
    type: 'string',
    group: 'Chat',
    commands: run,
    env: ['AXLLM_ON_OVERFLOW'],
    key: 'on_overflow',
    choices: overflowPolicies,
    default: 'drop',
    help: 'when the context is full: drop the earliest turns and say so, or fail',
  },
  'show-stats': {
    type: 'boolean',
    group: 'Output',
    commands: run,
    env: ['AXLLM_SHOW_STATS'],
    key: 'show_stats',
    default: false,
    help: 'print timings after each reply',
  },
  color: {
    type: 'boolean',
    group: 'Output',
    commands: every,
    env: [],
    key: 'color',
    help: 'colours, or none with --no-color (default: on a terminal)',
  },
  verbose: {
    type: 'count',
    alias: ['v'],
    group: 'Output',
    commands: every,
    env: [],
    key: 'verbose',
    help: 'say more on stderr',
  },
  quiet: {
    type: 'count',
    alias: ['q'],
    group: 'Output',
    commands: every,
    env: [],
    key: 'quiet',
    help: 'say less on stderr',
  },
  'build-root': {
    type: 'string',
    group: 'Files',
    commands: ['run', 'compile'],
    env: ['AXELERA_BUILD_ROOT'],
    key: 'build_root',
    help: 'where downloads live (default: ~/.cache/axllm)',
  },
  out: {
    type: 'string',
    group: 'Files',
    commands: ['compile'],
    env: [],
    key: 'out',
    help: 'folder to write (default: in the build root, where -d sim looks)',
  },
  offline: {
    type: 'boolean',
    group: 'Files',
    commands: ['run', 'compile'],
    env: ['AXLLM_OFFLINE', 'HF_HUB_OFFLINE'],
    key: 'offline',
    default: false,
    help: 'never use the network',
  },
} as const satisfies Record<string, OptionRow>;

export type OptionName = keyof typeof optionTable;

type ValueOf<Row> = Row extends { choices: readonly (infer Choice)[] }
  ? Choice
  : Row extends { type: 'number' | 'integer' | 'count' }
    ? number
    : Row extends { type: 'boolean' }
      ? boolean
      : Row extends { type: 'list' }
        ? string[]
        : string;

/** Every option's value; `undefined` where nobody gave one and the table has no default. */
export type OptionValues = {
  [Name in OptionName]:
    | ValueOf<(typeof optionTable)[Name]>
    | ((typeof optionTable)[Name] extends { default: unknown } ? never : undefined);
};

/** The rows that `command` takes, in the table's order. */
export function optionsOf(command: CommandName): [OptionName, OptionRow][] {
  const rows = Object.entries(optionTable) as [OptionName, OptionRow][];
  return rows.filter(([, row]) => row.commands.includes(command));
}
