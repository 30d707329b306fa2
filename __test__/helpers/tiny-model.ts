/**
 * A whole Llama in a file of 300 kB: random weights that are the same in every run, a byte-level tokenizer and
 * ChatML's template. It says nothing sensible, but always the same to the same prompt, a thousand tokens a second.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const dim = 64;
const heads = 4;
const kvHeads = 2;
const ff = 96;
export const tinyContext = 1024;

const template =
  "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

const printable = (byte: number) =>
  (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);

/** GPT-2's alphabet: a printable character for each byte. */
function byteAlphabet(): string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++));
}

const tokens = [...byteAlphabet(), '<|endoftext|>', '<|im_start|>', '<|im_end|>'];
export const tinyVocabulary = tokens.length;
const endId = 258;
const letters = 'etaoinshrdlu .,\n';

/** From -1 to 1, the same in every run. */
function randoms(): () => number {
  let state = 12345;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return state / 0x4000_0000 - 1;
  };
}

const u32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const u64 = (value: number) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};
const f32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
};
const text = (value: string) => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);
const entry = (key: string, kind: number, value: Buffer) => Buffer.concat([text(key), u32(kind), value]);
const list = (key: string, kind: number, values: Buffer[]) =>
  entry(key, 9, Buffer.concat([u32(kind), u64(values.length), ...values]));

function metadata(layers: number): Buffer[] {
  const number = (key: string, value: number) => entry(key, 4, u32(value));
  return [
    entry('general.architecture', 8, text('llama')),
    number('llama.block_count', layers),
    number('llama.context_length', tinyContext),
    number('llama.embedding_length', dim),
    number('llama.feed_forward_length', ff),
    number('llama.attention.head_count', heads),
    number('llama.attention.head_count_kv', kvHeads),
    entry('llama.rope.freq_base', 6, f32(10_000)),
    number('llama.rope.dimension_count', dim / heads),
    entry('llama.attention.layer_norm_rms_epsilon', 6, f32(1e-5)),
    number('llama.vocab_size', tokens.length),
    entry('tokenizer.ggml.model', 8, text('gpt2')),
    entry('tokenizer.ggml.pre', 8, text('gpt-2')),
    list('tokenizer.ggml.tokens', 8, tokens.map(text)),
    list(
      'tokenizer.ggml.token_type',
      5,
      tokens.map((_, id) => u32(id < 256 ? 1 : 3)),
    ),
    list('tokenizer.ggml.merges', 8, []),
    number('tokenizer.ggml.eos_token_id', endId),
    entry('tokenizer.chat_template', 8, text(template)),
  ];
}

const filled = (count: number, value: () => number) => Float32Array.from({ length: count }, value);

function tensors(layers: number, ends: boolean): [name: string, dims: number[], data: Float32Array][] {
  const random = randoms();
  const norm = (name: string): [string, number[], Float32Array] => [name, [dim], filled(dim, () => 1)];
  const matrix = (name: string, inner: number, outer: number): [string, number[], Float32Array] => [
    name,
    [inner, outer],
    filled(inner * outer, () => 0.4 * random()),
  ];
  const kv = (dim / heads) * kvHeads;
  const head = matrix('output.weight', dim, tokens.length);
  // letters and the end token are all that it ever says
  for (let id = 0; id < tokens.length; id++) {
    const said = id === endId || letters.includes(String.fromCharCode(id));
    const scale = id === endId ? (ends ? 0.7 : 0) : 1;
    for (let at = 0; at < dim; at++) head[2][id * dim + at]! *= said ? scale : 0;
  }
  const blocks = Array.from({ length: layers }, (_, layer) => {
    const name = (part: string) => `blk.${layer}.${part}.weight`;
    return [
      norm(name('attn_norm')),
      norm(name('ffn_norm')),
      matrix(name('attn_q'), dim, dim),
      matrix(name('attn_k'), dim, kv),
      matrix(name('attn_v'), dim, kv),
      matrix(name('attn_output'), dim, dim),
      matrix(name('ffn_gate'), dim, ff),
      matrix(name('ffn_up'), dim, ff),
      matrix(name('ffn_down'), ff, dim),
    ];
  });
  return [
    matrix('token_embd.weight', dim, tokens.length),
    norm('output_norm.weight'),
    head,
    ...blocks.flat(),
  ];
}

const aligned = (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc((32 - (bytes.length % 32)) % 32)]);

/**
 * Writes `tiny.gguf` into `folder` and gives its path; more layers make it slower. Where it is not to end (`ends`), the
 * end token is as unlikely as those that it never says: a few letters are above them at every place, so `--top-k 4`
 * makes sure of a reply as long as asked for.
 */
export function writeTinyModel(folder: string, layers = 2, ends = true): string {
  const entries = metadata(layers);
  const all = tensors(layers, ends);
  let offset = 0;
  const infos: Buffer[] = [];
  const data: Buffer[] = [];
  for (const [name, dims, values] of all) {
    const bytes = aligned(Buffer.from(values.buffer));
    infos.push(text(name), u32(dims.length), ...dims.map(u64), u32(0), u64(offset));
    data.push(bytes);
    offset += bytes.length;
  }
  const head = [Buffer.from('GGUF'), u32(3), u64(all.length), u64(entries.length), ...entries, ...infos];
  const path = join(folder, 'tiny.gguf');
  writeFileSync(path, Buffer.concat([aligned(Buffer.concat(head)), ...data]));
  return path;
}
