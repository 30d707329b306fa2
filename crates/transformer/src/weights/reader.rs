//! Packs matrices by name, or finds them packed.

use std::path::PathBuf;

use kernels::{Arena, Compute, Kind, Packed};

use super::{Weights, cache, order::Order};
use crate::{checkpoint::Checkpoint, config::Config, error::LoadError, model::LoadOptions};

/// Rows of a matrix that the file stores together with others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fused {
    /// The first of them.
    pub(super) first: usize,
    /// Rows of all together.
    pub(super) rows: usize,
}

pub(super) struct Reader<'a> {
    pub(super) checkpoint: &'a Checkpoint,
    compute: &'a Compute,
    options: &'a LoadOptions,
    arena: Arena,
    /// What an earlier start packed, and where this one's packing is kept.
    cached: Option<cache::Cached>,
    keep: Option<(PathBuf, String)>,
    /// Matrices read so far.
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        checkpoint: &'a Checkpoint,
        config: &Config,
        compute: &'a Compute,
        options: &'a LoadOptions,
    ) -> Self {
        let keep = options.dtype.zip(options.cache.as_deref()).and_then(|(dtype, dir)| {
            Some((cache::path(dir, checkpoint, dtype), cache::key(checkpoint, config, dtype)?))
        });
        let cached = keep.as_ref().and_then(|(path, key)| cache::Cached::open(path, key));
        let expected = if cached.is_some() { 0 } else { checkpoint.file_size() as usize };
        Self { checkpoint, compute, options, arena: Arena::expecting(expected), cached, keep, at: 0 }
    }

    /// The matrix `name` in the file's order.
    pub(super) fn matrix(&mut self, name: &str, cols: usize, rows: usize) -> Result<Packed, LoadError> {
        self.ordered(name, (cols, rows), None, None)
    }

    /// `rows` of the matrix `name`, or of a part of it, in some order.
    pub(super) fn ordered(
        &mut self,
        name: &str,
        (cols, rows): (usize, usize),
        fused: Option<Fused>,
        order: Option<Order>,
    ) -> Result<Packed, LoadError> {
        let tensor = self.checkpoint.needed(name)?;
        let whole = fused.map_or(rows, |fused| fused.rows);
        tensor.expect(self.checkpoint.path(), &self.checkpoint.own_name(name), &[cols, whole])?;
        let kind = match self.options.dtype {
            None => Kind::of(tensor.format),
            Some(dtype) => dtype.kind(name == "output.weight" || name == "token_embd.weight"),
        };
        let kind = self.compute.arranged(kind);
        self.at += 1;
        if let Some(cached) = &self.cached {
            if let Some(packed) = cached.matrix(self.at - 1, kind, rows, cols) {
                return Ok(packed);
            }
            self.cached = None; // another program's file, or a damaged one: what follows is packed anew
        }
        let first = fused.map_or(0, |fused| fused.first);
        let matrix = tensor.matrix().part(first..first + rows);
        let (compute, checkpoint) = (self.compute, self.checkpoint);
        let order = |row| order.map_or(row, |order| order.row(row));
        compute
            .pack_as(&matrix, kind, &order, &mut self.arena, &|| checkpoint.let_go())
            .map_err(|source| LoadError::Memory { path: checkpoint.path().into(), source })
    }

    pub(super) fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>, LoadError> {
        let tensor = self.checkpoint.needed(name)?;
        tensor.vector(self.checkpoint.path(), &self.checkpoint.own_name(name), len)
    }

    /// Keeps what was packed for the next start. That it cannot be written is no reason not to run.
    pub(super) fn keep(self, weights: &Weights) {
        if let (None, Some((path, key))) = (&self.cached, &self.keep) {
            let _ = cache::write(path, self.checkpoint, key, weights.packed());
        }
    }
}
