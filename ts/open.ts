/** From a card and a choice of pipeline to a loaded model: fetches, compiles and falls back as needed. */
import type { Thermometer } from './core-temperature.js';
import { parseSelector, type DeviceChoice } from './devices.js';
import { AxllmError, UsageError, asAxllmError } from './errors.js';
import { Model } from './model.js';
import { inOrder, isForAnotherVersion } from './axmodel.js';
import { listDevices, load, usualContext, type LoadOptions, type NativeModel } from './native.js';
import type { OptionValues, Pipeline } from './options.js';
import type { Card } from './store/cards.js';
import { compileInto, compiledFolder, readCompiled } from './store/compiled.js';
import type { FetchContext } from './store/fetch.js';
import { packedFolder } from './store/packed.js';
import { compiledFilesOf, weightsOf } from './store/model-files.js';
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
  const native = await (aipu ? loadOnAipu(request, choice, context) : loadOnCpu(request, context));
  const thermometer = request.temperature && aipu ? await followTemperature(native.info.device) : undefined;
  const { minResponseSpace } = request.card;
  return new Model(native, defaultSystemPrompt(request.card), minResponseSpace, thermometer);
}

/** Opens the model on every device that is free, unless one is named; on the CPU once. */
export async function openOnAll(request: OpenRequest, context: FetchContext): Promise<Model[]> {
  const choice = parseSelector(request.selector, context.env);
  if (choice.device !== undefined) return [await openModel(request, context)];
  // decided here: to ask again would list the devices and tell of it twice
  if (!(await wantsAipu(request, choice, context))) {
    return [await openModel({ ...request, pipeline: 'transformers' }, context)];
  }
  const devices = await listDevices(choice.runtimeLibrary);
  const free = devices.filter(({ inUse }) => !inUse);
  const models: Model[] = [];
  try {
    // one after the other: the first may have to compile what the others then find
    for (const { name } of free) {
      const selector = choice.simulated ? `sim:${name}` : name;
      models.push(await openModel({ ...request, selector }, context));
    }
    // none is free: opening the first says who has it
    return models.length > 0 ? models : [await openModel(request, context)];
  } catch (error) {
    for (const model of models) model.dispose();
    throw error;
  }
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

async function loadOnCpu(request: OpenRequest, context: FetchContext): Promise<NativeModel> {
  const { card, threads, cpu, dtype, tokenizerDir } = request;
  const weights = await weightsOf(card, context);
  const { contextLength, minResponseSpace } = card;
  const options = { weights, contextLength, minResponseSpace, tokenizerDir, threads, isa: cpu };
  // rounded weights, which the next start maps instead of rounding again
  const cacheDir = packedFolder(context.root);
  return load({ pipeline: 'transformers', ...options, dtype, cacheDir });
}

async function loadOnAipu(
  request: OpenRequest,
  choice: DeviceChoice,
  context: FetchContext,
): Promise<NativeModel> {
  const { card, tokenizerDir } = request;
  // asked first: without a device there is nothing to download for
  const devices = await listDevices(choice.runtimeLibrary);
  const options: LoadOptions = {
    pipeline: 'transformers-aipu',
    device: choice.device,
    runtimeLibrary: choice.runtimeLibrary,
    requiredMemoryGb: card.requiredMemoryGb,
    minResponseSpace: card.minResponseSpace,
  };
  if (card.precompiled) return loadPrecompiled(request, options, context);
  if (!choice.simulated && !devices.some(({ name }) => name.startsWith('metis-sim'))) {
    throw new AxllmError('no_compiled_model', `${card.name} has no build for Metis, only for the CPU`, {
      hint: 'answer on the CPU with --pipeline transformers, or try the simulated card with -d sim',
    });
  }
  const files = await simulatedFiles(card, context);
  return load({ ...options, ...files, tokenizerDir: tokenizerDir ?? files.tokenizerDir });
}

/** With the archive for the installed runtime; one that it refuses for its version is followed by the next. */
async function loadPrecompiled(
  { card, tokenizerDir }: OpenRequest,
  options: LoadOptions,
  context: FetchContext,
): Promise<NativeModel> {
  const builds = await inOrder(card.precompiled!.builds, options.runtimeLibrary, context.log);
  for (const [at, build] of builds.entries()) {
    const files = await compiledFilesOf(card, build, tokenizerDir, context);
    try {
      return await load({ ...options, ...files });
    } catch (error) {
      if (!isForAnotherVersion(error) || at === builds.length - 1) throw error;
      context.log.info(`${asAxllmError(error).message}; taking the archive for another version`);
    }
  }
  throw new AxllmError('internal', `${card.name} names no archive`);
}

async function simulatedFiles(card: Card, context: FetchContext) {
  const { root, signal, log } = context;
  const weights = await weightsOf(card, context);
  const tokens = await usualContext(weights);
  const folder = compiledFolder(root, card.name, tokens);
  const ready = await readCompiled(folder, weights);
  if (ready) return ready;
  log.info(`Compiling ${card.name} for the simulated card into ${folder}`);
  return compileInto(folder, { weights, name: card.name, context: tokens, signal });
}
