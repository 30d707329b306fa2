/** The only import of the native module; its errors arrive as JSON and leave as {@link AxllmError}. */
import { AxllmError, type PromptCounts } from './errors.js';
import type * as Binding from '../index.js';

export type {
  Chunk,
  CompiledModel,
  DeviceInfo,
  GenerateOptions,
  LoadOptions,
  Message,
  ModelInfo,
  ReplyResult,
  Step,
  SystemChain,
  TokenLogprob,
} from '../index.js';
export type { Model as NativeModel, Reply as NativeReply, Session as NativeSession } from '../index.js';

let binding: Promise<typeof Binding> | undefined;

/** Loads the native module once; a missing or foreign binary is an error that names the platform. */
function native(): Promise<typeof Binding> {
  binding ??= import('../index.js').catch((cause: unknown) => {
    throw new AxllmError(
      'no_native_module',
      `The native part of axllm cannot be loaded on ${process.platform}-${process.arch}: ${firstLine(cause)}`,
      { cause, hint: 'npm run build makes it from source (stable Rust is needed)' },
    );
  });
  return binding;
}

/** Runs `call` and turns what the native side throws into an {@link AxllmError}. */
export function guard<T>(call: () => T): T {
  try {
    const value = call();
    if (value instanceof Promise) return value.catch(rethrow) as T;
    return value;
  } catch (error) {
    return rethrow(error);
  }
}

/** Opens a model on a device or on the CPU. */
export const load: typeof Binding.load = async (options) => {
  const module = await native();
  return guard(() => module.load(options));
};

/** The devices that a runtime library lists. */
export const listDevices: typeof Binding.listDevices = async (runtimeLibrary) => {
  const module = await native();
  return guard(() => module.listDevices(runtimeLibrary));
};

/** The devices with their settings and readings. */
export const inspectDevices: typeof Binding.inspectDevices = async (runtimeLibrary) => {
  const module = await native();
  return guard(() => module.inspectDevices(runtimeLibrary));
};

/** Finds, opens and checks the runtime library. */
export const probeRuntime: typeof Binding.probeRuntime = async (runtimeLibrary) => {
  const module = await native();
  return guard(() => module.probeRuntime(runtimeLibrary));
};

/** What the system shows of a card, without any runtime. */
export const systemChain: typeof Binding.systemChain = async (root) => {
  const module = await native();
  return guard(() => module.systemChain(root));
};

/** The context that a model is compiled for where nobody asks for another. */
export const usualContext: typeof Binding.usualContext = async (weights) => {
  const module = await native();
  return guard(() => module.usualContext(weights));
};

/** Turns a GGUF file or a folder into what the simulated Metis loads. */
export const compile: typeof Binding.compile = async (options) => {
  const module = await native();
  return guard(() => module.compile(options));
};

/** Writes the embeddings of a GGUF file or a folder as `.npz`. */
export const extractEmbeddings: typeof Binding.extractEmbeddings = async (weights, out) => {
  const module = await native();
  return guard(() => module.extractEmbeddings(weights, out));
};

/** Writes the tokenizer files of a GGUF file or a folder as a zip. */
export const extractTokenizer: typeof Binding.extractTokenizer = async (from, out) => {
  const module = await native();
  return guard(() => module.extractTokenizer(from, out));
};

/** Meets a fault on the native side, where models are loaded and replies generated: for tests. */
export const provokePanic: typeof Binding.provokePanic = async () => {
  const module = await native();
  return guard(() => module.provokePanic());
};

function rethrow(error: unknown): never {
  if (!(error instanceof Error)) throw error;
  throw parse(error);
}

/** What the native side writes as its message. */
interface NativeError {
  code?: string;
  message?: string;
  hint?: string | null;
  counts?: PromptCounts | null;
  index?: number | null;
}

function parse(error: Error): Error {
  if (error instanceof AxllmError) return error;
  if (!error.message.startsWith('{')) return new AxllmError('native', error.message, { cause: error });
  try {
    const { code, message, hint, counts, index } = JSON.parse(error.message) as NativeError;
    const details = {
      hint: hint ?? undefined,
      counts: counts ?? undefined,
      index: index ?? undefined,
      cause: error,
    };
    return new AxllmError(code ?? 'native', message ?? error.message, details);
  } catch {
    return new AxllmError('native', error.message, { cause: error });
  }
}

function firstLine(cause: unknown): string {
  return String(cause instanceof Error ? cause.message : cause).split('\n', 1)[0] ?? '';
}
