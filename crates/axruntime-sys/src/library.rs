//! Opening the runtime: all symbols at once, the right version, or a typed failure.
#![allow(unsafe_code)] // dlopen runs a foreign library's constructors, and the first calls go into it

use std::mem::ManuallyDrop;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libloading::os::unix::{Library as Handle, RTLD_LOCAL, RTLD_NOW};

use crate::assumed;
use crate::find::{Candidate, Source, find};
use crate::symbols::Symbols;

/// The vendor's own clients take a process-wide lock around connect and load, because the stack below is
/// unsafe there; this one covers every call except a run. One lock for all libraries: they share the driver.
static STACK: Mutex<()> = Mutex::new(());

/// Why there is no runtime. Distinct from a call that failed: here something must be installed or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// No library anywhere.
    #[error("libaxruntime not found; tried {}", tried.join("; "))]
    NotFound {
        /// Every place, and what was wrong there.
        tried: Vec<String>,
    },
    /// A file is there, the dynamic loader refuses it (or this crate does).
    #[error("cannot load {}: {reason}", path.display())]
    NotLoadable {
        /// The file.
        path: PathBuf,
        /// The loader's words.
        reason: String,
    },
    /// A library, but not this one, or too old.
    #[error("{} is not a usable libaxruntime: it lacks {}", path.display(), names.join(", "))]
    MissingSymbols {
        /// The file.
        path: PathBuf,
        /// All of the missing functions.
        names: Vec<&'static str>,
    },
    /// Another major version of the interface.
    #[error("{} has interface version {}.{}, expected {expected}.x", path.display(), got.0, got.1)]
    Version {
        /// The file.
        path: PathBuf,
        /// Major and minor of the library.
        got: (u32, u32),
        /// The major version that this crate speaks.
        expected: u32,
    },
}

/// An open runtime. Never unloaded: its threads may outlive whatever we drop.
pub struct Library {
    symbols: Symbols,
    path: PathBuf,
    version: (u32, u32),
    _handle: ManuallyDrop<Handle>,
}

impl Library {
    /// [`find()`], then [`Library::load`].
    pub fn open(explicit: Option<&Path>) -> Result<Arc<Library>, LoadError> {
        Library::load(&find(explicit)?)
    }

    /// Opens the library with `RTLD_NOW | RTLD_LOCAL`, resolves every function and checks the version.
    pub fn load(candidate: &Candidate) -> Result<Arc<Library>, LoadError> {
        let path = &candidate.path;
        let refuse = |reason: String| LoadError::NotLoadable { path: path.clone(), reason };
        if candidate.source != Source::Loader {
            let mode = path.metadata().map_err(|error| refuse(error.to_string()))?.mode();
            if mode & 0o002 != 0 {
                // whoever can write it would run code as this user
                return Err(refuse(format!(
                    "everyone may write it (mode {:o}, expected no o+w)",
                    mode & 0o7777
                )));
            }
        }
        // SAFETY: running the library's constructors is what the user asked for by naming or installing it.
        let handle = unsafe { Handle::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map_err(|error| {
            let reason = reason(&error);
            if candidate.source == Source::Loader && reason.contains("No such file") {
                let mut tried = candidate.tried.clone();
                tried.push(format!("{}: {reason}", candidate.source.name()));
                return LoadError::NotFound { tried };
            }
            refuse(reason)
        })?;
        let handle = ManuallyDrop::new(handle);
        // SAFETY: the symbols are only cast here; that a library exporting these names means these functions
        // is the contract of `for_each_function`, and the version check below guards it.
        let symbols = unsafe {
            Symbols::resolve(|name| {
                handle
                    .get::<*mut std::ffi::c_void>(name.to_bytes_with_nul())
                    .ok()
                    .map(|symbol| symbol.into_raw())
            })
        }
        .map_err(|names| LoadError::MissingSymbols { path: path.clone(), names })?;
        // SAFETY: no arguments, and callable before anything else exists.
        let version = assumed::split_version(unsafe { (symbols.axr_api_version)() });
        if version.0 != assumed::API_MAJOR {
            return Err(LoadError::Version {
                path: path.clone(),
                got: version,
                expected: assumed::API_MAJOR,
            });
        }
        Ok(Arc::new(Library { symbols, path: path.clone(), version, _handle: handle }))
    }

    /// The file that was opened; a bare name when the loader searched.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Major and minor of the interface.
    pub fn version(&self) -> (u32, u32) {
        self.version
    }

    /// The raw functions, for tests of a library.
    pub fn symbols(&self) -> &Symbols {
        &self.symbols
    }

    /// Held around every call except a run.
    pub(crate) fn lock(&self) -> MutexGuard<'static, ()> {
        STACK.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Library").field("path", &self.path).field("version", &self.version).finish()
    }
}

/// dlerror's text, which libloading keeps as the source.
fn reason(error: &libloading::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    text
}
