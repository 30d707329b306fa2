/** The models of a server: loading, loaded, or failed. */
import type { GenerateOptions } from '../native.js';
import type { Model } from '../model.js';
import { asAxllmError, type AxllmError } from '../errors.js';
import { HttpError } from './http-error.js';
import { Lane } from './lane.js';
import type { Limits } from './limits.js';
import { Scheduler } from './scheduler.js';

/** A model as {@link startServer} is given it. */
export interface ServedModel {
  /** The name that clients call it by. */
  readonly id: string;
  readonly description?: string;
  /** The same model on each device that shall take requests. The server does not dispose them. */
  readonly models: Promise<readonly Model[]> | readonly Model[];
  /** How far loading is, for those who wait. */
  progress?(): string | undefined;
  /** What a request does not say itself. */
  readonly defaults?: GenerateOptions;
  /** Said to the model before a conversation that has no system message; absent: the model's own. */
  readonly systemPrompt?: string | undefined;
}

/** A model that answers. */
export interface Ready {
  readonly served: ServedModel;
  readonly scheduler: Scheduler;
  readonly created: number;
  readonly contextLength: number;
}

/** One model of the server, whatever state it is in. */
export class Entry {
  ready: Ready | undefined;
  failure: AxllmError | undefined;
  /** Resolves when loading has ended, well or not. */
  readonly settled: Promise<void>;

  constructor(
    readonly served: ServedModel,
    limits: Limits,
  ) {
    this.settled = this.load(limits);
  }

  private async load(limits: Limits): Promise<void> {
    try {
      this.ready = readyOf(this.served, await this.served.models, limits);
    } catch (error) {
      this.failure = asAxllmError(error);
    }
  }

  /** The model, or why it does not answer. */
  get(): Ready {
    if (this.ready) return this.ready;
    // the text may name files, which are no business of visitors: `/props` has it
    if (this.failure) throw new HttpError(503, 'The model could not be loaded', { code: this.failure.code });
    const progress = this.served.progress?.();
    throw new HttpError(503, `Loading model${progress ? `: ${progress}` : ''}`, {
      code: 'loading',
      headers: { 'Retry-After': '1' },
    });
  }

  dispose(): void {
    for (const lane of this.ready?.scheduler.lanes ?? []) lane.dispose();
  }
}

function readyOf(served: ServedModel, models: readonly Model[], limits: Limits): Ready {
  const lanes = models.map((model) => {
    // a device holds one KV cache: requests wait here, where the queue is fair and has an end
    const width = model.info.pipeline === 'transformers' ? limits.parallel : 1;
    return new Lane(model, width);
  });
  const contextLength = models[0]!.info.contextLength;
  const scheduler = new Scheduler(lanes, limits.queue);
  return { served, scheduler, created: Math.floor(Date.now() / 1000), contextLength };
}
