//! The decoder block: norm, attention, norm, feed-forward, each added to the residual stream.

use kernels::{Activations, Attention, Compute, KvLayout, Linear, Packed};

use crate::{
    config::Config,
    rope::{Rope, rotate},
    sequence::Sequence,
    weights::{Block, Weights},
};

/// What a forward pass reads.
pub(crate) struct Decoder<'a> {
    pub(crate) config: &'a Config,
    pub(crate) weights: &'a Weights,
    pub(crate) rope: &'a Rope,
    pub(crate) compute: &'a Compute,
}

/// Where a row of a pass belongs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lane {
    /// Which of the pass's sequences.
    pub(crate) sequence: usize,
    /// Which position of it.
    pub(crate) position: usize,
}

/// Buffers of a pass over `tokens` positions, allocated once a pass.
pub(crate) struct Scratch {
    /// `[tokens, embedding_dim]`: the residual stream.
    pub(crate) x: Vec<f32>,
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
    /// Runs the rows of `s.x`, one a lane, through every block and stores their keys and values; the caller advances
    /// the sequences.
    pub(crate) fn blocks(&self, sequences: &mut [&mut Sequence], lanes: &[Lane], s: &mut Scratch) {
        for (lane, angles) in lanes.iter().zip(&mut s.angles) {
            self.rope.angles(sequences[lane.sequence].capacity(), lane.position, angles);
        }
        for (layer, block) in self.weights.blocks.iter().enumerate() {
            self.attention(layer, block, sequences, lanes, s);
            self.feed_forward(block, s);
        }
    }

    /// Logits (`[rows, vocab_size]`) of some rows of `s.x`, in ascending order.
    pub(crate) fn head(&self, s: &mut Scratch, rows: &[usize], logits: &mut [f32]) {
        let dim = self.config.embedding_dim;
        for (to, from) in rows.iter().enumerate() {
            s.x.copy_within(from * dim..(from + 1) * dim, to * dim);
        }
        let x = &s.x[..rows.len() * dim];
        self.normed(x, &self.weights.output_norm, &[&self.weights.head], &mut s.activations);
        product(self.compute, &s.activations, [(&self.weights.head, logits)]);
    }

    /// Makes the norm of each row of `x` the input of products with `weights`.
    fn normed(&self, x: &[f32], norm: &[f32], weights: &[&Packed], activations: &mut Activations) {
        let (dim, eps) = (self.config.embedding_dim, self.config.norm_eps);
        let kinds: Vec<_> = weights.iter().map(|weights| weights.kind()).collect();
        self.compute.activate(activations, (x.len() / dim, dim), &kinds, |token, row| {
            self.compute.rms_norm(&x[token * dim..][..dim], norm, eps, row);
        });
    }

    fn attention(
        &self,
        layer: usize,
        block: &Block,
        sequences: &mut [&mut Sequence],
        lanes: &[Lane],
        s: &mut Scratch,
    ) {
        let Config { kv_heads, head_dim, .. } = *self.config;
        self.normed(&s.x, &block.attn_norm, &[&block.q, &block.k, &block.v], &mut s.activations);
        let products = [(&block.q, &mut s.q[..]), (&block.k, &mut s.k), (&block.v, &mut s.v)];
        product(self.compute, &s.activations, products);

        let (q_dim, kv_dim) = (self.config.q_dim(), self.config.kv_dim());
        for (n, (lane, angles)) in lanes.iter().zip(&s.angles).enumerate() {
            let queries = &mut s.q[n * q_dim..][..q_dim];
            let (keys, values) = (&mut s.k[n * kv_dim..][..kv_dim], &mut s.v[n * kv_dim..][..kv_dim]);
            if let Some([q, k, v]) = &block.biases {
                add(queries, q);
                add(keys, k);
                add(values, v);
            }
            if let Some([q, k]) = &block.head_norms {
                self.norm_heads(queries, q);
                self.norm_heads(keys, k);
            }
            rotate(queries, head_dim, angles);
            rotate(keys, head_dim, angles);
            sequences[lane.sequence].store(layer, lane.position, keys, values);
        }

        let (sequences, queries) = (&*sequences, &s.q);
        let group = q_dim / kv_heads;
        let window = self.config.window(layer).unwrap_or(usize::MAX);
        self.compute.attend(&mut s.attended, group, |n| {
            let (lane, head) = (lanes[n / kv_heads], n % kv_heads);
            let seen = lane.position + 1;
            let (keys, values) =
                sequences[lane.sequence].head(layer, head, seen.saturating_sub(window)..seen);
            Attention {
                queries: &queries[n * group..][..group],
                kv: KvLayout { keys, values },
                head_dim,
                scale: 1.0 / (head_dim as f32).sqrt(),
            }
        });
        let attended = &s.attended;
        let kinds = [block.attn_output.kind()];
        self.compute.activate(&mut s.activations, (s.angles.len(), q_dim), &kinds, |token, row| {
            row.copy_from_slice(&attended[token * q_dim..][..q_dim]);
        });
        add_product(self.compute, &s.activations, &block.attn_output, &mut s.x);
    }

    fn norm_heads(&self, heads: &mut [f32], norm: &[f32]) {
        for head in heads.chunks_exact_mut(norm.len()) {
            let own = head.to_vec();
            self.compute.rms_norm(&own, norm, self.config.norm_eps, head);
        }
    }

    fn feed_forward(&self, block: &Block, s: &mut Scratch) {
        self.normed(&s.x, &block.ff_norm, &[&block.gate, &block.up], &mut s.activations);
        product(self.compute, &s.activations, [(&block.gate, &mut s.gate[..]), (&block.up, &mut s.up)]);
        let (gate, up, width) = (&s.gate, &s.up, self.config.ff_dim);
        let kinds = [block.down.kind()];
        self.compute.activate(&mut s.activations, (s.angles.len(), width), &kinds, |token, row| {
            let at = token * width..(token + 1) * width;
            row.copy_from_slice(&gate[at.clone()]);
            self.compute.swiglu(row, &up[at]);
        });
        add_product(self.compute, &s.activations, &block.down, &mut s.x);
    }
}

fn add(values: &mut [f32], bias: &[f32]) {
    values.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
}

/// `out = weights · input` for each pair, all in one loop.
fn product<const N: usize>(compute: &Compute, input: &Activations, pairs: [(&Packed, &mut [f32]); N]) {
    let mut jobs = pairs.map(|(weights, out)| Linear { weights, out, add: false });
    compute.linear(&mut jobs, input);
}

/// `x += weights · input`
fn add_product(compute: &Compute, input: &Activations, weights: &Packed, x: &mut [f32]) {
    compute.linear(&mut [Linear { weights, out: x, add: true }], input);
}
