/** A random Llama of 150 kB with a byte-level tokenizer and a chat template: a whole model for tests of everything around it. */
import { writeFileSync } from 'node:fs';

const [layers, width, heads, kvHeads, inner, context] = [2, 64, 4, 2, 96, 512];
const specials = ['<|im_start|>', '<|im_end|>'];
const template =
  "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/** Writes the GGUF file. */
export function writeTinyModel(path: string): void {
  const tokens = [...byteTokens(), ...specials];
  const end = tokens.indexOf('<|im_end|>');
  const entries: Buffer[] = [
    text('general.architecture', 'llama'),
    number('llama.block_count', layers),
    number('llama.context_length', context),
    number('llama.embedding_length', width),
    number('llama.feed_forward_length', inner),
    number('llama.attention.head_count', heads),
    number('llama.attention.head_count_kv', kvHeads),
    number('llama.rope.dimension_count', width / heads),
    number('llama.vocab_size', tokens.length),
    float('llama.rope.freq_base', 10_000),
    float('llama.attention.layer_norm_rms_epsilon', 1e-5),
    text('tokenizer.ggml.model', 'gpt2'),
    text('tokenizer.ggml.pre', 'gpt-2'),
    array('tokenizer.ggml.tokens', 8, tokens.map(string)),
    array(
      'tokenizer.ggml.token_type',
      5,
      tokens.map((_, id) => u32(id < 256 ? 1 : 3)),
    ),
    array('tokenizer.ggml.merges', 8, []),
    number('tokenizer.ggml.eos_token_id', end),
    text('tokenizer.chat_template', template),
  ];
  const tensors = shapes(tokens.length);
  const head: Buffer[] = [Buffer.from('GGUF'), u32(3), u64(tensors.length), u64(entries.length), ...entries];
  const data: Buffer[] = [];
  let offset = 0;
  for (const [name, dims] of tensors) {
    head.push(string(name), u32(dims.length), ...dims.map(u64), u32(0), u64(offset));
    const values = randoms(
      dims.reduce((product, dim) => product * dim, 1),
      dims.length === 1 ? 1 : 0,
    );
    const bytes = padded(Buffer.from(values.buffer));
    data.push(bytes);
    offset += bytes.length;
  }
  writeFileSync(path, Buffer.concat([padded(Buffer.concat(head)), ...data]));
}

function shapes(vocabulary: number): [string, number[]][] {
  const kv = (width / heads) * kvHeads;
  const block: [string, number[]][] = [
    ['attn_norm', [width]],
    ['ffn_norm', [width]],
    ['attn_q', [width, width]],
    ['attn_k', [width, kv]],
    ['attn_v', [width, kv]],
    ['attn_output', [width, width]],
    ['ffn_gate', [width, inner]],
    ['ffn_up', [width, inner]],
    ['ffn_down', [inner, width]],
  ];
  const blocks = Array.from({ length: layers }, (_, at) =>
    block.map(([name, dims]): [string, number[]] => [`blk.${at}.${name}.weight`, dims]),
  );
  return [['token_embd.weight', [width, vocabulary]], ['output_norm.weight', [width]], ...blocks.flat()];
}

let state = 1;

/** The same in every run. */
function randoms(count: number, centre: number): Float32Array {
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return centre + 0.3 * (state / 2 ** 31 - 1);
  });
}

/** The spelling of the 256 bytes in GPT-2's alphabet. */
function byteTokens(): string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
    return String.fromCodePoint(printable ? byte : next++);
  });
}

function u32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value);
  return buffer;
}

function u64(value: number): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(BigInt(value));
  return buffer;
}

function string(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([u64(bytes.length), bytes]);
}

const text = (key: string, value: string) => Buffer.concat([string(key), u32(8), string(value)]);
const number = (key: string, value: number) => Buffer.concat([string(key), u32(4), u32(value)]);

function float(key: string, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return Buffer.concat([string(key), u32(6), bytes]);
}

function array(key: string, kind: number, values: Buffer[]): Buffer {
  return Buffer.concat([string(key), u32(9), u32(kind), u64(values.length), ...values]);
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((32 - (bytes.length % 32)) % 32)]);
}
