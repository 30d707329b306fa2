//! Writes GGUF files for tests: any metadata and tensors, and a whole tiny Llama.

/// A GGUF file under construction; nothing is checked, so that broken files can be made too.
#[derive(Clone, Debug)]
pub struct GgufWriter {
    /// `general.alignment` and the padding of tensors.
    pub alignment: usize,
    /// Version in the header.
    pub version: u32,
    entries: Vec<Vec<u8>>,
    tensors: Vec<(String, Vec<u64>, u32, Vec<u8>)>,
}

/// ggml's type codes, as far as tests need them.
pub mod kind {
    /// `GGUF_METADATA_VALUE_TYPE_*`
    pub const U16: u32 = 2;
    /// As above; so for the others.
    pub const U32: u32 = 4;
    /// As above.
    pub const I32: u32 = 5;
    /// 32-bit float.
    pub const F32: u32 = 6;
    /// One byte, 0 or 1.
    pub const BOOL: u32 = 7;
    /// Length and UTF-8.
    pub const STRING: u32 = 8;
    /// Kind, count and values.
    pub const ARRAY: u32 = 9;
}

impl Default for GgufWriter {
    fn default() -> Self {
        Self { alignment: 32, version: 3, entries: Vec::new(), tensors: Vec::new() }
    }
}

/// Length and bytes.
pub fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

impl GgufWriter {
    /// An entry whose value is these very bytes.
    pub fn raw(mut self, key: &str, kind: u32, value: &[u8]) -> Self {
        self.entries.push([&string(key)[..], &kind.to_le_bytes(), value].concat());
        self
    }

    /// A text.
    pub fn string(self, key: &str, value: &str) -> Self {
        self.raw(key, kind::STRING, &string(value))
    }

    /// A whole number.
    pub fn u32(self, key: &str, value: u32) -> Self {
        self.raw(key, kind::U32, &value.to_le_bytes())
    }

    /// A float.
    pub fn f32(self, key: &str, value: f32) -> Self {
        self.raw(key, kind::F32, &value.to_le_bytes())
    }

    /// A truth value.
    pub fn bool(self, key: &str, value: bool) -> Self {
        self.raw(key, kind::BOOL, &[value.into()])
    }

    /// An array whose values are these very bytes.
    pub fn array(self, key: &str, kind: u32, count: u64, values: &[u8]) -> Self {
        let value = [&kind.to_le_bytes()[..], &count.to_le_bytes(), values].concat();
        self.raw(key, kind::ARRAY, &value)
    }

    /// Texts.
    pub fn strings<T: AsRef<str>>(self, key: &str, values: &[T]) -> Self {
        let bytes: Vec<u8> = values.iter().flat_map(|value| string(value.as_ref())).collect();
        self.array(key, kind::STRING, values.len() as u64, &bytes)
    }

    /// A tensor, innermost dimension first, in ggml's type `code`.
    pub fn tensor(mut self, name: &str, dims: &[u64], code: u32, data: Vec<u8>) -> Self {
        self.tensors.push((name.into(), dims.into(), code, data));
        self
    }

    /// The same as `parts` files: all metadata in the first, tensors shared out.
    pub fn split(&self, parts: usize) -> Vec<Self> {
        let number =
            |writer: Self, key: &str, value: usize| writer.raw(key, kind::U16, &(value as u16).to_le_bytes());
        let of = |part: usize| {
            let entries = if part == 0 { self.entries.clone() } else { Vec::new() };
            let tensors = self.tensors.iter().skip(part).step_by(parts).cloned().collect();
            let writer = Self { entries, tensors, ..self.clone() };
            number(number(writer, "split.no", part), "split.count", parts)
        };
        (0..parts).map(of).collect()
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(self.version.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.entries.len() as u64).to_le_bytes());
        out.extend(self.entries.concat());
        let mut data = Vec::new();
        for (name, dims, code, bytes) in &self.tensors {
            data.resize(data.len().next_multiple_of(self.alignment), 0);
            out.extend(string(name));
            out.extend((dims.len() as u32).to_le_bytes());
            out.extend(dims.iter().flat_map(|dim| dim.to_le_bytes()));
            out.extend(code.to_le_bytes());
            out.extend((data.len() as u64).to_le_bytes());
            data.extend(bytes);
        }
        out.resize(out.len().next_multiple_of(self.alignment), 0);
        out.extend(data);
        out
    }
}

/// A tiny Llama: grouped-query attention, tied head, random weights that are the same in every run.
pub mod tiny {
    use super::GgufWriter;

    /// Decoder blocks.
    pub const LAYERS: usize = 2;
    /// Width of the residual stream.
    pub const DIM: usize = 64;
    /// Tokens.
    pub const VOCAB: usize = 64;
    /// Positions that it was "trained" for.
    pub const CONTEXT: usize = 64;
    const HEADS: usize = 4;
    /// Heads of keys and values.
    pub const KV_HEADS: usize = 2;
    const FF: usize = 96;
    /// Values of all key (or value) heads of a position.
    pub const KV_DIM: usize = DIM / HEADS * KV_HEADS;

    /// From -1 to 1, and the same in every run (Knuth's linear congruential generator).
    pub fn random(seed: &mut u64) -> f32 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((*seed >> 40) as f32 / (1u32 << 23) as f32) - 1.0
    }

    /// The metadata alone.
    pub fn metadata() -> GgufWriter {
        GgufWriter::default()
            .string("general.architecture", "llama")
            .u32("llama.block_count", LAYERS as u32)
            .u32("llama.context_length", CONTEXT as u32)
            .u32("llama.embedding_length", DIM as u32)
            .u32("llama.feed_forward_length", FF as u32)
            .u32("llama.attention.head_count", HEADS as u32)
            .u32("llama.attention.head_count_kv", KV_HEADS as u32)
            .f32("llama.rope.freq_base", 10_000.0)
            .u32("llama.rope.dimension_count", (DIM / HEADS) as u32)
            .f32("llama.attention.layer_norm_rms_epsilon", 1e-5)
            .u32("llama.vocab_size", VOCAB as u32)
    }

    /// Names and dimensions of all tensors, innermost dimension first; the norms have one dimension.
    pub fn tensors() -> Vec<(String, Vec<u64>)> {
        let (dim, ff, kv) = (DIM as u64, FF as u64, KV_DIM as u64);
        let mut tensors = vec![
            ("token_embd.weight".into(), vec![dim, VOCAB as u64]),
            ("output_norm.weight".into(), vec![dim]),
        ];
        for layer in 0..LAYERS {
            for (name, dims) in [
                ("attn_norm", vec![dim]),
                ("ffn_norm", vec![dim]),
                ("attn_q", vec![dim, dim]),
                ("attn_k", vec![dim, kv]),
                ("attn_v", vec![dim, kv]),
                ("attn_output", vec![dim, dim]),
                ("ffn_gate", vec![dim, ff]),
                ("ffn_up", vec![dim, ff]),
                ("ffn_down", vec![ff, dim]),
            ] {
                tensors.push((format!("blk.{layer}.{name}.weight"), dims));
            }
        }
        tensors
    }

    /// The whole model with `encode(values) -> (type code, bytes)` for the matrices; norms are 32-bit floats.
    pub fn model(mut encode: impl FnMut(&[f32]) -> (u32, Vec<u8>)) -> GgufWriter {
        let mut seed = 1;
        tensors().into_iter().fold(metadata(), |writer, (name, dims)| {
            let norm = if dims.len() == 1 { 1.0 } else { 0.0 };
            let count = dims.iter().product::<u64>();
            let values: Vec<f32> = (0..count).map(|_| norm + 0.3 * random(&mut seed)).collect();
            let (code, bytes) = if dims.len() == 1 { floats(&values) } else { encode(&values) };
            writer.tensor(&name, &dims, code, bytes)
        })
    }

    /// 32-bit floats, to give to [`model`].
    pub fn floats(values: &[f32]) -> (u32, Vec<u8>) {
        (0, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }
}
