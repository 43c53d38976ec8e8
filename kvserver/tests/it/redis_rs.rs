//! The Redis client of Rust against the server: what it sends by itself, and what it makes of the
//! replies. Every test here runs in both protocols.
//!
//! Knows the client's API. Does not know bytes.

mod asynchronous;
mod commands;
mod messages;
mod transactions;

use redis::{Client, Connection};

use crate::support::Running;

const PROTOCOLS: [&str; 2] = ["resp2", "resp3"];

fn client(server: &Running, protocol: &str) -> Client {
    Client::open(format!("redis://{}/?protocol={protocol}", server.addr)).unwrap()
}

/// Runs `test` on a connection of each protocol, each with a server of its own.
fn in_both(test: impl Fn(&Running, &mut Connection)) {
    for protocol in PROTOCOLS {
        println!("protocol {protocol}");
        let server = Running::start();
        let mut connection = client(&server, protocol).get_connection().unwrap();
        test(&server, &mut connection);
    }
}
