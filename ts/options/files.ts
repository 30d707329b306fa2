/** Options of where files are, and of the commands that write them. */
import type { OptionSpec } from '../option-row.js';
import { every, loads, run } from './commands.js';

export const fileOptions = {
  'build-root': {
    type: 'string',
    group: 'Files',
    commands: every.filter((name) => name !== 'devices'),
    env: ['AXELERA_BUILD_ROOT'],
    help: 'where downloads live (default: ~/.cache/axllm)',
  },
  'models-dir': {
    type: 'string',
    group: 'Files',
    commands: every.filter((name) => name !== 'devices'),
    help: 'folder of cards of your own, which win over those that ship with the program',
  },
  'data-root': {
    type: 'string',
    group: 'Files',
    commands: run,
    help: 'accepted for compatibility; nothing is kept there',
  },
  out: {
    type: 'string',
    alias: ['o'],
    group: 'Files',
    commands: ['compile'],
    default: '.',
    help: 'folder to write the files into',
  },
  url: {
    type: 'string',
    group: 'Files',
    commands: ['compile'],
    default: 'http://127.0.0.1:8000',
    help: 'address that the files will be served from, for the card',
  },
  'embeddings-out': {
    type: 'string',
    group: 'Files',
    commands: ['extract-embeddings'],
    help: 'file for the embeddings (default: <model>_embeddings.npz)',
  },
  'tokenizer-zip': {
    type: 'string',
    group: 'Files',
    commands: ['extract-embeddings'],
    help: 'file for the tokenizer (default: <model>_tokenizer.zip)',
  },
  'only-embeddings': {
    type: 'boolean',
    group: 'Files',
    commands: ['extract-embeddings'],
    default: false,
    help: 'leave the tokenizer out',
  },
  'only-tokenizer': {
    type: 'boolean',
    group: 'Files',
    commands: ['extract-embeddings'],
    default: false,
    help: 'leave the embeddings out',
  },
  'hf-token': {
    type: 'string',
    group: 'Files',
    commands: ['extract-embeddings'],
    env: ['HF_TOKEN'],
    secret: true,
    help: 'token for repositories of the hub that are not open to everyone',
  },
  offline: {
    type: 'boolean',
    group: 'Files',
    commands: [...loads, 'compile', 'extract-embeddings', 'pull'],
    env: ['HF_HUB_OFFLINE'],
    default: false,
    help: 'never use the network',
  },
} as const satisfies Record<string, OptionSpec>;
