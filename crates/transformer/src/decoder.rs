//! The decoder block: norm, attention, norm, feed-forward, each added to the residual stream.

use kernels::{Activations, Aligned, Attention, Compute, KvCache, Lane, Linear, Packed, Phase};

use crate::{
    config::Config,
    rope::{Rope, rotate},
    weights::{Block, Weights},
};

/// What a forward pass reads.
pub(crate) struct Decoder<'a> {
    pub(crate) config: &'a Config,
    pub(crate) weights: &'a Weights,
    pub(crate) rope: &'a Rope,
    pub(crate) compute: &'a Compute,
    pub(crate) phase: Phase,
}

/// Buffers of a pass over `tokens` positions, kept from one pass to the next: new memory comes page by page, and a page
/// costs as much as a row of work.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// `[tokens, embedding_dim]`: the residual stream.
    pub(crate) x: Aligned<f32>,
    /// `[tokens, q_dim]`
    q: Aligned<f32>,
    /// `[tokens, kv_dim]`
    k: Aligned<f32>,
    /// `[tokens, kv_dim]`
    v: Aligned<f32>,
    /// `[tokens, q_dim]`: what attention gives, where it is kept.
    attended: Aligned<f32>,
    /// `[tokens][rope_dim / 2]`
    angles: Vec<Vec<[f32; 2]>>,
    activations: Activations,
    /// What the feed-forward network's last product takes.
    hidden: Activations,
    /// `[rows, vocab_size]` of several sequences.
    pub(crate) logits: Aligned<f32>,
}

impl Scratch {
    /// Makes room for a pass over `tokens` positions; the contents are left over from another.
    pub(crate) fn fit(&mut self, config: &Config, tokens: usize) {
        self.x.resize(tokens * config.embedding_dim, 0.0);
        self.q.resize(tokens * config.q_dim(), 0.0);
        self.k.resize(tokens * config.kv_dim(), 0.0);
        self.v.resize(tokens * config.kv_dim(), 0.0);
        self.angles.resize(tokens, Vec::new());
    }

    /// Keeps some rows of the residual stream; the rest follows.
    fn keep(&mut self, rows: &[usize], config: &Config) {
        let dim = config.embedding_dim;
        for (to, from) in rows.iter().enumerate() {
            self.x.copy_within(from * dim..(from + 1) * dim, to * dim);
            self.angles.swap(to, *from);
        }
        self.x.truncate(rows.len() * dim);
        self.angles.truncate(rows.len());
        self.q.truncate(rows.len() * config.q_dim());
    }
}

impl Decoder<'_> {
    /// Runs the rows of `s.x`, one a lane, through every block and stores their keys and values; the caller advances
    /// the sequences. What is left in `s.x` are the rows `wanted`, in ascending order: the last block computes no others.
    pub(crate) fn blocks(
        &self,
        (caches, capacities): (&mut [&mut KvCache], &[usize]),
        mut lanes: Vec<Lane>,
        wanted: &[usize],
        s: &mut Scratch,
    ) {
        for (lane, angles) in lanes.iter().zip(&mut s.angles) {
            self.rope.angles(capacities[lane.sequence], lane.position, angles);
        }
        let last = self.weights.blocks.len() - 1;
        for (layer, block) in self.weights.blocks.iter().enumerate() {
            self.normed(&s.x, &block.attn_norm, &[&block.q, &block.k, &block.v], &mut s.activations);
            if layer == last && wanted.len() < lanes.len() {
                let products = [(&block.k, &mut s.k[..]), (&block.v, &mut s.v)];
                self.product(&s.activations, products, &[&block.q]);
                self.store(layer, block, caches, &lanes, s);
                s.keep(wanted, self.config);
                lanes = wanted.iter().map(|row| lanes[*row]).collect();
                if lanes.is_empty() {
                    return;
                }
                self.normed(&s.x, &block.attn_norm, &[&block.q], &mut s.activations);
                self.product(&s.activations, [(&block.q, &mut s.q)], &[&block.attn_output]);
            } else {
                let products = [(&block.q, &mut s.q[..]), (&block.k, &mut s.k), (&block.v, &mut s.v)];
                self.product(&s.activations, products, &[&block.attn_output]);
                self.store(layer, block, caches, &lanes, s);
            }
            self.attend(layer, block, caches, &lanes, s);
            self.feed_forward(layer, block, s);
        }
    }

    /// Logits (`[rows, vocab_size]`) of the rows that [`Decoder::blocks`] left.
    pub(crate) fn head(&self, s: &mut Scratch, logits: &mut [f32]) {
        self.normed(&s.x, &self.weights.output_norm, &[&self.weights.head], &mut s.activations);
        self.product(&s.activations, [(&self.weights.head, logits)], &self.inputs(0));
    }

    /// What the head would read of some rows that [`Decoder::blocks`] left; both are `[rows, embedding_dim]`.
    pub(crate) fn states(&self, x: &[f32], states: &mut [f32]) {
        let (dim, eps) = (self.config.embedding_dim, self.config.norm_eps);
        for (row, state) in x.chunks_exact(dim).zip(states.chunks_exact_mut(dim)) {
            self.compute.rms_norm(row, (&self.weights.output_norm, eps), 0..dim, state);
        }
    }

    /// Makes the norm of each row of `x` the input of products with `weights`.
    fn normed(&self, x: &[f32], norm: &[f32], weights: &[&Packed], activations: &mut Activations) {
        let (dim, eps) = (self.config.embedding_dim, self.config.norm_eps);
        let kinds: Vec<_> = weights.iter().map(|weights| weights.kind()).collect();
        self.compute.activate(
            activations,
            (x.len() / dim, dim),
            (&kinds, self.phase),
            |token, columns, row| {
                self.compute.rms_norm(&x[token * dim..][..dim], (norm, eps), columns, row);
            },
        );
    }

    /// Turns the keys and stores them with the values.
    fn store(
        &self,
        layer: usize,
        block: &Block,
        caches: &mut [&mut KvCache],
        lanes: &[Lane],
        s: &mut Scratch,
    ) {
        let (angles, head_dim) = (&s.angles, self.config.head_dim);
        if let Some([.., bias]) = &block.biases {
            s.v.chunks_exact_mut(bias.len()).for_each(|values| add(values, bias));
        }
        self.compute.store(caches, layer, lanes, (&mut s.k, &s.v), |n, head, keys| {
            self.prepared(
                keys,
                block.biases.as_ref().map(|[_, k, _]| &k[head * head_dim..][..head_dim]),
                block.head_norms.as_ref().map(|[_, k]| k),
            );
            rotate(keys, head_dim, &angles[n]);
        });
    }

    fn attend(
        &self,
        layer: usize,
        block: &Block,
        caches: &mut [&mut KvCache],
        lanes: &[Lane],
        s: &mut Scratch,
    ) {
        let (head_dim, q_dim) = (self.config.head_dim, self.config.q_dim());
        let angles = &s.angles;
        self.compute.rows(&mut s.q, q_dim, |n, row| {
            self.prepared(
                row,
                block.biases.as_ref().map(|[q, ..]| &q[..]),
                block.head_norms.as_ref().map(|[q, _]| q),
            );
            rotate(row, head_dim, &angles[n]);
        });
        let caches: Vec<_> = caches.iter().map(|cache| &**cache).collect();
        let scale = 1.0 / (head_dim as f32).sqrt();
        let (caches, queries) = (&caches[..], &s.q[..]);
        let (window, phase) = (self.config.window(layer), self.phase);
        let job = Attention { caches, layer, lanes, window, queries, scale, phase };
        let kinds = [block.attn_output.kind()];
        self.compute.attended(&mut s.activations, &kinds, &job, &mut s.attended);
        self.compute.expect_gated([&block.gate, &block.up]);
        self.add_product(&s.activations, &block.attn_output, &mut s.x);
    }

    /// Adds the bias to a position's queries or keys and norms each head, where the model does.
    fn prepared(&self, heads: &mut [f32], bias: Option<&[f32]>, norm: Option<&Vec<f32>>) {
        if let Some(bias) = bias {
            add(heads, bias);
        }
        if let Some(norm) = norm {
            for head in heads.chunks_exact_mut(norm.len()) {
                let own = head.to_vec();
                self.compute.rms_norm(&own, (norm, self.config.norm_eps), 0..norm.len(), head);
            }
        }
    }

    fn feed_forward(&self, layer: usize, block: &Block, s: &mut Scratch) {
        let Block { gate, up, down, .. } = block;
        self.normed(&s.x, &block.ff_norm, &[gate, up], &mut s.activations);
        self.compute.expect(&[down]);
        let next = (&[down.kind()][..], self.phase);
        self.compute.gated(&mut s.hidden, next, [gate, up], &s.activations);
        self.compute.expect(&self.inputs(layer + 1));
        self.add_product(&s.hidden, down, &mut s.x);
    }

    /// What block `layer` reads first; after the last block it is the head.
    fn inputs(&self, layer: usize) -> Vec<&Packed> {
        match self.weights.blocks.get(layer) {
            Some(block) => vec![&block.q, &block.k, &block.v],
            None => vec![&self.weights.head],
        }
    }

    /// `out = weights · input` for each pair, all in one loop; the product after it reads `next`.
    fn product<const N: usize>(
        &self,
        input: &Activations,
        pairs: [(&Packed, &mut [f32]); N],
        next: &[&Packed],
    ) {
        self.compute.expect(next);
        self.compute.linear(&mut pairs.map(|(weights, out)| Linear { weights, out, add: false }), input);
    }

    /// `x += weights · input`
    fn add_product(&self, input: &Activations, weights: &Packed, x: &mut [f32]) {
        self.compute.linear(&mut [Linear { weights, out: x, add: true }], input);
    }
}

fn add(values: &mut [f32], bias: &[f32]) {
    values.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
}
