/** The public module: `import { load } from 'axllm'`. */
import type { Model } from './model.js';
import type { DeviceInfo } from './native.js';
import { parseSelector } from './devices.js';
import { listDevices as listNativeDevices } from './native.js';
import { openModel } from './open.js';
import type { Pipeline } from './options.js';
import { buildRoot } from './store/build-root.js';
import { defaultModel, findCard } from './store/cards.js';
import { silentProgress, type StartProgress } from './store/progress.js';
import { silentLog, type Log } from './terminal.js';

export { AxllmError, type ErrorDetails, type PromptCounts } from './errors.js';
export type { EmbedInput } from './embed.js';
export type { Chat, ChatOptions, EmbedOptions, Model } from './model.js';
export type { DeviceInfo, GenerateOptions, Message, ModelInfo, Step, TokenLogprob } from './native.js';
export type { Pipeline } from './options.js';
export type { ReplyOptions, Slot } from './slot.js';
export type { Progress, StartProgress } from './store/progress.js';
export type { Chunk, ReplyResult, ReplyStream } from './stream.js';
export type { Log } from './terminal.js';

/** How a model is opened; what is left out follows the environment, as on the command line. */
export interface LoadOptions {
  /** Default `auto`: the AIPU when a device answers, else the CPU. */
  pipeline?: Pipeline;
  /** Index or name of a device, or `sim` for the simulated card. */
  device?: string;
  /** Where downloads live. */
  buildRoot?: string;
  /** Tokenizer files to use instead of the card's. */
  tokenizerDir?: string;
  /** CPU threads; default: one a core. */
  threads?: number;
  /** CPU instruction set to use instead of the best one found. */
  cpu?: string;
  /** What the CPU rounds weights to: `f32`, `bf16`, `q8` or `q4`; default: as a GGUF file has them, `q8` for a folder. */
  dtype?: string;
  /** Folder of cards of your own. */
  modelsDir?: string;
  /** Never use the network. */
  offline?: boolean;
  /** Ends a download; the load then rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Told how far a download is; default: nobody. */
  progress?: StartProgress;
  /** Told what happens meanwhile; default: nobody. */
  log?: Log;
}

/**
 * Opens a model: a card's name, the path of a card, of a GGUF file or of a folder, or `OWNER/NAME` of the hub;
 * without one, the default model. Its files are fetched first when they are not in the build root.
 */
export async function load(model: string = defaultModel, options: LoadOptions = {}): Promise<Model> {
  const { env } = process;
  const log = options.log ?? silentLog;
  const request = {
    card: findCard(model, { env, modelsDir: options.modelsDir, warn: log.warning }),
    pipeline: options.pipeline ?? 'auto',
    selector: options.device ?? env.AXELERA_DEVICE_SELECTOR,
    tokenizerDir: options.tokenizerDir,
    threads: options.threads,
    cpu: options.cpu,
    dtype: options.dtype,
  };
  return openModel(request, {
    root: buildRoot(options.buildRoot, env),
    env,
    log,
    offline: options.offline ?? false,
    signal: options.signal,
    progress: options.progress ?? silentProgress,
  });
}

/** The Metis devices that the runtime lists; `sim` lists the simulated ones. */
export function listDevices(selector?: 'sim'): Promise<DeviceInfo[]> {
  return listNativeDevices(parseSelector(selector, process.env).runtimeLibrary);
}
