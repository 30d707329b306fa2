//! The simulator's payload: the weights as they are, beside `model.json`.

use std::{fs, io, path::Path};

use serde::Serialize;
use transformer::Checkpoint;

use super::{CompileError, writing};

const FOLDER: &str = "weights";
const FILE: &str = "weights.gguf";

/// What `model.json` says of it.
#[derive(Serialize)]
pub(super) struct Payload {
    format: &'static str,
    /// Name of the file or folder.
    file: String,
}

/// Puts the files of `checkpoint` into `dir`.
pub(super) fn write(checkpoint: &Checkpoint, dir: &Path) -> Result<Payload, CompileError> {
    let files = checkpoint.all_files();
    let folder = matches!(checkpoint, Checkpoint::Folder(_)).then(|| dir.join(FOLDER));
    if let Some(folder) = &folder {
        // a file that an earlier model left there would be taken for one of this model's
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(writing(folder))?;
        }
        fs::create_dir(folder).map_err(writing(folder))?;
    }
    // all but a file that stands alone find each other by their names
    let name_of = |file: &Path| match (&folder, files.len(), file.file_name()) {
        (Some(_), _, Some(name)) | (None, 2.., Some(name)) => name.to_owned(),
        _ => FILE.into(),
    };
    for file in &files {
        let to = folder.as_deref().unwrap_or(dir).join(name_of(file));
        link_or_copy(file, &to).map_err(writing(&to))?;
    }
    Ok(match folder {
        Some(_) => Payload { format: "axsim-folder", file: FOLDER.into() },
        None => Payload { format: "axsim-gguf", file: name_of(&files[0]).to_string_lossy().into_owned() },
    })
}

/// The weights do not change: a link saves their size on disk where the file system allows one.
fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    if to.exists() {
        fs::remove_file(to)?;
    }
    let from = from.canonicalize()?;
    fs::hard_link(&from, to).or_else(|_| fs::copy(&from, to).map(drop))
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_support::tiny;
    use transformer::{LoadOptions, Model};

    #[test]
    fn the_parts_of_a_split_file_stay_together() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let part = |n: usize| from.path().join(format!("tiny-{n:05}-of-00003.gguf"));
        for (n, writer) in tiny::model(tiny::floats).split(3).into_iter().enumerate() {
            fs::write(part(n + 1), writer.bytes()).unwrap();
        }
        let payload = write(&Checkpoint::open(&part(2)).unwrap(), to.path()).unwrap();
        assert_eq!((payload.format, payload.file.as_str()), ("axsim-gguf", "tiny-00001-of-00003.gguf"));
        drop(from);
        let model = Model::open(&to.path().join(payload.file), &LoadOptions::default()).unwrap();
        assert_eq!(model.config().layers, tiny::LAYERS);
    }

    #[test]
    fn nothing_of_an_earlier_model_is_left_in_the_folder() {
        let family = test_support::family_folder("qwen3");
        let to = tempfile::tempdir().unwrap();
        fs::create_dir(to.path().join(FOLDER)).unwrap();
        fs::write(to.path().join(FOLDER).join("model.safetensors.index.json"), "{}").unwrap();
        let payload = write(&Checkpoint::open(&family).unwrap(), to.path()).unwrap();
        assert_eq!(payload.format, "axsim-folder");
        let mut names: Vec<_> = fs::read_dir(to.path().join(payload.file))
            .unwrap()
            .map(|file| file.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["config.json", "model.safetensors"]);
    }
}
