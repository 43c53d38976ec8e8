//! A RESP server over a `kvcore` store.

mod background;
mod client;
mod command;
mod config;
mod connection;
mod context;
mod data;
mod error;
mod executor;
mod glob;
mod inbox;
mod lcs;
mod long_double;
mod number;
mod parameters;
mod process;
mod resp;
mod server;
mod shared;
mod stats;
mod watch;
mod worker;

pub use config::{AppendFsync, Config};
pub use error::Error;
pub use server::{Server, StopHandle, serve};
