//! The decoder's weights: where in the file each matrix lies, shapes checked once.

use std::ops::Range;

use kernels::{Format, Matrix};

use crate::{config::Config, error::LoadError, gguf::Gguf};

/// A matrix in the mapped file; becomes a [`Matrix`] when the file is at hand.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    format: Format,
    rows: usize,
    cols: usize,
    range: Range<usize>,
}

impl Place {
    pub(crate) fn of<'a>(&self, gguf: &'a Gguf) -> Matrix<'a> {
        Matrix::new(self.format, self.rows, self.cols, gguf.slice(self.range.clone()))
            .expect("the shape was checked against the bytes when the model was loaded")
    }

    pub(crate) fn is_quantised(&self) -> bool {
        self.format.is_quantised()
    }
}

/// One decoder block.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) attn_norm: Vec<f32>,
    pub(crate) q: Place,
    pub(crate) k: Place,
    pub(crate) v: Place,
    pub(crate) attn_output: Place,
    pub(crate) ff_norm: Vec<f32>,
    pub(crate) gate: Place,
    pub(crate) up: Place,
    pub(crate) down: Place,
}

/// All weights of a model.
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    pub(crate) embedding: Place,
    pub(crate) blocks: Vec<Block>,
    pub(crate) output_norm: Vec<f32>,
    /// The embedding again where the file has no head of its own.
    pub(crate) head: Place,
    /// Divisors of the rotation's frequencies (Llama 3's scaling), one a pair of values.
    pub(crate) rope_factors: Option<Vec<f32>>,
}

impl Weights {
    pub(crate) fn read(gguf: &Gguf, config: &Config) -> Result<Self, LoadError> {
        let dim = config.embedding_dim;
        let block = |n: usize| -> Result<Block, LoadError> {
            let name = |part: &str| format!("blk.{n}.{part}.weight");
            refuse_unused(gguf, n)?;
            Ok(Block {
                attn_norm: vector(gguf, &name("attn_norm"), dim)?,
                q: matrix(gguf, &name("attn_q"), dim, config.q_dim())?,
                k: matrix(gguf, &name("attn_k"), dim, config.kv_dim())?,
                v: matrix(gguf, &name("attn_v"), dim, config.kv_dim())?,
                attn_output: matrix(gguf, &name("attn_output"), config.q_dim(), dim)?,
                ff_norm: vector(gguf, &name("ffn_norm"), dim)?,
                gate: matrix(gguf, &name("ffn_gate"), dim, config.ff_dim)?,
                up: matrix(gguf, &name("ffn_up"), dim, config.ff_dim)?,
                down: matrix(gguf, &name("ffn_down"), config.ff_dim, dim)?,
            })
        };
        let embedding = matrix(gguf, "token_embd.weight", dim, config.vocab_size)?;
        let head = match gguf.tensor("output.weight")? {
            Some(_) => matrix(gguf, "output.weight", dim, config.vocab_size)?,
            None => embedding.clone(),
        };
        let rope_factors = match gguf.tensor("rope_freqs.weight")? {
            Some(_) => Some(vector(gguf, "rope_freqs.weight", config.rope_dim / 2)?),
            None => None,
        };
        Ok(Self {
            embedding,
            blocks: (0..config.layers).map(block).collect::<Result<_, _>>()?,
            output_norm: vector(gguf, "output_norm.weight", dim)?,
            head,
            rope_factors,
        })
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

fn matrix(gguf: &Gguf, name: &str, cols: usize, rows: usize) -> Result<Place, LoadError> {
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
