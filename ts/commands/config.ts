/** `axllm config`: each option's value, and where it came from. */
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { configPath } from '../config-file.js';
import { settings, type Context } from '../context.js';
import { allOptions } from '../options.js';
import type { Resolved } from '../resolve.js';
import { defaultModel, findCard } from '../store/cards.js';
import { oneLine, write, writeJson } from '../terminal.js';
import { placesOf } from './files.js';
import { yargsOptions } from './yargs-options.js';

export const configCommand = (context: Context): CommandModule => ({
  command: 'config',
  describe: 'Show the value of each option and where it came from',
  builder: (yargs) =>
    yargs
      .options(yargsOptions('config'))
      .example('$0 config -m MODEL --json', 'for programs; takes the flags of a run'),
  handler: (argv) => run(argv, context),
});

async function run(argv: ArgumentsCamelCase, context: Context): Promise<void> {
  const first = await settings(context, 'config', argv);
  const card = findCard(first.values.model ?? defaultModel, placesOf(context, first.values));
  const resolved = await settings(context, 'config', argv, card.options);
  const path = configPath(context.env);
  const rows = describe(resolved);
  if (resolved.values.json) {
    const options = Object.fromEntries(rows.map(({ key, ...row }) => [key, row]));
    return writeJson(context.stdout, { config_file: path, options }, 2);
  }
  const width = Math.max(...rows.map(({ key }) => key.length));
  const lines = rows.map(({ key, value, source, from }) => {
    const where = source === 'env' ? from : source;
    return oneLine(
      `${key.padEnd(width)}  ${value === null ? '-' : JSON.stringify(value)}  (${where ?? 'unset'})`,
    );
  });
  await write(context.stdout, `config file: ${oneLine(path)}\n\n${lines.join('\n')}\n`);
}

function describe({ values, sources, labels }: Resolved) {
  return allOptions()
    .filter(([name]) => name in values)
    .map(([name, { key, secret }]) => ({
      key,
      value: secret && values[name] !== undefined ? '***' : (values[name] ?? null),
      source: sources[name] ?? null,
      from: labels[name] ?? null,
    }));
}
