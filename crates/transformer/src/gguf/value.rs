//! Metadata values: scalars are decoded at once, arrays stay in the file until somebody asks for them.

use super::{GgufError, cursor::Cursor};

/// The type codes of metadata values (the GGUF specification's `gguf_metadata_value_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    String,
    Array,
    U64,
    I64,
    F64,
}

impl Kind {
    fn read(cursor: &mut Cursor<'_>, what: &str) -> Result<Self, GgufError> {
        const KINDS: [Kind; 13] = [
            Kind::U8,
            Kind::I8,
            Kind::U16,
            Kind::I16,
            Kind::U32,
            Kind::I32,
            Kind::F32,
            Kind::Bool,
            Kind::String,
            Kind::Array,
            Kind::U64,
            Kind::I64,
            Kind::F64,
        ];
        let code = cursor.u32(what)?;
        KINDS
            .get(code as usize)
            .copied()
            .ok_or_else(|| cursor.invalid(&format!("the type of {what}"), code, "a value type from 0 to 12"))
    }

    /// The least bytes that a value of this kind takes.
    fn least_bytes(self) -> u64 {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::String | Self::Array | Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }
}

/// One metadata value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    /// Byte range of the text in the file.
    String(std::ops::Range<usize>),
    /// `count` values of `kind` from byte `start` on.
    Array {
        kind: Kind,
        count: u64,
        start: usize,
    },
}

impl Value {
    pub(super) fn read(cursor: &mut Cursor<'_>, key: &str) -> Result<Self, GgufError> {
        let kind = Kind::read(cursor, key)?;
        if kind != Kind::Array {
            return Self::scalar(cursor, kind, key);
        }
        let kind = Kind::read(cursor, key)?;
        if kind == Kind::Array {
            return Err(cursor.invalid(key, "an array of arrays", "a flat array"));
        }
        let count = cursor.u64(key)?;
        let start = cursor.at;
        if kind == Kind::String {
            for _ in 0..count {
                cursor.string(key)?;
            }
        } else {
            let bytes = count.checked_mul(kind.least_bytes());
            cursor.take(key, bytes.unwrap_or(u64::MAX))?;
        }
        Ok(Self::Array { kind, count, start })
    }

    pub(super) fn scalar(cursor: &mut Cursor<'_>, kind: Kind, key: &str) -> Result<Self, GgufError> {
        Ok(match kind {
            Kind::U8 => Self::Unsigned(cursor.u8(key)?.into()),
            Kind::U16 => Self::Unsigned(cursor.u16(key)?.into()),
            Kind::U32 => Self::Unsigned(cursor.u32(key)?.into()),
            Kind::U64 => Self::Unsigned(cursor.u64(key)?),
            Kind::I8 => Self::Signed(cursor.i8(key)?.into()),
            Kind::I16 => Self::Signed(cursor.i16(key)?.into()),
            Kind::I32 => Self::Signed(cursor.i32(key)?.into()),
            Kind::I64 => Self::Signed(cursor.i64(key)?),
            Kind::F32 => Self::Float(cursor.f32(key)?.into()),
            Kind::F64 => Self::Float(cursor.f64(key)?),
            Kind::Bool => match cursor.u8(key)? {
                0 => Self::Bool(false),
                1 => Self::Bool(true),
                other => return Err(cursor.invalid(key, other, "0 or 1")),
            },
            Kind::String => {
                let len = cursor.string(key)?.len();
                Self::String(cursor.at - len..cursor.at)
            }
            Kind::Array => return Err(cursor.invalid(key, "an array", "a scalar")),
        })
    }
}
