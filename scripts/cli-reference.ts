/** The text of `docs/cli.md`: every option of the table, its variable, its key and who takes it. */
import { groups, type OptionRow } from '../ts/option-row.js';
import { allOptions } from '../ts/options.js';

const intro = `# Command line

Written by \`npm run docs\` from \`ts/options\`; do not edit.

\`axllm [MODEL] [PROMPT] [options]\` answers one prompt, or chats. \`run\` and \`chat\` mean the same. The other
commands: \`bench\`, \`compile\`, \`completion\`, \`config\`, \`devices\`, \`doctor\`, \`extract-embeddings\` (also
installed as \`axextractembeddings\`), \`list\`, \`pull\`, \`rm\`, \`serve\`, \`show\`, \`verify\`; \`axllm COMMAND --help\` shows an example of each.

A value is taken from the flag, else the environment variable, else the config file
(\`$XDG_CONFIG_HOME/axllm/config.toml\`, by default \`~/.config/axllm/config.toml\`), else the model's card where
that is allowed, else the default. \`axllm config\` shows each value and where it came from.

- stdout holds the reply and one newline, nothing else; log lines, progress and statistics are on stderr.
- Text that is piped in goes before the prompt, with an empty line between: \`git diff | axllm MODEL "Sum this up"\`.
  Where no prompt is given, or it is \`-\`, stdin is the prompt; where stdin is empty too, there is nothing to do.
- Controls, escape sequences and bidi overrides in the model's text become visible marks such as \`^[\` and
  \`<U+202E>\`, in a pipe too; \`--raw\` leaves them. In JSON they are escaped, so nothing is lost.
- \`--json\` prints one object, with \`--stream\` JSON lines whose last one has \`"done": true\`; an error is
  \`{"error": {"code", "message", "hint"}}\`.
- Exit status: 0 done, 1 failed, 2 not understood, 130 Ctrl-C, 143 SIGTERM.
- Models published for Metis are told by default that they run on it and to be concise, as the vendor's tool does;
  not Velvet, which it degrades. Other models get what their own template says.
`;

/** Markdown, one table a group. */
export function cliReference(): string {
  const tables = groups.map((group) => {
    const rows = allOptions().filter(([, row]) => row.group === group);
    const lines = rows.map(([name, row]) => `| ${cells(name, row).join(' | ')} |`);
    return `## ${group}\n\n| option | meaning | variable | key | commands |\n| --- | --- | --- | --- | --- |\n${lines.join('\n')}\n`;
  });
  return `${intro}\n${tables.join('\n')}`;
}

function cells(name: string, row: OptionRow): string[] {
  const flags = [...(row.alias ?? []), name]
    .sort((a, b) => a.length - b.length)
    .map((each) => code(each.length === 1 ? `-${each}` : `--${each}`));
  const value = row.type === 'boolean' || row.type === 'count' ? '' : ` ${code(valueName(row))}`;
  const key = row.group === 'Benchmark' ? '' : `${code(row.key)}${row.card ? ' (card)' : ''}`;
  return [
    `${flags.join(', ')}${value}`,
    meaning(row),
    row.env.map(code).join(', '),
    key,
    row.commands.join(', '),
  ];
}

function valueName({ type, bare }: OptionRow): string {
  const plain = type === 'number' || type === 'integer' ? 'N' : 'TEXT';
  return bare === undefined ? plain : `[${plain}]`;
}

function meaning(row: OptionRow): string {
  const range =
    row.min !== undefined && row.max !== undefined && row.max < 1e9 ? `; ${row.min} to ${row.max}` : '';
  const choices = row.choices ? `; one of ${row.choices.map(code).join(', ')}` : '';
  const bare =
    typeof row.bare === 'string'
      ? `; without a value ${code(row.bare)}, or what variable or config file say`
      : '';
  const preset = row.default === undefined ? '' : `; default ${code(String(row.default))}`;
  return `${row.help}${range}${choices}${bare}${preset}`.replaceAll('|', '\\|');
}

function code(text: string): string {
  return `\`${text}\``;
}
