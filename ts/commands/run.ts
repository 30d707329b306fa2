/** `axllm [MODEL]`: one reply, or a chat. */
import { fstatSync } from 'node:fs';
import { text as readAll } from 'node:stream/consumers';
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { runChat } from '../chat/plain.js';
import { answer, type Voice } from '../chat/voice.js';
import { logFor, type Context } from '../context.js';
import { UsageError } from '../errors.js';
import type { ChatOptions, Model } from '../model.js';
import { openModel } from '../open.js';
import type { OptionValues } from '../options.js';
import { resolve } from '../resolve.js';
import { buildRoot } from '../store/build-root.js';
import { defaultModel, findCard } from '../store/cards.js';
import { progressOn } from '../store/progress.js';
import { wantsColour } from '../terminal.js';
import { yargsOptions } from './yargs-options.js';

/** The default command. */
export const runCommand = (context: Context): CommandModule<object, { model?: string }> => ({
  command: '$0 [model]',
  describe: 'Answer one prompt, or chat',
  builder: (yargs) =>
    yargs
      .positional('model', { type: 'string', describe: `a card's name, or the path of a card or .gguf file` })
      .options(yargsOptions('run'))
      .example('$0 --prompt "Why is the sky blue?"', 'one reply from the default model')
      .example('$0 -d sim', 'a chat on the simulated card'),
  handler: (argv) => run(argv, context),
});

async function run(argv: ArgumentsCamelCase<{ model?: string }>, context: Context): Promise<void> {
  const { env, stderr, signal } = context;
  const card = findCard(argv.model ?? defaultModel);
  const { values } = resolve('run', { flags: argv, env, card: card.options });
  const log = logFor(context, values);
  const prompt = await promptOf(values.prompt, context);
  const files = {
    root: buildRoot(values['build-root'], env),
    env,
    log,
    offline: values.offline,
    signal,
    progress: progressOn(stderr),
  };
  const request = {
    card,
    pipeline: values.pipeline,
    selector: values.devices,
    tokenizerDir: values['tokenizer-dir'],
    threads: values.threads,
    isa: values.isa,
  };
  const model = await openModel(request, files);
  try {
    for (const note of model.info.notes) log.info(note);
    await talk(model, prompt, values, { context, log, showStats: values['show-stats'] });
  } finally {
    model.dispose();
  }
}

async function talk(
  model: Model,
  prompt: string | undefined,
  values: OptionValues,
  voice: Voice,
): Promise<void> {
  const { context } = voice;
  const chat = model.chat(chatOptions(values));
  if (prompt !== undefined) await answer(chat.send(prompt, { signal: context.signal }), model.info, voice);
  else await runChat(chat, model.info, voice, wantsColour(context.stdout, context.env, values.color));
}

/** The text to answer once; `undefined` for a chat, which needs a terminal on both sides. */
async function promptOf(flag: string | undefined, { stdin, stdout }: Context): Promise<string | undefined> {
  if (flag !== undefined && flag !== '-') return nonEmpty(flag, '--prompt');
  if (flag === undefined && stdin.isTTY && stdout.isTTY) return undefined;
  if (isFolder(stdin)) throw new UsageError('stdin is a folder', 'give the text with --prompt');
  const text = (await readAll(stdin)).replace(/\r?\n$/, '');
  return nonEmpty(text, 'stdin');
}

function nonEmpty(text: string, where: string): string {
  if (text.trim() !== '') return text;
  throw new UsageError(
    `${where} holds no prompt`,
    'give one with --prompt TEXT, or start a chat in a terminal',
  );
}

function isFolder(stdin: NodeJS.ReadStream): boolean {
  try {
    return fstatSync((stdin as { fd?: number }).fd ?? 0).isDirectory();
  } catch {
    return false;
  }
}

function chatOptions(values: OptionValues): ChatOptions {
  const system = values['system-prompt'];
  return {
    ...(system === undefined ? {} : { systemPrompt: system }),
    history: values.history,
    onOverflow: values['on-overflow'],
    temperature: values.temperature,
    topK: values['top-k'],
    topP: values['top-p'],
    minP: values['min-p'],
    repeatPenalty: values['repeat-penalty'],
    presencePenalty: values['presence-penalty'],
    frequencyPenalty: values['frequency-penalty'],
    seed: values.seed,
    maxTokens: values['max-tokens'],
    stop: values.stop,
  };
}
