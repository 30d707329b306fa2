/** Options of `axllm bench`. */
import type { OptionSpec } from '../option-row.js';

export const benchOptions = {
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
