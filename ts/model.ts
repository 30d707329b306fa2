/** The objects that a program holds: a loaded model, and a conversation with it. */
import { responseSpace } from './chat/context-use.js';
import {
  cleared,
  messagesFor,
  newConversation,
  spoken,
  withTurn,
  type Conversation,
} from './chat/conversation.js';
import type { Thermometer } from './core-temperature.js';
import { embedTokens, embeddingTokens, groupsOf, type EmbedInput } from './embed.js';
import { AxllmError } from './errors.js';
import { guard, type GenerateOptions, type Message, type ModelInfo, type NativeModel } from './native.js';
import type { NativeSession } from './native.js';
import { Slot, type ReplyOptions } from './slot.js';
import { ReplyStream } from './stream.js';

/** What is fixed when a chat starts; the reply options are its defaults. */
export interface ChatOptions extends Omit<ReplyOptions, 'signal'> {
  /** Default: the card's, else none, which leaves it to the model's template. */
  systemPrompt?: string | undefined;
  /** Off: every message stands alone. Default: on. */
  history?: boolean;
  /** To go on from; its system prompt and `history` win over the options beside it. */
  conversation?: Conversation;
}

/** Of texts that become vectors. */
export interface EmbedOptions {
  /** Stops within one step; the promise then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** A model with its weights loaded. Dispose it (`using model = …`) to give device and memory back. */
export class Model {
  constructor(
    private readonly native: NativeModel,
    private readonly defaultSystemPrompt: string | undefined,
    private readonly minResponseSpace?: number,
    private readonly thermometer?: Thermometer,
  ) {}

  /** Pipeline, device, sizes, and the notes of the load. */
  get info(): ModelInfo {
    return guard(() => this.native.info);
  }

  /** Tokens of the context that are kept free for the reply. */
  get responseSpace(): number {
    return responseSpace(this.info.contextLength, this.minResponseSpace);
  }

  /** Tokens in `text`, special tokens not counted. */
  countTokens(text: string): number {
    return guard(() => this.native.countTokens(text));
  }

  /** The device's hottest core in °C at this moment; `undefined` on the CPU and where the device does not tell. */
  coreTemperature(): number | undefined {
    return this.thermometer?.now ?? guard(() => this.native.coreTemperature()) ?? undefined;
  }

  /** Token ids of `text`, as a message holds it: control tokens that it spells are ordinary text. */
  tokenize(text: string): number[] {
    return guard(() => this.native.tokenize(text));
  }

  /** The text of token ids, control tokens spelled out. */
  detokenize(ids: readonly number[]): string {
    return guard(() => this.native.detokenize([...ids]));
  }

  /** The prompt that the model's chat template makes of a whole conversation, control tokens spelled out. */
  applyTemplate(messages: readonly Message[]): string {
    return guard(() => this.native.applyTemplate([...messages]));
  }

  /**
   * A vector of length 1 for each text, by which texts of like meaning lie close together; the same to the bit
   * whatever goes with it. Texts of any number are read in groups, beside replies that are under way.
   *
   * Only on the CPU: a device gives the scores of tokens and nothing else (`embeddings_unsupported`). A text that is
   * empty, or longer than the context, is an error with its `index`; nothing is cut.
   */
  async embed(texts: readonly string[], { signal }: EmbedOptions = {}): Promise<Float32Array[]> {
    const vectors: Float32Array[] = [];
    for (const group of groupsOf(await this.embeddingTokens(texts))) {
      vectors.push(...(await this.embedTokens(group, { signal })));
    }
    return vectors;
  }

  /** The token ids that {@link embed} would read of each text, or of ids that are given; all of them checked. */
  embeddingTokens(
    inputs: readonly EmbedInput[],
    {
      truncate = false,
    }: { /** Keep the beginning of what is longer than the context. */ truncate?: boolean } = {},
  ): Promise<Uint32Array[]> {
    return embeddingTokens(this.native, inputs, truncate);
  }

  /** A vector for each of the {@link embeddingTokens}, all in one go. */
  embedTokens(inputs: readonly Uint32Array[], { signal }: EmbedOptions = {}): Promise<Float32Array[]> {
    return embedTokens(this.native, inputs, signal);
  }

  /** The card's system prompt, which a chat begins with unless it has one of its own. */
  get systemPrompt(): string | undefined {
    return this.defaultSystemPrompt;
  }

  /** A KV cache for whoever keeps the conversations elsewhere: what a prompt shares with the last one is not read again. */
  slot(): Slot {
    return new Slot(
      guard(() => this.native.session()),
      this.thermometer,
    );
  }

  /** Starts a conversation, with a KV cache of its own. */
  chat(options: ChatOptions = {}): Chat {
    return new Chat(
      guard(() => this.native.session()),
      { systemPrompt: this.defaultSystemPrompt, ...options },
      this.thermometer,
    );
  }

  /** One reply that stands alone: to a prompt, or to messages as they are given. */
  generate(prompt: string | readonly Message[], options: ReplyOptions = {}): ReplyStream {
    const { signal, ...parameters } = options;
    let session: NativeSession | undefined;
    const alone = newConversation(this.defaultSystemPrompt);
    const messages = typeof prompt === 'string' ? messagesFor(alone, prompt) : [...prompt];
    return new ReplyStream({
      signal,
      start: () => {
        session = this.native.session();
        return session.reply(messages, parameters);
      },
      finish: () => session?.dispose(),
      temperature: () => this.thermometer?.latest(),
    });
  }

  /** Frees device and memory; a reply still running ends. Safe to call twice. */
  dispose(): void {
    this.thermometer?.stop();
    this.native.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** One conversation: remembers its turns, and answers one message at a time. */
export class Chat {
  /** What was said. May be set between two replies: to undo, to branch off, to go on with a saved one. */
  conversation: Conversation;
  private readonly defaults: GenerateOptions;
  private busy = false;

  constructor(
    private readonly session: NativeSession,
    { systemPrompt, history = true, conversation, ...defaults }: ChatOptions,
    private readonly thermometer?: Thermometer,
  ) {
    this.conversation = conversation ?? newConversation(systemPrompt, history);
    this.defaults = defaults;
  }

  /** The turns so far, oldest first, without the system prompt. */
  get messages(): readonly Message[] {
    return spoken(this.conversation);
  }

  /** Sends a message. The reply starts when it is iterated; a stopped reply counts as said, a failed one not. */
  send(text: string, options: ReplyOptions = {}): ReplyStream {
    const { signal, ...parameters } = options;
    const stream = new ReplyStream({
      signal,
      start: () => {
        if (this.busy) {
          throw new AxllmError('busy', 'This chat is still answering', {
            hint: 'read the reply to its end, cancel it, or start another chat',
          });
        }
        this.busy = true;
        mine = true;
        return this.session.reply(messagesFor(this.conversation, text), { ...this.defaults, ...parameters });
      },
      finish: (said, result) => {
        if (!mine) return;
        this.busy = false;
        if (result ?? signal?.aborted) this.conversation = withTurn(this.conversation, text, said);
      },
      temperature: () => this.thermometer?.latest(),
    });
    let mine = false;
    return stream;
  }

  /** Forgets every turn and what the device remembers of them. */
  clear(): void {
    this.conversation = cleared(this.conversation);
    guard(() => this.session.reset());
  }

  dispose(): void {
    this.session.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
