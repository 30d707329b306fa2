//! What templates may call beyond Jinja's own: as Hugging Face's environment has it, with bounds.

use super::clock::strftime;
use super::template::bounds::{Capped, MOST_BYTES, too_large};
use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, Value};
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};
use std::time::SystemTime;

/// Widest indentation of `tojson` and `indent`: more only serves to fill memory.
const MAX_INDENT: usize = 64;

pub(super) fn install(environment: &mut Environment<'_>) {
    environment.add_filter("tojson", to_json);
    environment.add_filter("indent", indent);
    // `format` pads to any width that a template names.
    environment.remove_filter("format");
    environment.add_function("raise_exception", |text: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, text.chars().take(500).collect::<String>()))
    });
}

/// The clock is a parameter of the rendering, so that a test can stand still.
pub(super) fn install_clock(environment: &mut Environment<'_>, now: SystemTime) {
    environment.add_function("strftime_now", move |format: String| strftime(&format, now));
}

/// Python's `json.dumps(value, ensure_ascii=False)`: a space after commas and colons, nothing escaped for HTML.
fn to_json(value: Value, options: Kwargs) -> Result<String, Error> {
    let indent = checked(options.get::<Option<usize>>("indent")?.unwrap_or(0))?;
    let spaces = " ".repeat(indent);
    if indent == 0 {
        json(&value, Spaced(CompactFormatter))
    } else {
        json(&value, PrettyFormatter::with_indent(spaces.as_bytes()))
    }
}

fn json(value: &Value, formatter: impl Formatter) -> Result<String, Error> {
    let mut bytes = Capped::default();
    let failed = |error: serde_json::Error| Error::new(ErrorKind::BadSerialization, error.to_string());
    value.serialize(&mut Serializer::with_formatter(&mut bytes, formatter)).map_err(failed)?;
    Ok(String::from_utf8_lossy(&bytes.bytes).into_owned())
}

struct Spaced(CompactFormatter);

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
}

fn indent(
    text: String,
    width: Option<usize>,
    first: Option<bool>,
    blank: Option<bool>,
) -> Result<String, Error> {
    let spaces = " ".repeat(checked(width.unwrap_or(4))?);
    if text.len() + text.split('\n').count() * spaces.len() > MOST_BYTES {
        return Err(too_large());
    }
    let indented = text.split('\n').enumerate().map(|(at, line)| {
        let skip = (at == 0 && first != Some(true)) || (line.is_empty() && blank != Some(true));
        if skip { line.to_owned() } else { format!("{spaces}{line}") }
    });
    Ok(indented.collect::<Vec<_>>().join("\n"))
}

fn checked(width: usize) -> Result<usize, Error> {
    if width <= MAX_INDENT {
        return Ok(width);
    }
    let text = format!("indentation {width} is more than {MAX_INDENT}");
    Err(Error::new(ErrorKind::InvalidOperation, text))
}
