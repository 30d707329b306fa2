/** THE table of options: each is one row here; flags, variables, config keys, help and docs derive from it. */
import { completeRow, type CommandName, type OptionRow, type OptionSpec } from './option-row.js';
import { logLevels } from './terminal.js';

export type { CommandName, OptionRow } from './option-row.js';

/** The two pipelines of the guide, and `auto`: the AIPU when a device answers, else the CPU. */
export const pipelines = ['auto', 'transformers-aipu', 'transformers'] as const;
export type Pipeline = (typeof pipelines)[number];

export const overflowPolicies = ['drop', 'error'] as const;

/** What `--ui` takes; `_simple` is the plain page with a temperature slider. */
export const uiModes = ['share', 'local', 'share_simple', 'local_simple'] as const;

const run = ['run'] as const;
/** The commands that talk to a model. */
const talks = ['run', 'serve'] as const;
/** Those that listen: `run` does with `--ui`. */
const serving = ['run', 'serve'] as const;
/** The commands that load one. */
const loads = ['run', 'serve', 'bench', 'doctor'] as const;
const every = [
  ...loads,
  'compile',
  'extract-embeddings',
  'devices',
  'config',
  'pull',
  'list',
  'show',
  'verify',
  'rm',
] as const satisfies readonly CommandName[];

export const optionTable = {
  model: {
    type: 'string',
    alias: ['m'],
    group: 'Model',
    commands: ['run', 'serve', 'bench', 'doctor'],
    help: "a card's name, the path of a card, a .gguf file or a folder, or OWNER/NAME of the hub",
  },
  pipeline: {
    type: 'string',
    group: 'Model',
    commands: loads,
    choices: pipelines,
    default: 'auto',
    help: 'the AIPU, the CPU, or the AIPU if one answers',
  },
  devices: {
    type: 'string',
    alias: ['d'],
    group: 'Model',
    commands: [...loads, 'devices', 'pull'],
    env: ['AXELERA_DEVICE_SELECTOR'],
    help: 'a device by index (-d0) or name (-dmetis-0:1:0), or sim for the simulated card',
  },
  'tokenizer-dir': {
    type: 'string',
    group: 'Model',
    commands: loads,
    help: "tokenizer files to use instead of the card's",
  },
  threads: {
    type: 'integer',
    group: 'Model',
    commands: loads,
    min: 1,
    max: 1024,
    help: 'CPU threads (default: one a core)',
  },
  cpu: {
    type: 'string',
    group: 'Model',
    commands: loads,
    choices: ['scalar', 'avx2', 'avxvnni', 'avx512', 'avx512vnni'],
    help: 'CPU instruction set to use instead of the best one found',
  },
  dtype: {
    type: 'string',
    group: 'Model',
    commands: loads,
    choices: ['f32', 'bf16', 'q8', 'q4'],
    help: 'what the CPU rounds weights to (default: as a GGUF file has them, q8 for a folder)',
  },
  prompt: {
    type: 'string',
    group: 'Reply',
    commands: run,
    bare: false,
    help: 'answer this once and exit; - reads it from stdin',
  },
  'system-prompt': {
    type: 'string',
    alias: ['system', 's'],
    group: 'Reply',
    commands: talks,
    card: true,
    help: "who the assistant is (default: the card's)",
  },
  'max-tokens': {
    type: 'integer',
    alias: ['n'],
    group: 'Reply',
    commands: [...talks, 'compile'],
    min: 1,
    card: true,
    help: 'length limit: of a reply, or with compile of the context',
  },
  stop: {
    type: 'list',
    group: 'Reply',
    commands: talks,
    card: true,
    help: 'end the reply before this text (repeatable)',
  },
  temperature: {
    type: 'number',
    alias: ['temp', 't'],
    group: 'Sampling',
    commands: talks,
    default: 0,
    min: 0,
    max: 100,
    card: true,
    help: '0 always gives the same reply; 0.7 is a good balance',
  },
  'top-k': {
    type: 'integer',
    group: 'Sampling',
    commands: talks,
    min: 0,
    card: true,
    help: 'draw among the k likeliest tokens only (0: all)',
  },
  'top-p': {
    type: 'number',
    group: 'Sampling',
    commands: talks,
    min: 0,
    max: 1,
    card: true,
    help: 'draw among the likeliest tokens that make up this share',
  },
  'min-p': {
    type: 'number',
    group: 'Sampling',
    commands: talks,
    min: 0,
    max: 1,
    card: true,
    help: 'drop tokens below this share of the likeliest one',
  },
  'repeat-penalty': {
    type: 'number',
    group: 'Sampling',
    commands: talks,
    min: 0,
    max: 10,
    card: true,
    help: 'above 1: tokens already seen become less likely',
  },
  'presence-penalty': {
    type: 'number',
    group: 'Sampling',
    commands: talks,
    min: -2,
    max: 2,
    card: true,
    help: 'subtracted from the logit of each token already used',
  },
  'frequency-penalty': {
    type: 'number',
    group: 'Sampling',
    commands: talks,
    min: -2,
    max: 2,
    card: true,
    help: 'subtracted once for each time that a token was used',
  },
  seed: {
    type: 'integer',
    group: 'Sampling',
    commands: talks,
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
    help: 'makes a reply with temperature repeatable',
  },
  history: {
    type: 'boolean',
    group: 'Chat',
    commands: talks,
    default: true,
    card: true,
    help: 'remember earlier turns; --no-history makes every message stand alone',
  },
  'on-overflow': {
    type: 'string',
    group: 'Chat',
    commands: talks,
    choices: overflowPolicies,
    default: 'drop',
    card: true,
    help: 'when the context is full: drop the earliest turns and say so, or fail',
  },
  'rich-cli': {
    type: 'boolean',
    group: 'Chat',
    commands: run,
    default: false,
    help: 'full-screen chat with bubbles and Markdown',
  },
  save: {
    type: 'boolean',
    group: 'Chat',
    commands: run,
    default: true,
    help: 'keep the input history; --no-save leaves no trace',
  },
  ui: {
    type: 'string',
    group: 'Server',
    commands: run,
    choices: uiModes,
    bare: 'share',
    help: 'chat in the browser',
  },
  'share-ssh': {
    type: 'string',
    group: 'Server',
    commands: run,
    help: 'make the public link by a remote forward of this SSH server: USER@HOST',
  },
  'share-command': {
    type: 'string',
    group: 'Server',
    commands: run,
    help: 'make the public link by this command: it forwards to 127.0.0.1:{port} and prints the address',
  },
  'share-sessions': {
    type: 'integer',
    group: 'Server',
    commands: run,
    default: 10,
    min: 1,
    max: 10_000,
    help: 'browsers at once on a public link; one more ends the one that was quiet for longest',
  },
  'share-expiry': {
    type: 'number',
    group: 'Server',
    commands: run,
    default: 72,
    min: 0.001,
    max: 168,
    help: 'hours that a public link holds',
  },
  port: {
    type: 'integer',
    group: 'Server',
    commands: serving,
    default: 7860,
    min: 0,
    max: 65535,
    help: 'first port tried; if it is taken, the next free one',
  },
  host: {
    type: 'string',
    group: 'Server',
    commands: serving,
    default: '127.0.0.1',
    help: 'address to listen on',
  },
  'api-key': {
    type: 'string',
    group: 'Server',
    commands: serving,
    secret: true,
    help: 'clients must send this key; without one, one is made where --host is not this machine alone',
  },
  'allow-host': {
    type: 'list',
    group: 'Server',
    commands: serving,
    help: 'a name by which clients may reach the server, such as box.lan:7860 (repeatable)',
  },
  'allow-origin': {
    type: 'list',
    group: 'Server',
    commands: serving,
    help: 'an origin whose pages may use the server, such as http://localhost:3000 (repeatable)',
  },
  parallel: {
    type: 'integer',
    group: 'Server',
    commands: serving,
    default: 8,
    min: 1,
    max: 256,
    help: 'replies at once on the CPU, each with a KV cache; a device answers one at a time',
  },
  queue: {
    type: 'integer',
    group: 'Server',
    commands: serving,
    default: 64,
    min: 0,
    max: 1000000,
    help: 'requests that may wait for their turn; one more is answered 429',
  },
  'per-client': {
    type: 'integer',
    group: 'Server',
    commands: serving,
    default: 4,
    min: 1,
    max: 1_000_000,
    help: 'requests for the model at once from one address of another machine; one more is answered 429',
  },
  'max-sockets': {
    type: 'integer',
    group: 'Server',
    commands: serving,
    default: 256,
    min: 1,
    max: 1000000,
    help: 'connections served; one more is answered 429',
  },
  'max-body': {
    type: 'integer',
    group: 'Server',
    commands: serving,
    default: 1_048_576,
    min: 1,
    max: 2 ** 30,
    help: 'bytes of a request body',
  },
  'max-headers': {
    type: 'integer',
    group: 'Server',
    commands: serving,
    default: 16_384,
    min: 1024,
    max: 2 ** 20,
    help: 'bytes of a request head',
  },
  'header-timeout': {
    type: 'number',
    group: 'Server',
    commands: serving,
    default: 10,
    min: 0.1,
    max: 86400,
    help: 'seconds for a request head to come',
  },
  'body-timeout': {
    type: 'number',
    group: 'Server',
    commands: serving,
    default: 30,
    min: 0.1,
    max: 86400,
    help: 'seconds for a request body to come',
  },
  'idle-timeout': {
    type: 'number',
    group: 'Server',
    commands: serving,
    default: 5,
    min: 0.1,
    max: 86400,
    help: 'seconds that a connection may stay without a request',
  },
  'write-timeout': {
    type: 'number',
    group: 'Server',
    commands: serving,
    default: 30,
    min: 0.1,
    max: 86400,
    help: 'seconds for a client to take what it is sent',
  },
  'reply-timeout': {
    type: 'number',
    group: 'Server',
    commands: serving,
    default: 600,
    min: 0.1,
    max: 864000,
    help: 'seconds for one reply',
  },
  'drain-timeout': {
    type: 'number',
    group: 'Server',
    commands: serving,
    default: 10,
    min: 0,
    max: 86400,
    help: 'seconds for replies to end after SIGTERM',
  },
  json: {
    type: 'boolean',
    group: 'Output',
    commands: every,
    default: false,
    help: 'print JSON; errors too',
  },
  stream: {
    type: 'boolean',
    group: 'Output',
    commands: run,
    help: 'print the reply as it comes; --no-stream prints it whole (default: on, with --json off)',
  },
  raw: {
    type: 'boolean',
    group: 'Output',
    commands: run,
    default: false,
    help: "print the model's text as it is, with what could drive a terminal",
  },
  'show-stats': {
    type: 'boolean',
    group: 'Output',
    commands: run,
    default: false,
    help: 'print timings after each reply; on the AIPU also CPU and temperature',
  },
  'show-cpu-usage': {
    type: 'boolean',
    group: 'Output',
    commands: run,
    help: 'print the CPU share after each reply (default: with --show-stats on the AIPU)',
  },
  'show-temp': {
    type: 'boolean',
    group: 'Output',
    commands: run,
    help: 'print the core temperature after each reply (default: with --show-stats on the AIPU)',
  },
  color: {
    type: 'boolean',
    group: 'Output',
    commands: every,
    help: 'colours, or none with --no-color (default: on a terminal)',
  },
  'help-network': {
    type: 'boolean',
    group: 'Output',
    commands: run,
    help: 'print the names of all models',
  },
  verbose: {
    type: 'count',
    alias: ['v'],
    group: 'Logging',
    commands: every,
    help: 'say more on stderr (repeatable)',
  },
  quiet: {
    type: 'count',
    alias: ['q'],
    group: 'Logging',
    commands: every,
    help: 'say less on stderr (repeatable)',
  },
  loglevel: {
    type: 'string',
    group: 'Logging',
    commands: every,
    choices: logLevels,
    default: 'INFO',
    help: 'least important lines to print; -v and -q count from here',
  },
  logfile: {
    type: 'string',
    group: 'Logging',
    commands: every,
    help: 'also append the log to this file',
  },
  logtimestamp: {
    type: 'boolean',
    group: 'Logging',
    commands: every,
    default: false,
    help: 'begin each log line with the time',
  },
  'brief-logging': {
    type: 'boolean',
    group: 'Logging',
    commands: every,
    default: false,
    help: 'log the text alone, without its level',
  },
  'build-root': {
    type: 'string',
    group: 'Files',
    commands: every.filter((name) => name !== 'devices'),
    env: ['AXELERA_BUILD_ROOT'],
    help: 'where downloads live (default: ~/.cache/axllm)',
  },
  'models-dir': {
    type: 'string',
    group: 'Files',
    commands: every.filter((name) => name !== 'devices'),
    help: 'folder of cards of your own, which win over those that ship with the program',
  },
  'data-root': {
    type: 'string',
    group: 'Files',
    commands: run,
    help: 'accepted for compatibility; nothing is kept there',
  },
  out: {
    type: 'string',
    alias: ['o'],
    group: 'Files',
    commands: ['compile'],
    default: '.',
    help: 'folder to write the files into',
  },
  url: {
    type: 'string',
    group: 'Files',
    commands: ['compile'],
    default: 'http://127.0.0.1:8000',
    help: 'address that the files will be served from, for the card',
  },
  'embeddings-out': {
    type: 'string',
    group: 'Files',
    commands: ['extract-embeddings'],
    help: 'file for the embeddings (default: <model>_embeddings.npz)',
  },
  'tokenizer-zip': {
    type: 'string',
    group: 'Files',
    commands: ['extract-embeddings'],
    help: 'file for the tokenizer (default: <model>_tokenizer.zip)',
  },
  'only-embeddings': {
    type: 'boolean',
    group: 'Files',
    commands: ['extract-embeddings'],
    default: false,
    help: 'leave the tokenizer out',
  },
  'only-tokenizer': {
    type: 'boolean',
    group: 'Files',
    commands: ['extract-embeddings'],
    default: false,
    help: 'leave the embeddings out',
  },
  'hf-token': {
    type: 'string',
    group: 'Files',
    commands: ['extract-embeddings'],
    env: ['HF_TOKEN'],
    secret: true,
    help: 'token for repositories of the hub that are not open to everyone',
  },
  offline: {
    type: 'boolean',
    group: 'Files',
    commands: [...loads, 'compile', 'extract-embeddings', 'pull'],
    env: ['HF_HUB_OFFLINE'],
    default: false,
    help: 'never use the network',
  },
  'prompt-tokens': {
    type: 'integer',
    alias: ['p'],
    group: 'Benchmark',
    commands: ['bench'],
    default: 128,
    min: 0,
    help: 'tokens of the prompt pass (0: leave it out)',
  },
  'gen-tokens': {
    type: 'integer',
    alias: ['n'],
    group: 'Benchmark',
    commands: ['bench'],
    default: 64,
    min: 0,
    help: 'tokens to generate (0: leave it out)',
  },
  repetitions: {
    type: 'integer',
    alias: ['r'],
    group: 'Benchmark',
    commands: ['bench'],
    default: 5,
    min: 1,
    max: 1000,
    help: 'how often each part is measured',
  },
  depth: {
    type: 'integer',
    group: 'Benchmark',
    commands: ['bench'],
    default: 0,
    min: 0,
    help: 'tokens already in the context',
  },
  csv: {
    type: 'boolean',
    group: 'Benchmark',
    commands: ['bench'],
    default: false,
    help: 'print a CSV table',
  },
  compare: {
    type: 'string',
    group: 'Benchmark',
    commands: ['bench'],
    help: 'a file of bench --json: status 1 when slower than it',
  },
  threshold: {
    type: 'number',
    group: 'Benchmark',
    commands: ['bench'],
    default: 10,
    min: 0,
    max: 1000,
    help: 'how much slower is still accepted, in percent',
  },
} as const satisfies Record<string, OptionSpec>;

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

const rows = Object.entries<OptionSpec>(optionTable).map(
  ([name, spec]) => [name as OptionName, completeRow(name, spec)] as [OptionName, OptionRow],
);

/** Every row, in the table's order. */
export function allOptions(): [OptionName, OptionRow][] {
  return rows;
}

/** The rows that `command` takes, in the table's order; `config` shows what the others take. */
export function optionsOf(command: CommandName): [OptionName, OptionRow][] {
  if (command === 'config') return rows.filter(([, row]) => row.group !== 'Benchmark');
  return rows.filter(([, row]) => row.commands.includes(command));
}

/** The rows that shape one reply, for interfaces that take them by their keys. */
export function samplingOptions(): [OptionName, OptionRow][] {
  return rows.filter(([name, row]) => row.group === 'Sampling' || name === 'max-tokens' || name === 'stop');
}
