//! A RESP server over a `kvcore` store.

mod client;
mod command;
mod context;
mod data;
mod glob;
mod lcs;
mod long_double;
mod number;
mod resp;
mod server;
