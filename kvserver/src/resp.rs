//! The RESP protocol: requests in, replies out. Pure: no I/O, no locks, no clock.

mod inline;
mod parser;
mod writer;

pub(crate) use parser::{Limits, Parser, ProtocolError, Step};
pub(crate) use writer::{Protocol, Reply};

/// The words of a line as an inline request has them; `None` if a quote is not closed.
pub(crate) fn split_words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    inline::split(line).ok()
}
