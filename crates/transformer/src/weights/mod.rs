//! The decoder's weights, packed once when the model is loaded; shapes checked.

mod cache;
mod order;
mod reader;

use kernels::{Compute, Format, Matrix, Packed};

use crate::{checkpoint::Checkpoint, config::Config, error::LoadError, model::LoadOptions, tensor::Span};
use order::Order;
use reader::{Fused, Reader};

/// A matrix that stays in the mapped file: the embedding table, of which a pass reads a row a token.
#[derive(Clone, Debug)]
struct Place {
    format: Format,
    rows: usize,
    cols: usize,
    span: Span,
}

impl Place {
    fn of<'a>(&self, checkpoint: &'a Checkpoint) -> Matrix<'a> {
        Matrix::new(self.format, self.rows, self.cols, checkpoint.slice(&self.span))
            .expect("the shape was checked against the bytes when the model was loaded")
    }
}

/// One decoder block.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) attn_norm: Vec<f32>,
    pub(crate) q: Packed,
    pub(crate) k: Packed,
    pub(crate) v: Packed,
    /// Added to queries, keys and values (Qwen2).
    pub(crate) biases: Option<[Vec<f32>; 3]>,
    /// Norms of each head's queries and keys, before the rotation (Qwen3).
    pub(crate) head_norms: Option<[Vec<f32>; 2]>,
    pub(crate) attn_output: Packed,
    pub(crate) ff_norm: Vec<f32>,
    pub(crate) gate: Packed,
    pub(crate) up: Packed,
    pub(crate) down: Packed,
}

/// All weights of a model.
#[derive(Debug)]
pub(crate) struct Weights {
    /// `None`: the rows of the head are the embedding.
    embedding: Option<Place>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) output_norm: Vec<f32>,
    pub(crate) head: Packed,
}

impl Weights {
    /// Packs the matrices one by one and lets the files' pages go, so that no weight is resident twice; or maps what
    /// an earlier start has packed.
    pub(crate) fn read(
        checkpoint: &Checkpoint,
        config: &Config,
        compute: &Compute,
        options: &LoadOptions,
    ) -> Result<Self, LoadError> {
        let dim = config.embedding_dim;
        let mut reader = Reader::new(checkpoint, config, compute, options);
        let table = checkpoint.needed("token_embd.weight")?;
        table.expect(
            checkpoint.path(),
            &checkpoint.own_name("token_embd.weight"),
            &[dim, config.vocab_size],
        )?;
        let table = Place { format: table.format, rows: config.vocab_size, cols: dim, span: table.span };
        let blocks =
            (0..config.layers).map(|n| block(&mut reader, config, n)).collect::<Result<_, LoadError>>()?;
        let name = if config.tied_head { "token_embd.weight" } else { "output.weight" };
        let head = reader.matrix(name, dim, config.vocab_size)?;
        // a table that was rounded to become the head is still exact in the file
        let own = !config.tied_head || head.kind() != kernels::Kind::of(table.format);
        let output_norm = reader.vector("output_norm.weight", dim)?;
        let weights = Self { embedding: own.then_some(table), blocks, output_norm, head };
        reader.keep(&weights);
        Ok(weights)
    }

    /// The embedding of token `id`, which is in the vocabulary.
    pub(crate) fn embedding(&self, checkpoint: &Checkpoint, id: usize, out: &mut [f32]) {
        match &self.embedding {
            Some(place) => place.of(checkpoint).dequantise_row(id, out),
            None => self.head.dequantise_row(id, out),
        }
    }

    /// Every packed matrix, in the order in which they are read.
    fn packed(&self) -> impl Iterator<Item = &Packed> {
        self.blocks
            .iter()
            .flat_map(|b| [&b.q, &b.k, &b.v, &b.attn_output, &b.gate, &b.up, &b.down])
            .chain([&self.head])
    }
}

fn block(reader: &mut Reader<'_>, config: &Config, n: usize) -> Result<Block, LoadError> {
    let (dim, q_dim, kv_dim, ff) = (config.embedding_dim, config.q_dim(), config.kv_dim(), config.ff_dim);
    let (order, checkpoint) = (Order::of(config), reader.checkpoint);
    let name = |part: &str| format!("blk.{n}.{part}.weight");
    refuse_unused(checkpoint, n)?;
    let qkv = checkpoint.tensor(&name("attn_qkv"))?.is_some();
    let rows = q_dim + 2 * kv_dim;
    let mut attention = |part: &str, first: usize, rows_of: usize, order: Option<Order>| {
        let own = Fused { first, rows };
        if qkv {
            reader.ordered(&name("attn_qkv"), (dim, rows_of), Some(own), order)
        } else {
            reader.ordered(&name(part), (dim, rows_of), None, order)
        }
    };
    let q = attention("attn_q", 0, q_dim, Some(order))?;
    let k = attention("attn_k", q_dim, kv_dim, Some(order))?;
    let v = attention("attn_v", q_dim + kv_dim, kv_dim, None)?;
    let attn_output = reader.matrix(&name("attn_output"), q_dim, dim)?;
    let (gate, up) = if checkpoint.tensor(&name("ffn_gate"))?.is_some() {
        (reader.matrix(&name("ffn_gate"), dim, ff)?, reader.matrix(&name("ffn_up"), dim, ff)?)
    } else {
        let mut half =
            |first| reader.ordered(&name("ffn_up"), (dim, ff), Some(Fused { first, rows: 2 * ff }), None);
        (half(0)?, half(ff)?)
    };
    let down = reader.matrix(&name("ffn_down"), ff, dim)?;
    let optional = |part: &str, len: usize| -> Result<Option<Vec<f32>>, LoadError> {
        let name = format!("blk.{n}.{part}");
        if checkpoint.tensor(&name)?.is_some() { reader.vector(&name, len).map(Some) } else { Ok(None) }
    };
    let biases = match optional("attn_q.bias", q_dim)? {
        Some(q) => {
            let bias = |part: &str| reader.vector(&format!("blk.{n}.{part}.bias"), kv_dim);
            Some([order.vector(&q), order.vector(&bias("attn_k")?), bias("attn_v")?])
        }
        None => None,
    };
    let head_norms = match optional("attn_q_norm.weight", config.head_dim)? {
        Some(q) => {
            let k = reader.vector(&name("attn_k_norm"), config.head_dim)?;
            Some([order.vector(&q), order.vector(&k)])
        }
        None => None,
    };
    Ok(Block {
        attn_norm: reader.vector(&name("attn_norm"), dim)?,
        q,
        k,
        v,
        biases,
        head_norms,
        attn_output,
        ff_norm: reader.vector(&name("ffn_norm"), dim)?,
        gate,
        up,
        down,
    })
}

/// Parts that some files of the families have and this decoder would silently leave out.
fn refuse_unused(checkpoint: &Checkpoint, block: usize) -> Result<(), LoadError> {
    const UNUSED: [&str; 6] = [
        "attn_output.bias",
        "attn_qkv.bias",
        "ffn_gate.bias",
        "ffn_up.bias",
        "ffn_down.bias",
        "ffn_gate_inp.weight",
    ];
    for part in UNUSED {
        let name = format!("blk.{block}.{part}");
        if checkpoint.tensor(&name)?.is_some() {
            let name = checkpoint.own_name(&name);
            return Err(LoadError::UnusedTensor { path: checkpoint.path().into(), name });
        }
    }
    Ok(())
}
