/** `axllm completion SHELL`: a script for the shell; what it asks back is answered by `--get-completions`. */
import type { CommandModule } from 'yargs';
import type { Context } from '../context.js';
import { optionsOf, type CommandName } from '../options.js';
import { publicNames } from '../store/cards.js';
import { closeMatches } from '../suggest.js';
import { UsageError } from '../errors.js';
import { oneLine, write } from '../terminal.js';
import { scripts } from './completion-scripts.js';

/** What a shell's script calls: `axllm --get-completions WORD…`, the last word is the one to complete. */
export const completionsFlag = '--get-completions';

export const completionCommand = (context: Context): CommandModule<object, { shell?: string }> => ({
  command: 'completion <shell>',
  describe: 'Print a completion script for bash, zsh, fish or powershell',
  builder: (yargs) =>
    yargs
      .positional('shell', { type: 'string', describe: 'bash, zsh, fish or powershell' })
      .example('source <($0 completion bash)', 'in ~/.bashrc')
      .example('$0 completion fish | source', 'in ~/.config/fish/config.fish'),
  handler: async ({ shell }) => {
    const script = scripts[shell ?? ''];
    if (script === undefined) {
      const known = Object.keys(scripts);
      const close = closeMatches(shell ?? '', known, 1);
      throw new UsageError(
        `there is no completion for ${JSON.stringify(shell)}`,
        `${close.length > 0 ? `did you mean ${close[0]}? ` : ''}known: ${known.join(', ')}`,
      );
    }
    await write(context.stdout, script);
  },
});

/** The candidates for the last of `words`, one a line, for the scripts above. */
export async function printCompletions(words: readonly string[], verbs: readonly string[], context: Context) {
  // how PowerShell writes an empty word depends on its version
  const found = await completions(
    words.map((word) => (word === '""' ? '' : word)),
    verbs,
  );
  await write(context.stdout, found.map((each) => `${oneLine(each)}\n`).join(''));
}

/** Commands without a MODEL among their words. */
const takeNoModel = ['config', 'devices', 'doctor', 'list'];

async function completions(words: readonly string[], verbs: readonly string[]): Promise<string[]> {
  const last = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  const command = verbs.find((verb) => verb === before[0]);
  const table = optionsOf((command === undefined || command === 'chat' ? 'run' : command) as CommandName);
  const previous = before.at(-1) ?? '';
  const joined = /^(--?[\w-]+)=(.*)$/.exec(last);
  const flag = joined?.[1] ?? previous;
  const row = table.find(([name, { alias = [] }]) =>
    [`--${name}`, ...alias.map((a) => (a.length === 1 ? `-${a}` : `--${a}`))].includes(flag),
  );
  const takesValue = row && row[1].type !== 'boolean' && row[1].type !== 'count';
  if (row && takesValue) {
    const prefix = joined ? `${flag}=` : '';
    return starting(
      last,
      (await valuesOf(...row)).map((value) => prefix + value),
    );
  }
  if (last.startsWith('-')) {
    const names = table.flatMap(([name, { type }]) =>
      type === 'boolean' ? [`--${name}`, `--no-${name}`] : [`--${name}`],
    );
    return starting(last, [...names, '--help', '--version']);
  }
  if (command === 'completion') return starting(last, Object.keys(scripts));
  const modelIsGiven = before.some(
    (word, at) => at >= (command === undefined ? 0 : 1) && !word.startsWith('-'),
  );
  if (modelIsGiven || takeNoModel.includes(command ?? '')) return [];
  return starting(
    last,
    command === undefined && before.length === 0 ? [...verbs, ...publicNames()] : publicNames(),
  );
}

async function valuesOf(name: string, { choices }: { choices?: readonly string[] }): Promise<string[]> {
  if (choices) return [...choices];
  if (name === 'model') return publicNames();
  if (name !== 'devices') return [];
  const { listDevices } = await import('../native.js');
  // where there is no runtime, the simulated card is still there
  const devices = await listDevices().catch(() => []);
  return ['sim', ...devices.map((device) => device.name)];
}

function starting(prefix: string, all: readonly string[]): string[] {
  return all.filter((each) => each.startsWith(prefix));
}
