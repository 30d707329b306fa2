//! C strings from a library that may be wrong about them: bounded, and harmless on a terminal.
#![allow(unsafe_code)] // reads a foreign NUL-terminated string byte by byte

use std::ffi::{CString, c_char};

/// No message, name or property of the runtime is believed beyond this length.
pub(crate) const LIMIT: usize = 4096;

/// Copies at most [`LIMIT`] bytes, control characters escaped; empty for NULL.
///
/// # Safety
/// `text` is NULL or readable up to its NUL or to [`LIMIT`] bytes, whichever comes first, during the call.
pub(crate) unsafe fn copy(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    let mut bytes = Vec::new();
    while bytes.len() < LIMIT {
        // SAFETY: every byte before this one was not the NUL and the count is below LIMIT; see above.
        let byte = unsafe { *text.add(bytes.len()) }.cast_unsigned();
        if byte == 0 {
            break;
        }
        bytes.push(byte);
    }
    clean(&bytes)
}

/// A fixed-size text field up to its NUL; `None` when there is no NUL.
pub(crate) fn field(field: &[c_char]) -> Option<String> {
    let length = field.iter().position(|c| *c == 0)?;
    let bytes: Vec<u8> = field[..length].iter().map(|c| c.cast_unsigned()).collect();
    Some(clean(&bytes))
}

/// For the library; a text with a NUL inside ends there, as it would in C.
pub(crate) fn to_c(text: &str) -> CString {
    let text = text.split('\0').next().unwrap_or_default();
    CString::new(text).unwrap_or_default()
}

fn clean(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for c in String::from_utf8_lossy(bytes).trim_end().chars() {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    let mut end = out.len().min(LIMIT);
    while !out.is_char_boundary(end) {
        end -= 1;
    }
    out.truncate(end);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_bounded_and_escaped() {
        let long = CString::new(vec![b'x'; LIMIT * 2]).unwrap();
        // SAFETY: a valid C string.
        assert_eq!(unsafe { copy(long.as_ptr()) }.len(), LIMIT);
        // SAFETY: valid C strings, and NULL.
        unsafe {
            assert_eq!(copy(c"a\x1b[31m\nb\xff\n".as_ptr()), "a\\u{1b}[31m\\nb\u{fffd}");
            assert_eq!(copy(std::ptr::null()), "");
        }
        assert_eq!(field(&[b'a' as c_char, 0, b'b' as c_char]).as_deref(), Some("a"));
        assert_eq!(field(&[b'a' as c_char; 4]), None);
        assert_eq!(to_c("a\0b").as_c_str(), c"a");
    }
}
