//! What a command can answer instead of a result, and the one place that knows its text.
//!
//! The texts are Redis' own; clients match on them.

use std::borrow::Cow;
use std::fmt;

/// An error reply. `Display` is the whole line after the `-`.
#[derive(Debug)]
#[non_exhaustive]
pub(crate) enum CommandError {
    /// The key holds another type.
    WrongType,
    /// Options that do not go together, or none the command knows.
    Syntax,
    /// Not an integer, or beyond the range of `i64`.
    NotInteger,
    /// Not a float.
    NotFloat,
    /// An increment would leave the range of `i64`.
    Overflow,
    /// `NaN` or infinity as the result of INCRBYFLOAT.
    NanOrInfinity,
    /// A string longer than `proto-max-bulk-len`.
    StringTooLong,
    /// A time that does not fit, or is not positive; holds the command's lower-case name.
    InvalidExpire(Cow<'static, str>),
    /// Wrong number of arguments; holds the command's lower-case name (`config|get`).
    Arity(Cow<'static, str>),
    /// The key does not exist where it must.
    NoSuchKey,
    /// `maxmemory` is reached, and nothing may be evicted.
    OutOfMemory,
    /// A database index out of range.
    DbIndex,
    /// A cursor that is no unsigned number.
    InvalidCursor,
    /// Any other text; starts with its code (`ERR …`).
    Other(Cow<'static, str>),
    /// The store failed. The reply says so; a poisoned store also ends the server.
    Store(crate::data::StoreError),
}

impl CommandError {
    /// `ERR ` and the text.
    pub(crate) fn err(text: impl fmt::Display) -> Self {
        CommandError::Other(format!("ERR {text}").into())
    }
    /// A text known at compile time, code included (`"ERR …"`).
    pub(crate) const fn text(text: &'static str) -> Self {
        CommandError::Other(Cow::Borrowed(text))
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use CommandError as E;
        match self {
            E::WrongType => {
                f.write_str("WRONGTYPE Operation against a key holding the wrong kind of value")
            }
            E::Syntax => f.write_str("ERR syntax error"),
            E::NotInteger => f.write_str("ERR value is not an integer or out of range"),
            E::NotFloat => f.write_str("ERR value is not a valid float"),
            E::Overflow => f.write_str("ERR increment or decrement would overflow"),
            E::NanOrInfinity => f.write_str("ERR increment would produce NaN or Infinity"),
            E::StringTooLong => {
                f.write_str("ERR string exceeds maximum allowed size (proto-max-bulk-len)")
            }
            E::InvalidExpire(name) => write!(f, "ERR invalid expire time in '{name}' command"),
            E::Arity(name) => write!(f, "ERR wrong number of arguments for '{name}' command"),
            E::NoSuchKey => f.write_str("ERR no such key"),
            E::OutOfMemory => {
                f.write_str("OOM command not allowed when used memory > 'maxmemory'.")
            }
            E::DbIndex => f.write_str("ERR DB index is out of range"),
            E::InvalidCursor => f.write_str("ERR invalid cursor"),
            E::Other(text) => f.write_str(text),
            E::Store(error) => write!(f, "ERR {error}"),
        }
    }
}

impl std::error::Error for CommandError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            CommandError::Store(error) => Some(error),
            _ => None,
        }
    }
}

impl From<crate::data::StoreError> for CommandError {
    fn from(error: crate::data::StoreError) -> Self {
        CommandError::Store(error)
    }
}
