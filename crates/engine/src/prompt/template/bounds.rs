//! How much a template's values may hold, and the parts of Jinja and Python that could make more of them in one step.

use std::{
    fmt::{self, Write},
    io,
};

use minijinja::{
    Environment, Error, ErrorKind, State, Value, functions,
    value::{Kwargs, ValueKind},
};

/// Bytes that a text of a template may have.
pub(in crate::prompt) const MOST_BYTES: usize = 4 << 20;
/// Bytes that a list or a map may have with all that is in it, what is in it twice counted twice.
const MOST_WEIGHT: usize = 16 << 20;
/// Of an item, beside its text.
const ITEM: usize = 64;
const MOST_DEPTH: usize = 64;

pub(super) fn install(environment: &mut Environment<'_>) {
    environment.add_filter("join", join);
    environment.add_filter("replace", replace);
    environment.add_filter("string", |value: Value| text_of(&value));
    // they nest values, and no published template has them
    for name in ["batch", "slice", "zip", "chain", "groupby", "pprint"] {
        environment.remove_filter(name);
    }
    environment.remove_global("debug");
    environment
        .add_function("dict", |from: Option<Value>, more: Kwargs| weighed(functions::dict(from, more)?));
    // also of a namespace that holds itself
    environment.set_formatter(|out, state, value| {
        weigh(value)?;
        minijinja::escape_formatter(out, state, value)
    });
    environment.set_unknown_method_callback(method);
}

pub(in crate::prompt) fn too_large() -> Error {
    Error::new(ErrorKind::InvalidOperation, "a value is too large")
}

fn weighed(value: Value) -> Result<Value, Error> {
    weigh(&value).map(|_| value)
}

/// Bytes of `value` with all that is in it; an error beyond the limit.
pub(super) fn weigh(value: &Value) -> Result<usize, Error> {
    fn add(value: &Value, sum: &mut usize, depth: usize) -> Result<(), Error> {
        *sum += ITEM + value.as_str().map_or(0, str::len);
        if *sum > MOST_WEIGHT || depth > MOST_DEPTH {
            return Err(too_large());
        }
        let kind = value.kind();
        if !matches!(kind, ValueKind::Seq | ValueKind::Iterable | ValueKind::Map) {
            return Ok(());
        }
        for item in value.try_iter()? {
            if kind == ValueKind::Map {
                add(&value.get_item(&item)?, sum, depth + 1)?;
            }
            add(&item, sum, depth + 1)?;
        }
        Ok(())
    }
    let mut sum = 0;
    add(value, &mut sum, 0)?;
    Ok(sum)
}

/// `value` as it is printed.
pub(super) fn text_of(value: &Value) -> Result<String, Error> {
    if let Some(text) = value.as_str() {
        return Ok(text.to_owned());
    }
    weigh(value)?;
    let mut out = Text(String::new());
    write!(out, "{value}").map_err(|_| too_large())?;
    Ok(out.0)
}

/// Takes what is written up to the limit of a text.
#[derive(Default)]
pub(in crate::prompt) struct Capped {
    pub(in crate::prompt) bytes: Vec<u8>,
    /// More was written.
    pub(in crate::prompt) full: bool,
}

impl io::Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > MOST_BYTES {
            self.full = true;
            return Err(io::Error::other("output too large"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The same for texts.
struct Text(String);

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > MOST_BYTES {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

fn join(value: Value, separator: Option<String>) -> Result<String, Error> {
    let separator = separator.unwrap_or_default();
    let mut out = Text(String::new());
    for (at, item) in value.try_iter()?.enumerate() {
        let before = if at == 0 { "" } else { &separator };
        out.write_str(before)
            .and_then(|()| out.write_str(&text_of(&item).map_err(|_| fmt::Error)?))
            .map_err(|_| too_large())?;
    }
    Ok(out.0)
}

fn replace(text: String, from: String, to: String) -> Result<String, Error> {
    let mut out = Text(String::new());
    let mut done = 0;
    for (at, part) in text.match_indices(&*from) {
        out.write_str(&text[done..at]).and_then(|()| out.write_str(&to)).map_err(|_| too_large())?;
        done = at + part.len();
    }
    out.write_str(&text[done..]).map_err(|_| too_large())?;
    Ok(out.0)
}

/// Python's methods; those that could multiply a text are the filters' own.
fn method(state: &mut State, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match (name, value.as_str(), args) {
        ("replace", Some(own), [from, to]) => {
            if let (Some(from), Some(to)) = (text(from), text(to)) {
                return replace(own.to_owned(), from, to).map(Value::from);
            }
        }
        ("join", Some(own), [items]) => return join(items.clone(), Some(own.to_owned())).map(Value::from),
        _ => {}
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args)
}
