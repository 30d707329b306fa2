/** What the types of the module promise: compiled, never run. `api-docs.spec.ts` compiles it against the built package. */
import {
  AxllmError,
  listDevices,
  load,
  type Chat,
  type Chunk,
  type DeviceInfo,
  type Message,
  type Model,
  type ReplyResult,
  type ReplyStream,
  type Slot,
} from '../../ts/index.js';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const holds = <Claim extends true>(_claim?: Claim) => undefined;

export async function promises(): Promise<void> {
  const model = await load('name', { pipeline: 'auto', device: 'sim', offline: true, threads: 2 });
  holds<Same<typeof model, Model>>();
  holds<Same<Awaited<ReturnType<typeof listDevices>>, DeviceInfo[]>>();
  using chat = model.chat({ temperature: 0.5, history: false, systemPrompt: 'x', onOverflow: 'error' });
  holds<Same<typeof chat, Chat>>();
  const reply = chat.send('Hi', {
    signal: AbortSignal.timeout(1),
    seed: 1,
    stop: ['x'],
    logitBias: { 1: -1 },
  });
  holds<Same<typeof reply, ReplyStream>>();
  for await (const chunk of reply) {
    holds<Same<typeof chunk, Chunk>>();
    holds<Same<typeof chunk.text, string>>();
  }
  const result = await reply.result;
  holds<Same<typeof result, ReplyResult>>();
  holds<Same<typeof result.finishReason, 'stop' | 'length' | 'cancelled'>>();
  holds<Same<typeof result.coreTemperature, number | undefined>>();
  const messages: readonly Message[] = [{ role: 'user', content: 'Hi' }];
  holds<Same<ReturnType<typeof model.generate>, ReplyStream>>();
  await model.generate(messages).text();
  using slot: Slot = model.slot();
  slot.reply({ text: 'x' });
  slot.reply({ messages }, { logprobs: 2 });
  const vectors = await model.embed(['x'], { signal: AbortSignal.timeout(1) });
  holds<Same<typeof vectors, Float32Array[]>>();
  const ids = await model.embeddingTokens(['x', [1, 2]], { truncate: true });
  holds<Same<typeof ids, Uint32Array[]>>();
  await model.embedTokens(ids);
  const error = new AxllmError('code', 'text', { hint: 'x' });
  holds<Same<typeof error.code, string>>();
  holds<Same<typeof error.hint, string | undefined>>();

  // @ts-expect-error a role is one of three
  await model.generate([{ role: 'tool', content: 'x' }]).text();
  // @ts-expect-error pipelines are named
  await load('name', { pipeline: 'gpu' });
  // @ts-expect-error a temperature is a number
  chat.send('Hi', { temperature: 'hot' });
  // @ts-expect-error an option that there is none of
  chat.send('Hi', { temprature: 1 });
  // @ts-expect-error a list of texts
  await model.embed('x');
  // @ts-expect-error neither a text nor messages
  slot.reply({});
  // @ts-expect-error a policy is one of two
  model.chat({ onOverflow: 'cut' });
  // @ts-expect-error what a reply was is not to be changed
  reply.result = undefined;
}
