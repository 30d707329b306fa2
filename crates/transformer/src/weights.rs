//! The decoder's weights, packed once when the model is loaded; shapes checked.

use std::{ops::Range, sync::Arc};

use kernels::{Arena, Compute, Format, Matrix, Packed};

use crate::{config::Config, error::LoadError, gguf::Gguf};

/// A matrix that stays in the mapped file: the embedding table, of which a pass reads a row a token.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    format: Format,
    rows: usize,
    cols: usize,
    range: Range<usize>,
}

impl Place {
    fn of<'a>(&self, gguf: &'a Gguf) -> Matrix<'a> {
        Matrix::new(self.format, self.rows, self.cols, gguf.slice(self.range.clone()))
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
    /// Divisors of the rotation's frequencies (Llama 3's scaling), one a pair of values.
    pub(crate) rope_factors: Option<Vec<f32>>,
}

impl Weights {
    /// Packs the matrices one by one and lets the file's pages go, so that no weight is resident twice.
    pub(crate) fn read(gguf: &Arc<Gguf>, config: &Config, compute: &Compute) -> Result<Self, LoadError> {
        let dim = config.embedding_dim;
        let mut arena = Arena::expecting(gguf.file_size() as usize);
        let mut matrix = |name: &str, cols: usize, rows: usize| -> Result<Packed, LoadError> {
            let place = place(gguf, name, cols, rows)?;
            let packed = compute
                .pack(&place.of(gguf), &mut arena)
                .map_err(|source| LoadError::Memory { path: gguf.path().into(), source })?;
            gguf.let_go(place.range);
            Ok(packed)
        };
        let mut block = |n: usize| -> Result<Block, LoadError> {
            let name = |part: &str| format!("blk.{n}.{part}.weight");
            refuse_unused(gguf, n)?;
            Ok(Block {
                attn_norm: vector(gguf, &name("attn_norm"), dim)?,
                q: matrix(&name("attn_q"), dim, config.q_dim())?,
                k: matrix(&name("attn_k"), dim, config.kv_dim())?,
                v: matrix(&name("attn_v"), dim, config.kv_dim())?,
                attn_output: matrix(&name("attn_output"), config.q_dim(), dim)?,
                ff_norm: vector(gguf, &name("ffn_norm"), dim)?,
                gate: matrix(&name("ffn_gate"), dim, config.ff_dim)?,
                up: matrix(&name("ffn_up"), dim, config.ff_dim)?,
                down: matrix(&name("ffn_down"), config.ff_dim, dim)?,
            })
        };
        let table = place(gguf, "token_embd.weight", dim, config.vocab_size)?;
        let blocks = (0..config.layers).map(&mut block).collect::<Result<_, _>>()?;
        let (embedding, head) = match gguf.tensor("output.weight")? {
            Some(_) => (Some(table), matrix("output.weight", dim, config.vocab_size)?),
            None => (None, matrix("token_embd.weight", dim, config.vocab_size)?),
        };
        let rope_factors = match gguf.tensor("rope_freqs.weight")? {
            Some(_) => Some(vector(gguf, "rope_freqs.weight", config.rope_dim / 2)?),
            None => None,
        };
        let output_norm = vector(gguf, "output_norm.weight", dim)?;
        Ok(Self { embedding, blocks, output_norm, head, rope_factors })
    }

    /// The embedding of token `id`, which is in the vocabulary.
    pub(crate) fn embedding(&self, gguf: &Gguf, id: usize, out: &mut [f32]) {
        match &self.embedding {
            Some(place) => place.of(gguf).dequantise_row(id, out),
            None => self.head.dequantise_row(id, out),
        }
    }
}

/// Parts that some files of the family have and this decoder would silently leave out.
fn refuse_unused(gguf: &Gguf, block: usize) -> Result<(), LoadError> {
    const UNUSED: [&str; 6] = [
        "attn_q.bias",
        "attn_k.bias",
        "attn_v.bias",
        "attn_output.bias",
        "attn_q_norm.weight",
        "ffn_gate_inp.weight",
    ];
    for part in UNUSED {
        let name = format!("blk.{block}.{part}");
        if gguf.tensor(&name)?.is_some() {
            return Err(LoadError::UnusedTensor { path: gguf.path().into(), name });
        }
    }
    Ok(())
}

fn place(gguf: &Gguf, name: &str, cols: usize, rows: usize) -> Result<Place, LoadError> {
    let tensor = checked(gguf, name, &[cols, rows])?;
    Ok(Place { format: tensor.format, rows, cols, range: tensor.range })
}

fn vector(gguf: &Gguf, name: &str, len: usize) -> Result<Vec<f32>, LoadError> {
    let tensor = checked(gguf, name, &[len])?;
    let mut values = vec![0.0; len];
    tensor.format.dequantise(tensor.bytes, &mut values);
    Ok(values)
}

fn checked<'a>(gguf: &'a Gguf, name: &str, dims: &[usize]) -> Result<crate::Tensor<'a>, LoadError> {
    match gguf.tensor(name)? {
        Some(tensor) if tensor.dims == dims => Ok(tensor),
        Some(tensor) => Err(LoadError::Shape {
            path: gguf.path().into(),
            name: name.into(),
            found: tensor.dims.to_vec(),
            expected: dims.to_vec(),
        }),
        None => Err(LoadError::MissingTensor { path: gguf.path().into(), name: name.into() }),
    }
}
