//! Where the runtime library is. The first of these that is set decides; a variable that names nothing is an
//! error, since silently using another library would be worse than none.
//!
//! 1. a path that the caller gives;
//! 2. `AXLLM_RUNTIME_LIB`, a file;
//! 3. `$AXELERA_RUNTIME_DIR/lib/libaxruntime.so`;
//! 4. `libaxruntime.so` by the dynamic loader's own search, so that `LD_LIBRARY_PATH` works.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::LoadError;

/// The variable with the path of a library file.
pub const RUNTIME_LIB: &str = "AXLLM_RUNTIME_LIB";
/// The vendor's variable with the runtime's folder.
pub const RUNTIME_DIR: &str = "AXELERA_RUNTIME_DIR";
const FILE: &str = "libaxruntime.so";

/// Who named a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The caller.
    Explicit,
    /// `AXLLM_RUNTIME_LIB`.
    RuntimeLib,
    /// `AXELERA_RUNTIME_DIR`.
    RuntimeDir,
    /// Nobody: the dynamic loader searches.
    Loader,
}

impl Source {
    /// How an error names it.
    pub fn name(self) -> &'static str {
        match self {
            Source::Explicit => "the path given",
            Source::RuntimeLib => RUNTIME_LIB,
            Source::RuntimeDir => RUNTIME_DIR,
            Source::Loader => "the loader's search",
        }
    }
}

/// A library to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// An absolute path, or the bare file name for [`Source::Loader`].
    pub path: PathBuf,
    /// Who named it.
    pub source: Source,
    /// The places passed over on the way here, in words.
    pub tried: Vec<String>,
}

/// Finds the library in the process's environment; see the module's page for the order.
pub fn find(explicit: Option<&Path>) -> Result<Candidate, LoadError> {
    find_with(explicit, |name| std::env::var_os(name))
}

/// [`find`] in an environment of the caller's.
pub fn find_with(
    explicit: Option<&Path>,
    env: impl Fn(&str) -> Option<OsString>,
) -> Result<Candidate, LoadError> {
    let set = |name: &str| env(name).filter(|value| !value.is_empty());
    let mut tried = Vec::new();
    let named = if let Some(path) = explicit {
        Some((path.to_path_buf(), Source::Explicit))
    } else if let Some(path) = set(RUNTIME_LIB) {
        Some((PathBuf::from(path), Source::RuntimeLib))
    } else if let Some(folder) = set(RUNTIME_DIR) {
        tried.push(format!("{RUNTIME_LIB}: not set"));
        Some((PathBuf::from(folder).join("lib").join(FILE), Source::RuntimeDir))
    } else {
        tried.push(format!("{RUNTIME_LIB}: not set"));
        tried.push(format!("{RUNTIME_DIR}: not set"));
        None
    };
    let Some((path, source)) = named else {
        return Ok(Candidate { path: PathBuf::from(FILE), source: Source::Loader, tried });
    };
    // canonical, because dlopen would search for a name without a slash
    match path.canonicalize() {
        Ok(path) => Ok(Candidate { path, source, tried }),
        Err(error) => {
            tried.push(format!("{}: {}: {error}", source.name(), path.display()));
            Err(LoadError::NotFound { tried })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
        move |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
    }

    fn tried(result: Result<Candidate, LoadError>) -> Vec<String> {
        match result {
            Err(LoadError::NotFound { tried }) => tried,
            other => panic!("expected NotFound, got {other:?}"),
        }
    }

    #[test]
    fn the_first_place_named_decides() {
        let everything: &[(&str, &str)] = &[(RUNTIME_LIB, "/proc/self/exe"), (RUNTIME_DIR, "/nonexistent")];
        let own = std::env::current_exe().unwrap();
        let found = find_with(Some(&own), environment(everything)).unwrap();
        assert_eq!(
            (found.path.as_path(), found.source),
            (own.canonicalize().unwrap().as_path(), Source::Explicit)
        );
        assert_eq!(find_with(None, environment(everything)).unwrap().source, Source::RuntimeLib);
        let found = find_with(None, environment(&[])).unwrap();
        assert_eq!((found.path.to_str(), found.source), (Some(FILE), Source::Loader));
        assert_eq!(found.tried.len(), 2);
    }

    #[test]
    fn the_runtime_folder_has_lib_inside() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("lib")).unwrap();
        let file = folder.path().join("lib").join(FILE);
        std::fs::write(&file, "").unwrap();
        let value = folder.path().as_os_str().to_owned();
        let found = find_with(None, |name| (name == RUNTIME_DIR).then(|| value.clone())).unwrap();
        assert_eq!((found.path, found.source), (file.canonicalize().unwrap(), Source::RuntimeDir));
    }

    #[test]
    fn a_place_that_names_nothing_is_an_error_that_says_whose() {
        assert!(
            tried(find_with(Some(Path::new("/no/such.so")), environment(&[])))[0].contains("/no/such.so")
        );
        let at = tried(find_with(None, environment(&[(RUNTIME_LIB, "/no/lib.so")])));
        assert!(at[0].starts_with("AXLLM_RUNTIME_LIB: /no/lib.so"), "{at:?}");
        let at = tried(find_with(None, environment(&[(RUNTIME_DIR, "/no"), (RUNTIME_LIB, "")])));
        assert!(
            at[0].contains("not set") && at[1].starts_with("AXELERA_RUNTIME_DIR: /no/lib/libax"),
            "{at:?}"
        );
    }
}
