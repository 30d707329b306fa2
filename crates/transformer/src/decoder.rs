//! The decoder block: norm, attention, norm, feed-forward, each added to the residual stream.

use kernels::{Activations, Attention, Compute, KvLayout, Linear};

use crate::{
    config::Config,
    gguf::Gguf,
    rope::{Rope, rotate},
    sequence::Sequence,
    weights::{Block, Place, Weights},
};

/// What a forward pass reads.
pub(crate) struct Decoder<'a> {
    pub(crate) config: &'a Config,
    pub(crate) gguf: &'a Gguf,
    pub(crate) weights: &'a Weights,
    pub(crate) rope: &'a Rope,
    pub(crate) compute: &'a Compute,
}

/// Buffers of a pass over `tokens` positions, allocated once a pass.
pub(crate) struct Scratch {
    /// `[tokens, embedding_dim]`: the residual stream.
    pub(crate) x: Vec<f32>,
    /// `[tokens, embedding_dim]`: normed input of a product, then its output.
    y: Vec<f32>,
    /// `[tokens, q_dim]`
    q: Vec<f32>,
    /// `[tokens, kv_dim]`
    k: Vec<f32>,
    /// `[tokens, kv_dim]`
    v: Vec<f32>,
    /// `[tokens, q_dim]`: what attention gives.
    attended: Vec<f32>,
    /// `[tokens, ff_dim]`
    gate: Vec<f32>,
    /// `[tokens, ff_dim]`
    up: Vec<f32>,
    /// `[tokens][rope_dim / 2]`
    angles: Vec<Vec<[f32; 2]>>,
    activations: Activations,
}

impl Scratch {
    pub(crate) fn new(config: &Config, tokens: usize) -> Self {
        Self {
            x: vec![0.0; tokens * config.embedding_dim],
            y: vec![0.0; tokens * config.embedding_dim],
            q: vec![0.0; tokens * config.q_dim()],
            k: vec![0.0; tokens * config.kv_dim()],
            v: vec![0.0; tokens * config.kv_dim()],
            attended: vec![0.0; tokens * config.q_dim()],
            gate: vec![0.0; tokens * config.ff_dim],
            up: vec![0.0; tokens * config.ff_dim],
            angles: vec![Vec::new(); tokens],
            activations: Activations::default(),
        }
    }
}

impl Decoder<'_> {
    /// Runs the positions in `s.x` through every block and adds them to the sequence.
    pub(crate) fn blocks(&self, sequence: &mut Sequence, s: &mut Scratch) {
        let start = sequence.len();
        for (n, angles) in s.angles.iter_mut().enumerate() {
            self.rope.angles(start + n, angles);
        }
        for (layer, block) in self.weights.blocks.iter().enumerate() {
            self.attention(layer, block, sequence, s);
            self.feed_forward(block, s);
        }
        sequence.advance(s.angles.len());
    }

    /// Logits (`[positions, vocab_size]`) of the last positions in `s.x`, as many as `logits` has room for.
    pub(crate) fn head(&self, s: &mut Scratch, logits: &mut [f32]) {
        let dim = self.config.embedding_dim;
        let positions = logits.len() / self.config.vocab_size;
        let x = &s.x[s.x.len() - positions * dim..];
        let y = &mut s.y[..positions * dim];
        self.compute.rms_norm(x, &self.weights.output_norm, self.config.norm_eps, y);
        let head = &self.weights.head;
        self.compute.activate(&mut s.activations, y, dim, head.is_quantised());
        self.compute.linear(&mut [Linear { weights: head.of(self.gguf), out: logits }], &s.activations);
    }

    fn attention(&self, layer: usize, block: &Block, sequence: &mut Sequence, s: &mut Scratch) {
        let Config { embedding_dim, kv_heads, head_dim, norm_eps, .. } = *self.config;
        self.compute.rms_norm(&s.x, &block.attn_norm, norm_eps, &mut s.y);
        let quantised = [&block.q, &block.k, &block.v].iter().any(|place| place.is_quantised());
        self.compute.activate(&mut s.activations, &s.y, embedding_dim, quantised);
        let mut products = [
            Linear { weights: block.q.of(self.gguf), out: &mut s.q },
            Linear { weights: block.k.of(self.gguf), out: &mut s.k },
            Linear { weights: block.v.of(self.gguf), out: &mut s.v },
        ];
        self.compute.linear(&mut products, &s.activations);

        let start = sequence.len();
        let (q_dim, kv_dim) = (self.config.q_dim(), self.config.kv_dim());
        for (n, angles) in s.angles.iter().enumerate() {
            rotate(&mut s.q[n * q_dim..][..q_dim], head_dim, angles);
            let keys = &mut s.k[n * kv_dim..][..kv_dim];
            rotate(keys, head_dim, angles);
            sequence.store(layer, start + n, keys, &s.v[n * kv_dim..][..kv_dim]);
        }

        let (sequence, queries) = (&*sequence, &s.q);
        let group = q_dim / kv_heads;
        self.compute.attend(&mut s.attended, group, |n| {
            let (token, head) = (n / kv_heads, n % kv_heads);
            let (keys, values) = sequence.head(layer, head, start + token + 1);
            Attention {
                queries: &queries[n * group..][..group],
                kv: KvLayout { keys, values },
                head_dim,
                scale: 1.0 / (head_dim as f32).sqrt(),
            }
        });
        self.add_product(&block.attn_output, &s.attended, &mut s.activations, &mut s.y, &mut s.x);
    }

    fn feed_forward(&self, block: &Block, s: &mut Scratch) {
        let dim = self.config.embedding_dim;
        self.compute.rms_norm(&s.x, &block.ff_norm, self.config.norm_eps, &mut s.y);
        let quantised = block.gate.is_quantised() || block.up.is_quantised();
        self.compute.activate(&mut s.activations, &s.y, dim, quantised);
        let mut products = [
            Linear { weights: block.gate.of(self.gguf), out: &mut s.gate },
            Linear { weights: block.up.of(self.gguf), out: &mut s.up },
        ];
        self.compute.linear(&mut products, &s.activations);
        self.compute.swiglu(&mut s.gate, &s.up);
        self.add_product(&block.down, &s.gate, &mut s.activations, &mut s.y, &mut s.x);
    }

    /// `x += weights · input`, `y` as scratch.
    fn add_product(&self, place: &Place, input: &[f32], a: &mut Activations, y: &mut [f32], x: &mut [f32]) {
        let weights = place.of(self.gguf);
        self.compute.activate(a, input, weights.cols(), place.is_quantised());
        self.compute.linear(&mut [Linear { weights, out: y }], a);
        for (x, y) in x.iter_mut().zip(y) {
            *x += *y;
        }
    }
}
