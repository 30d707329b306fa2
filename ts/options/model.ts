/** Options of the model and where it runs. */
import type { OptionSpec } from '../option-row.js';
import { loads } from './commands.js';

/** The two pipelines of the guide, and `auto`: the AIPU when a device answers, else the CPU. */
const pipelines = ['auto', 'transformers-aipu', 'transformers'] as const;
export type Pipeline = (typeof pipelines)[number];

export const modelOptions = {
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
    choices: ['scalar', 'avx2', 'avxvnni', 'avx512', 'avx512vnni', 'amx'],
    help: 'CPU instruction set to use instead of the best one found',
  },
  dtype: {
    type: 'string',
    group: 'Model',
    commands: loads,
    choices: ['f32', 'bf16', 'q8', 'q4'],
    help: 'what the CPU rounds weights to (default: as a GGUF file has them, q8 for a folder)',
  },
} as const satisfies Record<string, OptionSpec>;
