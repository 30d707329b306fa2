/** THE table of slash commands: what may be typed, the help and the completion derive from it. */
import { UsageError, asAxllmError } from '../../errors.js';
import { closeMatches } from '../../suggest.js';
import { controlCommands } from './control.js';
import { talkCommands } from './talk.js';
import { say, type ChatState, type Next, type SlashCommand } from './types.js';

const help: SlashCommand = {
  name: 'help',
  aliases: ['?'],
  help: 'this list',
  run: (state) => [state, [say(...helpLines())]],
};

export const slashCommands: readonly SlashCommand[] = [help, ...talkCommands, ...controlCommands];

/** The guide's own words, which need no slash. */
const bareWords: Readonly<Record<string, string>> = { exit: 'bye', quit: 'bye', clear: 'clear' };

/** What a person meant. */
export type Input =
  | { readonly kind: 'message'; readonly text: string }
  | { readonly kind: 'command'; readonly command: SlashCommand; readonly args: string }
  | { readonly kind: 'unknown'; readonly word: string; readonly near: readonly string[] };

/** Reads what was typed; `//` sends a literal slash. */
export function interpret(typed: string): Input {
  const text = typed.trim();
  if (text.startsWith('//')) return { kind: 'message', text: text.slice(1) };
  const bare = Object.hasOwn(bareWords, text) ? bareWords[text] : undefined;
  if (bare === undefined && !text.startsWith('/')) return { kind: 'message', text };
  const [, word, args] = /^\/(\S*)\s*(.*)$/s.exec(bare === undefined ? text : `/${bare}`)!;
  const command = named(word!.toLowerCase());
  if (command) return { kind: 'command', command, args: args! };
  return { kind: 'unknown', word: word!, near: closeMatches(word!, allNames()) };
}

/** Carries a command out; what goes wrong is an effect as well. */
export function runSlash(state: ChatState, input: Exclude<Input, { kind: 'message' }>): Next {
  try {
    if (input.kind === 'command') return input.command.run(state, input.args);
    const near = input.near.map((name) => `/${name}`).join(' or ');
    throw new UsageError(
      `There is no command /${input.word}`,
      near ? `did you mean ${near}?` : '/help lists them; // at the start sends a slash',
    );
  } catch (error) {
    return [state, [{ kind: 'complain', error: asAxllmError(error) }]];
  }
}

/** The commands that what is typed so far may become, with their slash: for Tab. */
export function completions(typed: string): string[] {
  if (!/^\/\S*$/.test(typed)) return [];
  return allNames()
    .map((name) => `/${name}`)
    .filter((name) => name.startsWith(typed));
}

/** A line for each command. */
export function helpLines(): string[] {
  const rows = helpRows();
  const width = Math.max(...rows.map(([usage]) => usage.length));
  return rows.map(([usage, text]) => `${usage.padEnd(width)}  ${text}`);
}

/** The commands as they are typed, and what each does. */
export function helpRows(): (readonly [usage: string, help: string])[] {
  return slashCommands.map((command) => {
    const words = [command.name, ...(command.aliases ?? [])].map((name) => `/${name}`).join(' ');
    return [command.usage ? `${words} ${command.usage}` : words, command.help] as const;
  });
}

function named(word: string): SlashCommand | undefined {
  return slashCommands.find(({ name, aliases = [] }) => name === word || aliases.includes(word));
}

function allNames(): string[] {
  return slashCommands.flatMap(({ name, aliases = [] }) => [name, ...aliases]);
}
