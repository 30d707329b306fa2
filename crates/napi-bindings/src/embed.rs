//! Texts as vectors.

use std::sync::Arc;

use engine::{Cancel, EmbedInput};
use napi::{
    Either, Env,
    bindgen_prelude::{Float32Array, PromiseRaw, Uint32Array},
};
use napi_derive::napi;

use crate::{
    error::{from_engine, off_thread},
    model::Model,
};

#[napi]
impl Model {
    /// The token ids of each input, a text or token ids, all of them checked; off the JavaScript thread. `truncate`: of what
    /// is longer than the context, the beginning.
    #[napi(catch_unwind, ts_return_type = "Promise<Array<Uint32Array>>")]
    pub fn embedding_tokens<'env>(
        &self,
        env: &'env Env,
        inputs: Vec<Either<String, Uint32Array>>,
        truncate: bool,
    ) -> napi::Result<PromiseRaw<'env, Vec<Uint32Array>>> {
        let model = self.inner()?;
        let inputs = inputs
            .into_iter()
            .map(|input| match input {
                Either::A(text) => EmbedInput::Text(text),
                Either::B(ids) => EmbedInput::Tokens(ids.to_vec()),
            })
            .collect();
        env.spawn_future(off_thread(move || {
            let ids = model.embedding_tokens(inputs, truncate).map_err(from_engine)?;
            Ok(ids.into_iter().map(Uint32Array::new).collect())
        }))
    }

    /// The inputs that `embeddingTokens` has made, on their way to vectors.
    #[napi(catch_unwind)]
    pub fn embed(&self, inputs: Vec<Uint32Array>) -> napi::Result<Embedding> {
        let inputs = inputs.into_iter().map(|ids| ids.to_vec()).collect();
        Ok(Embedding { model: self.inner()?, inputs, cancel: Cancel::default() })
    }
}

/// Inputs on their way to vectors.
#[napi]
pub struct Embedding {
    model: Arc<engine::Model>,
    inputs: Arc<[Vec<u32>]>,
    cancel: Cancel,
}

#[napi]
impl Embedding {
    /// A vector of length 1 for each input.
    // as `Reply::next`: a future must not borrow the object
    #[napi(catch_unwind, ts_return_type = "Promise<Array<Float32Array>>")]
    pub fn vectors<'env>(&self, env: &'env Env) -> napi::Result<PromiseRaw<'env, Vec<Float32Array>>> {
        let (model, inputs, cancel) =
            (Arc::clone(&self.model), Arc::clone(&self.inputs), self.cancel.clone());
        env.spawn_future(off_thread(move || {
            let vectors = model.embed(&inputs, &cancel).map_err(from_engine)?;
            Ok(vectors.into_iter().map(Float32Array::new).collect())
        }))
    }

    /// Ends it within one step; `vectors` then rejects.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.cancel.set();
    }
}

impl Drop for Embedding {
    fn drop(&mut self) {
        // nobody can read it any more
        self.cancel.set();
    }
}
