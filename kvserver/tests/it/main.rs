//! Integration tests of kvserver: one binary. They compare bytes on a socket.

mod connection;
mod kill;
mod lifecycle;
mod protocol;
mod spawned;
mod startup;
mod support;
mod transactions;
