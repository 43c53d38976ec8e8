//! The RESP protocol: requests in, replies out. Pure: no I/O, no locks, no clock.

mod inline;
mod parser;
mod writer;

pub(crate) use parser::{Limits, Parser, ProtocolError, Step};
pub(crate) use writer::{Protocol, Reply};
