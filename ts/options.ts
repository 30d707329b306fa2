/** THE table of options: each is one row in `options/`; flags, variables, config keys, help and docs derive from it. */
import { completeRow, type CommandName, type OptionRow, type OptionSpec } from './option-row.js';
import { benchOptions } from './options/bench.js';
import { fileOptions } from './options/files.js';
import { modelOptions } from './options/model.js';
import { outputOptions } from './options/output.js';
import { replyOptions } from './options/reply.js';
import { serverOptions } from './options/server.js';

export type { CommandName, OptionRow } from './option-row.js';
export type { Pipeline } from './options/model.js';

const optionTable = {
  ...modelOptions,
  ...replyOptions,
  ...serverOptions,
  ...outputOptions,
  ...fileOptions,
  ...benchOptions,
};

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
