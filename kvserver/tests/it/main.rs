//! Integration tests of kvserver: one binary. They compare bytes on a socket.

mod connection;
mod lifecycle;
mod protocol;
mod support;
mod transactions;
