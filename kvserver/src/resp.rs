//! The RESP protocol: requests in, replies out. Pure: no I/O, no locks, no clock.

mod writer;

pub(crate) use writer::{Protocol, Reply};
