//! Models whose weights are split over several files, as `llama-gguf-split` names them.

use std::path::{Path, PathBuf};

use super::{Gguf, GgufError};

/// More files than any model is split into.
const MOST_PARTS: u64 = 1_000;

/// All `count` parts, of which `one` is one: the metadata of the first, the tensors of all.
pub(super) fn open(one: Gguf, count: u64) -> Result<Gguf, GgufError> {
    let invalid = |what: &str, found: String, expected: String| GgufError::Invalid {
        path: one.path.clone(),
        what: what.into(),
        found,
        expected,
    };
    if count > MOST_PARTS {
        return Err(invalid("split.count", count.to_string(), format!("at most {MOST_PARTS}")));
    }
    let Some(stem) = stem(&one.path, count) else {
        let expected = format!("a name that ends in -00001-of-{count:05}.gguf");
        return Err(invalid("the name of a split file", format!("{:?}", one.path), expected));
    };
    let mut whole: Option<Gguf> = None;
    for part in 0..count as usize {
        let path = name(&stem, part, count);
        let mut next = Gguf::open_one(&path)?;
        let number = next.unsigned("split.no")?;
        if number != Some(part as u64) || next.unsigned("split.count")? != Some(count) {
            return Err(GgufError::Invalid {
                path,
                what: "split.no".into(),
                found: number.map_or("missing".into(), |number| number.to_string()),
                expected: format!("{part} of {count} parts"),
            });
        }
        match &mut whole {
            None => whole = Some(next),
            Some(whole) => {
                whole.parts.append(&mut next.parts);
                for (name, mut info) in next.tensors {
                    info.part = part;
                    if whole.tensors.insert(name.clone(), info).is_some() {
                        return Err(GgufError::Invalid {
                            path,
                            what: "a tensor name".into(),
                            found: format!("a second {name:?}"),
                            expected: "each name once".into(),
                        });
                    }
                }
            }
        }
    }
    Ok(whole.unwrap_or(one))
}

/// What all parts' names begin with.
fn stem(path: &Path, count: u64) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?.strip_suffix(&format!("-of-{count:05}.gguf"))?;
    let (stem, number) = name.split_at_checked(name.len().checked_sub(6)?)?;
    let digits = number.strip_prefix('-')?;
    digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| path.with_file_name(stem))
}

fn name(stem: &Path, part: usize, count: u64) -> PathBuf {
    let mut name = stem.as_os_str().to_owned();
    name.push(format!("-{:05}-of-{count:05}.gguf", part + 1));
    name.into()
}
