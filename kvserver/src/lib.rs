//! A RESP server over a `kvcore` store.

mod client;
mod command;
mod context;
mod data;
mod resp;
mod server;
