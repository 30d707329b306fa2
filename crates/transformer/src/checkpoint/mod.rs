//! A model's weights, in whatever files they lie: a GGUF file or a Hugging Face folder.

mod folder;
mod names;

use std::path::{Path, PathBuf};

use crate::{
    config::Config,
    error::LoadError,
    gguf::Gguf,
    mapped::Mapped,
    tensor::{Span, Tensor},
};
pub use folder::Folder;

/// Open weight files; tensors go by the names that GGUF gives them.
#[derive(Debug)]
pub enum Checkpoint {
    /// A GGUF file, or all parts of a split one.
    Gguf(Gguf),
    /// `config.json` and safetensors files.
    Folder(Folder),
}

impl Checkpoint {
    /// Opens the GGUF file or the folder at `path`: headers only, no weights.
    ///
    /// # Errors
    /// [`LoadError`] naming the file and what is wrong with it.
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        if path.is_dir() { Folder::open(path).map(Self::Folder) } else { Ok(Self::Gguf(Gguf::open(path)?)) }
    }

    /// The file or folder.
    pub fn path(&self) -> &Path {
        match self {
            Self::Gguf(gguf) => gguf.path(),
            Self::Folder(folder) => folder.path(),
        }
    }

    /// The GGUF file, whose metadata also hold the tokenizer; `None` for a folder.
    pub fn gguf(&self) -> Option<&Gguf> {
        match self {
            Self::Gguf(gguf) => Some(gguf),
            Self::Folder(_) => None,
        }
    }

    /// Bytes of all weight files.
    pub fn file_size(&self) -> u64 {
        self.parts().iter().map(|part| part.len() as u64).sum()
    }

    /// The shape of the model.
    ///
    /// # Errors
    /// When the metadata describe no model that this build runs.
    pub fn config(&self) -> Result<Config, LoadError> {
        match self {
            Self::Gguf(gguf) => Config::of_gguf(gguf),
            Self::Folder(folder) => folder.config(),
        }
    }

    /// The tensor that a GGUF file calls `name`; `None` where there is none.
    ///
    /// # Errors
    /// When its type is one that this build cannot read.
    pub fn tensor(&self, name: &str) -> Result<Option<Tensor<'_>>, LoadError> {
        match self {
            Self::Gguf(gguf) => Ok(gguf.tensor(name)?),
            Self::Folder(folder) => folder.tensor(name),
        }
    }

    /// As [`Checkpoint::tensor`] for a tensor that must be there.
    pub(crate) fn needed(&self, name: &str) -> Result<Tensor<'_>, LoadError> {
        let missing = || LoadError::MissingTensor { path: self.path().into(), name: self.own_name(name) };
        self.tensor(name)?.ok_or_else(missing)
    }

    /// What these files call the tensor that GGUF calls `name`.
    pub(crate) fn own_name(&self, name: &str) -> String {
        match self {
            Self::Gguf(_) => name.into(),
            Self::Folder(_) => names::of_folder(name).into_iter().next().unwrap_or_else(|| name.into()),
        }
    }

    /// Every file that was opened: the same ones beside each other elsewhere are the same model.
    pub fn all_files(&self) -> Vec<PathBuf> {
        let descriptions = match self {
            Self::Gguf(_) => &[][..],
            Self::Folder(folder) => folder.descriptions(),
        };
        descriptions.iter().cloned().chain(self.files()).collect()
    }

    /// The files that a cache of these weights depends on.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.parts().iter().map(|part| part.path().to_path_buf()).collect()
    }

    pub(crate) fn slice(&self, span: &Span) -> &[u8] {
        &self.parts()[span.part][span.range.clone()]
    }

    /// Lets the memory of all that was read go. Of all: the system maps as much as 2 MiB around what is touched, if but a norm.
    pub(crate) fn let_go(&self) {
        self.parts().iter().for_each(Mapped::let_go);
    }

    fn parts(&self) -> &[Mapped] {
        match self {
            Self::Gguf(gguf) => gguf.parts(),
            Self::Folder(folder) => folder.parts(),
        }
    }
}
