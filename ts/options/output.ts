/** Options of what is printed and logged. */
import type { OptionSpec } from '../option-row.js';
import { every, run } from './commands.js';
import { logLevels } from '../terminal.js';

export const outputOptions = {
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
} as const satisfies Record<string, OptionSpec>;
