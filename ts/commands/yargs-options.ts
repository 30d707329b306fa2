import type { Options } from 'yargs';
import { optionsOf, type CommandName, type OptionRow } from '../options.js';

/** The table's rows as yargs wants them. Values stay text here: `resolve` checks them for every source alike. */
export function yargsOptions(command: CommandName): Record<string, Options> {
  return Object.fromEntries(optionsOf(command).map(([name, row]) => [name, toYargs(row)]));
}

function toYargs(row: OptionRow): Options {
  const shared = {
    group: `${row.group}:`,
    describe: describe(row),
    ...(row.alias ? { alias: [...row.alias] } : {}),
  };
  switch (row.type) {
    case 'boolean':
      return { ...shared, type: 'boolean' };
    case 'count':
      return { ...shared, type: 'count' };
    case 'list':
      return { ...shared, type: 'array', string: true, nargs: 1 };
    case 'string':
      return { ...shared, type: 'string', requiresArg: typeof row.bare !== 'string' };
    case 'number':
    case 'integer':
      return { ...shared, type: 'string', requiresArg: true };
    default:
      return row.type satisfies never;
  }
}

function describe(row: OptionRow): string {
  const choices = row.choices ? `: ${row.choices.join(', ')}` : '';
  const preset = row.default === undefined || row.default === false ? '' : ` (default: ${row.default})`;
  return `${row.help}${choices}${preset}`;
}
