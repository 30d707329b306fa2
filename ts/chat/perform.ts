/** Carries out the effects that are the same in every front end: files, clipboard, counting, devices. */
import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { AxllmError, asAxllmError } from '../errors.js';
import type { DeviceInfo } from '../native.js';
import type { Env } from '../terminal.js';
import { copy } from './clipboard.js';
import { toMarkdown } from './conversation-file.js';
import { writePrivate, type ConversationStore } from './conversation-store.js';
import type { ContextUse } from './context-use.js';
import type { Conversation } from './conversation.js';
import { say, type ChatState, type FrontEffect, type ServiceEffect } from './slash/types.js';

/** What {@link perform} needs of the world. */
export interface Services {
  readonly env: Env;
  readonly store: ConversationStore;
  /** Made by `contextMeter`. */
  readonly meter: (conversation: Conversation, draft?: string) => ContextUse;
  readonly listDevices: () => Promise<DeviceInfo[]>;
  /** Writes to the terminal as it is. */
  readonly writeTerminal: (bytes: string) => void;
}

/** More than any context holds; it also keeps `/read /dev/zero` finite. */
const largestFile = 4 * 2 ** 20;

/** What comes of an effect: a new state, and what is left for the front end. Never rejects. */
export async function perform(
  state: ChatState,
  effect: ServiceEffect,
  services: Services,
): Promise<readonly [ChatState, readonly FrontEffect[]]> {
  try {
    if (effect.kind === 'load' && effect.name !== undefined) {
      const conversation = await services.store.load(effect.name);
      const turns = conversation.turns.length;
      return [
        { ...state, conversation, lastResult: undefined },
        [say(`Loaded ${effect.name}: ${turns} ${turns === 1 ? 'turn' : 'turns'}`)],
      ];
    }
    return [state, [await answer(state, effect, services)]];
  } catch (error) {
    return [state, [{ kind: 'complain', error: asAxllmError(error) }]];
  }
}

async function answer(state: ChatState, effect: ServiceEffect, services: Services): Promise<FrontEffect> {
  const { conversation, modelName } = state;
  switch (effect.kind) {
    case 'copy':
      return copied(effect.what, await copy(effect.text, services.env, services.writeTerminal));
    case 'save':
      return say(`Saved as ${await services.store.save(conversation, modelName, effect.name)}`);
    case 'export': {
      const path = resolve(effect.path);
      await writePrivate(path, toMarkdown(conversation, modelName));
      return say(`Saved as ${path}`);
    }
    case 'load':
      return say(...(await listing(services.store)));
    case 'read': {
      const text = await readText(effect.path);
      return { kind: 'send', text: effect.prompt ? `${text}\n\n${effect.prompt}` : text };
    }
    case 'context':
      return say(...contextLines(services.meter(conversation)));
    case 'devices':
      return say(...(await services.listDevices()).map(deviceLine));
    default:
      return effect satisfies never;
  }
}

function copied(what: string, ways: readonly string[]): FrontEffect {
  if (ways.length > 0) return say(`Copied ${what} (by ${ways.join(' and ')})`);
  throw new AxllmError('no_clipboard', `Nothing here takes ${what}: it is too long for the terminal`, {
    hint: 'install wl-copy or xclip, or save it with /save NAME.md',
  });
}

async function listing(store: ConversationStore): Promise<string[]> {
  const saved = await store.list();
  if (saved.length === 0) return ['No conversation is saved; /save does it'];
  return saved.map(({ name, modified }) => `${modified.toISOString().slice(0, 16)}  ${name}`);
}

async function readText(path: string): Promise<string> {
  await using file = await open(path, 'r');
  const buffer = Buffer.alloc(largestFile + 1);
  let length = 0;
  for (;;) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length);
    if (bytesRead === 0) break;
    length += bytesRead;
    if (length > largestFile) {
      throw new AxllmError('file_too_large', `${path} is larger than ${largestFile} bytes`);
    }
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(buffer.subarray(0, length)).trimEnd();
  } catch {
    throw new AxllmError('not_text', `${path} is not a text file in UTF-8`);
  }
}

/** Lines such as `history   412 tokens  40 %`. */
export function contextLines(use: ContextUse): string[] {
  const row = (name: string, tokens: number) =>
    `${name.padEnd(8)}${String(tokens).padStart(7)} tokens ${String(Math.round((100 * tokens) / use.total)).padStart(4)} %`;
  const free = Math.max(0, use.total - use.system - use.history - use.message - use.reserve);
  const lines = [
    row('system', use.system),
    row('history', use.history),
    row('reply', use.reserve),
    row('free', free),
    row('context', use.total),
  ];
  if (use.droppedTurns > 0) lines.push(`The model no longer sees the first ${turns(use.droppedTurns)}`);
  return lines;
}

const turns = (count: number) => (count === 1 ? 'turn' : `${count} turns`);

function deviceLine({ index, name, boardType, firmwareVersion, inUse }: DeviceInfo): string {
  return `${index}: ${name} ${boardType} fw ${firmwareVersion} ${inUse ? 'in use' : 'free'}`;
}
