/** The commands about the program: settings, facts, leaving. `/help` is made from the whole table, in `table.ts`. */
import { UsageError } from '../../errors.js';
import {
  settingNamed,
  settingNames,
  settingRow,
  settingText,
  telemetryOf,
  withSetting,
} from '../settings.js';
import { statisticsLines } from '../stats.js';
import { system } from './talk.js';
import { say, type ChatState, type Next, type SlashCommand } from './types.js';

export const controlCommands: readonly SlashCommand[] = [
  {
    name: 'set',
    usage: '[NAME VALUE]',
    help: 'show or change a setting, such as temperature 0.7',
    run: set,
  },
  {
    name: 'show',
    usage: '[info|system|parameters]',
    help: 'show the model, the system prompt or the settings',
    run: show,
  },
  {
    name: 'stats',
    aliases: ['verbose', 'status'],
    usage: '[on|off]',
    help: 'timings of the last reply; on: after each reply',
    run: stats,
  },
  {
    name: 'context',
    help: 'how much of the context is used, and by what',
    run: (state) => [state, [{ kind: 'context' }]],
  },
  {
    name: 'devices',
    help: 'the devices that the runtime lists',
    run: (state) => [state, [{ kind: 'devices' }]],
  },
  {
    name: 'model',
    help: 'which model answers, and on what',
    run: (state) => [state, [say(...modelLines(state))]],
  },
  {
    name: 'bye',
    aliases: ['exit', 'quit'],
    help: 'leave (also: exit, quit, Ctrl-D)',
    run: (state) => [state, [{ kind: 'leave' }]],
  },
];

function set(state: ChatState, args: string): Next {
  // `/set parameter temperature 0.7` is how other runners spell it
  const words = args.replace(/^parameter\b\s*/, '');
  if (words === '') return [state, [say(...settingLines(state))]];
  const [, name, value] = /^(\S+)\s*(.*)$/s.exec(words)!;
  if (name === 'system') return system(state, value!);
  const setting = settingNamed(name!);
  if (value !== '') {
    const settings = withSetting(state.settings, setting, value!);
    return [{ ...state, settings }, [say(`${setting} = ${settingText(settings, setting)}`)]];
  }
  const { help } = settingRow(setting);
  return [state, [say(`${setting} = ${settingText(state.settings, setting)}: ${help}`)]];
}

function show(state: ChatState, what: string): Next {
  switch (what) {
    case '':
    case 'info':
      return [state, [say(...modelLines(state))]];
    case 'system':
      return system(state, '');
    case 'parameters':
      return [state, [say(...settingLines(state))]];
    default:
      throw new UsageError(`/show knows info, system and parameters, not ${JSON.stringify(what)}`);
  }
}

function stats(state: ChatState, what: string): Next {
  if (what !== '') return set(state, `show-stats ${what}`);
  const { lastResult, info, settings } = state;
  if (!lastResult) return [state, [say('No reply yet; /stats on shows timings after each one')]];
  return [
    state,
    [say(...statisticsLines(lastResult, info.pipeline, { ...telemetryOf(settings), stats: true }))],
  ];
}

function settingLines({ settings }: ChatState): string[] {
  const width = Math.max(...settingNames.map((name) => name.length));
  return settingNames.map((name) => `${name.padEnd(width)}  ${settingText(settings, name)}`);
}

function modelLines({ modelName, info }: ChatState): string[] {
  const cpu = info.isa === '' ? '' : ` (${info.isa}, ${info.threads} threads)`;
  return [
    `model     ${modelName}`,
    `pipeline  ${info.pipeline}`,
    `device    ${info.device}${cpu}`,
    `context   ${info.contextLength} tokens`,
  ];
}
