/** From a card and a choice of pipeline to a loaded model: fetches, compiles and falls back as needed. */
import { join } from 'node:path';
import type { Thermometer } from './core-temperature.js';
import { parseSelector, type DeviceChoice } from './devices.js';
import { AxllmError, UsageError, asAxllmError } from './errors.js';
import { Model } from './model.js';
import { listDevices, load, type LoadOptions } from './native.js';
import type { OptionValues, Pipeline } from './options.js';
import type { Card } from './store/cards.js';
import { compileInto, compiledFolder, readCompiled, simulatedContext } from './store/compiled.js';
import { ensureFile, type FetchContext } from './store/fetch.js';
import { defaultSystemPrompt } from './system-prompt.js';

/** Which model, on what. */
export interface OpenRequest {
  readonly card: Card;
  readonly pipeline: Pipeline;
  readonly selector: string | undefined;
  readonly tokenizerDir?: string | undefined;
  readonly threads?: number | undefined;
  readonly cpu?: string | undefined;
  readonly dtype?: string | undefined;
  /** Follow the temperature of a card that does not tell it itself. */
  readonly temperature?: boolean;
}

/** What the options ask for. */
export function requestOf(card: Card, values: OptionValues): OpenRequest {
  return {
    card,
    pipeline: values.pipeline,
    selector: values.devices,
    tokenizerDir: values['tokenizer-dir'],
    threads: values.threads,
    cpu: values.cpu,
    dtype: values.dtype,
    temperature: values['show-temp'] ?? values['show-stats'],
  };
}

/** Opens the model; `auto` says in one INFO line why it answers on the CPU. */
export async function openModel(request: OpenRequest, context: FetchContext): Promise<Model> {
  const choice = parseSelector(request.selector, context.env);
  const aipu = await wantsAipu(request, choice, context);
  context.signal?.throwIfAborted();
  const where = aipu ? await aipuFiles(request.card, choice, context) : await cpuFiles(request, context);
  const options = {
    ...where,
    minResponseSpace: request.card.minResponseSpace,
    tokenizerDir: request.tokenizerDir ?? where.tokenizerDir,
  };
  const native = await load(options);
  const thermometer = request.temperature && aipu ? await followTemperature(native.info.device) : undefined;
  const { minResponseSpace } = request.card;
  return new Model(native, defaultSystemPrompt(request.card), minResponseSpace, thermometer);
}

async function followTemperature(device: string): Promise<Thermometer | undefined> {
  const { thermometerFor } = await import('./core-temperature.js');
  return thermometerFor(device);
}

async function wantsAipu(
  request: OpenRequest,
  choice: DeviceChoice,
  context: FetchContext,
): Promise<boolean> {
  if (request.pipeline === 'transformers') {
    if (!choice.device && !choice.simulated) return false;
    throw new UsageError(
      `--devices ${request.selector} chooses an AIPU, but --pipeline transformers runs on the CPU`,
      'leave one of the two out',
    );
  }
  if (request.pipeline === 'transformers-aipu' || choice.device || choice.simulated) return true;
  const missing = await whyNoDevice();
  if (missing === undefined) return true;
  context.log.info(`No Metis device answers (${missing}); answering on the CPU`);
  return false;
}

async function whyNoDevice(): Promise<string | undefined> {
  try {
    return (await listDevices()).length > 0 ? undefined : 'the runtime lists none';
  } catch (error) {
    const { code, message } = asAxllmError(error);
    if (code === 'no_native_module') throw error;
    // where it was looked for interests only those who insist on a device
    return code === 'no_runtime' ? 'libaxruntime not found' : message;
  }
}

async function cpuFiles(
  { card, threads, cpu, dtype }: OpenRequest,
  context: FetchContext,
): Promise<LoadOptions> {
  const weights = await weightsOf(card, context);
  // rounded weights, which the next start maps instead of rounding again
  const cacheDir = join(context.root, 'packed');
  const { contextLength } = card;
  return { pipeline: 'transformers', weights, contextLength, threads, isa: cpu, dtype, cacheDir };
}

async function aipuFiles(card: Card, choice: DeviceChoice, context: FetchContext): Promise<LoadOptions> {
  // asked first: without a device there is nothing to download for
  const devices = await listDevices(choice.runtimeLibrary);
  const simulated = choice.simulated || devices.some(({ name }) => name.startsWith('metis-sim'));
  const device = { device: choice.device, runtimeLibrary: choice.runtimeLibrary };
  if (card.precompiled) {
    throw new AxllmError('not_supported', `${card.name}: archives compiled for Metis cannot be fetched yet`);
  }
  if (!simulated) {
    throw new AxllmError('no_compiled_model', `${card.name} has no build for Metis, only for the CPU`, {
      hint: 'answer on the CPU with --pipeline transformers, or try the simulated card with -d sim',
    });
  }
  const files = await simulatedFiles(card, context);
  return { pipeline: 'transformers-aipu', ...files, ...device, requiredMemoryGb: card.requiredMemoryGb };
}

async function simulatedFiles(card: Card, context: FetchContext) {
  const { root, signal, log } = context;
  const folder = compiledFolder(root, card.name, simulatedContext);
  const weights = await weightsOf(card, context);
  const ready = await readCompiled(folder, weights);
  if (ready) return ready;
  log.info(`Compiling ${card.name} for the simulated card into ${folder}`);
  return compileInto(folder, { weights, name: card.name, context: simulatedContext, signal });
}

/** The weights of a card, a GGUF file or a Hugging Face folder: the user's own, or fetched into the build root. */
export async function weightsOf(card: Card, context: FetchContext): Promise<string> {
  if (!card.weights) {
    throw new AxllmError('no_weights', `${card.name} names no weights for the CPU`, {
      hint: `give the path of a .gguf file${card.modelName ? ` of ${card.modelName}` : ''} instead`,
    });
  }
  return 'path' in card.weights ? card.weights.path : ensureFile(card.weights, card.name, context);
}
