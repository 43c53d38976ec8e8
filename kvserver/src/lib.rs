//! A RESP server over a `kvcore` store: redis-cli and every Redis client can use it.
//!
//! The binary `kvserver` opens a store of its own. An application can serve the store it has open:
//!
//! ```no_run
//! use kvserver::{Config, Server};
//!
//! let store = kvcore::Store::open("data")?;
//! let server = Server::bind(Config::default(), store.clone())?;
//! println!("redis-cli -p {}", server.local_addr().port());
//! let stop = server.stop_handle();
//! let thread = std::thread::spawn(|| server.run());
//! // … and when the application ends:
//! stop.stop();
//! thread.join().expect("the server does not panic")?;
//! store.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The way of a request
//!
//! `server` accepts and hands the connection to a `worker`, which reads it into an `inbox`, where
//! `resp` finds requests and the table in `command` their entries. The `executor` runs each entry's
//! handler on a `context`: `data` collects its changes, which become one batch. The worker sends
//! the replies, or `connection` keeps them until `background` has made durable what they tell.
//!
//! # What parts refuse to know
//!
//! `resp`, `command` and `executor` know no sockets and no locks; `worker` and `connection` no
//! commands; handlers no clock and no chance but their context's. Only `data::engine` knows how
//! databases lie on keyspaces.

mod access;
mod background;
mod balance;
#[cfg(any(test, feature = "bench"))]
#[doc(hidden)]
pub mod bench;
mod bits;
mod blocking;
mod client;
mod command;
mod config;
mod connection;
mod context;
mod data;
mod double;
mod error;
mod eviction;
mod executor;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod glob;
mod hll;
mod inbox;
mod keepalive;
mod lcs;
mod long_double;
mod monitor;
mod notify;
mod number;
mod observe;
mod open_files;
mod output;
mod output_limits;
mod parameters;
mod pause;
mod process;
mod pubsub;
mod resp;
mod server;
mod shared;
mod staging;
mod stats;
mod threads;
mod watch;
mod words;
mod worker;

pub use config::{AppendFsync, Config};
pub use error::Error;
pub use open_files::make_room_for_clients;
pub use server::{Server, StopHandle, serve};
