//! `kvcore`: an embeddable key/value store.
//!
//! A typed [`Store`] over a Bitcask-style log of data files. All keys are in memory, with their
//! places and in their order; values are on disk. A read costs one hash probe and one memory
//! access, a write one append.
//!
//! ```
//! use kvcore::{Durability, Keyspace, Schema, Store};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
//! struct User {
//!     name: String,
//!     age: u64,
//! }
//!
//! // Name, types and options of a keyspace in one place.
//! const USERS: Schema<String, User> = Schema::new("users").version(1);
//!
//! # fn main() -> kvcore::Result<()> {
//! # let dir = tempfile::tempdir().expect("a temporary directory");
//! let store = Store::open(dir.path().join("data"))?;
//! let users = store.keyspace(USERS)?;
//! let by_age: Keyspace<(u64, String), ()> = store.keyspace("users by age")?;
//!
//! let ada = User { name: "Ada".into(), age: 36 };
//! users.put("ada", &ada)?;
//! assert_eq!(users.get("ada")?, Some(ada));
//! users.update("ada", |old| old.map(|u| User { age: u.age + 1, ..u }))?;
//!
//! let mut batch = store.batch(); // all or nothing, across keyspaces
//! batch.put(&users, "bob", &User { name: "Bob".into(), age: 41 })?;
//! batch.put(&by_age, (41, "bob"), &())?;
//! batch.commit_with(Durability::Immediate)?;
//!
//! for entry in users.range("a".."n") {
//!     let entry = entry?; // in key order, a consistent view
//!     println!("{}: {:?}", entry.key(), entry.value()?);
//! }
//! assert_eq!(by_age.count((18, "")..(65, ""))?, 1);
//! store.close()
//! # }
//! ```
//!
//! # Where to start
//!
//! [`guide`] is written to be read: chapters with what to type, what it costs, what goes wrong.
//!
//! - [`Store`] is opened with [`Store::open`] or through [`Options`]; it is a handle that can be
//!   cloned and sent to other threads. [`Store::in_memory`] and [`Store::temporary`] are for tests.
//! - [`Keyspace`] is a named, typed part of it: [`get`](Keyspace::get), [`put`](Keyspace::put),
//!   [`update`](Keyspace::update), [`range`](Keyspace::range), [`count`](Keyspace::count) and
//!   more. [`Schema`] names one in a constant; [`Store::migrate`] takes it to another one.
//! - [`Store::transaction`] runs a closure whose reads and writes happen at one moment.
//! - [`Snapshot`] is all of a store as it was at one moment.
//! - [`Read`] is for functions that read from a store, a snapshot or a transaction alike.
//! - Entries expire: [`Put::expires_in`], [`touch`](Keyspace::touch); a keyspace may leave that to
//!   its owner ([`Schema::expired_by_owner`]) or evict what is not used
//!   ([`Schema::budget_bytes`]).
//! - [`Keyspace::watch`] and its like tell, in this process, what is committed to some keys.
//! - [`Batch`] commits several writes as one; [`Store::commit_many`] writes many commits at once.
//! - [`Durability`] says what an acknowledged write has survived; per store and per commit.
//! - [`Key`] and [`AsKey`] are what may be a key, [`Codec`] how values become bytes.
//! - [`Store::checkpoint`] is a backup, [`Store::verify`] and [`verify()`] look at every byte,
//!   [`salvage()`] recovers what can be read, [`Options::open_read_only`] reads beside a writer.
//! - [`Store::changes`] follows a store: every commit in order, over restarts and crashes.
//! - [`Error`] is grouped by what the caller should do; [`Stats`] has the figures.
//!
//! # What is promised
//!
//! 1. A write acknowledged with [`Durability::Immediate`] survives power loss, one acknowledged
//!    with [`Durability::Buffered`] survives `kill -9`.
//! 2. After any crash the store holds a prefix of the order of commits: no hole, no half batch.
//! 3. A damaged byte is never served as data: it is [`Error::Corrupt`] with file and offset, or,
//!    at the unsynced end of the log, a truncation that [`Store::recovery`] reports.
//! 4. Deleted and expired keys do not come back.
//! 5. Reads do not wait for merges.
//!
//! After a failed write or sync every later call is [`Error::Poisoned`]; reopening recovers.
//!
//! # Limits
//!
//! Keys up to 64 KiB encoded, values up to 4 GiB − 1, and of any length through
//! [`Keyspace::put_reader`]. Memory: about 35 bytes and the key for every
//! key, 52 in ordered keyspaces, see [`Stats::keydir_bytes`]. Values are read through memory maps
//! by default, which turns an unreadable sector, or a file cut by another program, into a SIGBUS;
//! see [`ReadMode`]. A handle must not be used in a forked child.
//!
//! # Features
//!
//! | feature | default | gives |
//! |---|---|---|
//! | `bincode` | yes | [`Bincode`], the default codec, for every type with serde's traits |
//! | `postcard` | no | `Postcard`, the same with a maintained crate |
//! | `json` | no | `Json`, readable values |
//! | `lz4` | no | [`Schema::compressed`], values compressed where that saves |
//! | `tracing` | no | events through the crate `tracing` |

pub mod clock;
pub mod disk;
pub mod guide;

mod batch;
mod changes;
mod checkpoint;
mod codec;
mod engine;
mod error;
mod event;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod ids;
mod index;
mod iter;
mod key;
mod keydir;
mod keyspace;
mod log;
mod merge;
mod options;
mod parallel;
mod raw;
mod read;
mod recovery;
mod salvage;
mod schema;
mod snapshot;
mod spans;
mod stats;
mod store;
mod token;
mod trace;
mod transaction;
mod value;
mod value_reader;
mod verify;
mod view;
mod watch;

pub use batch::Batch;
pub use changes::{Change, Changes, Since};
pub use checkpoint::{CheckpointFiles, Checkpointed};
#[cfg(feature = "json")]
pub use codec::Json;
#[cfg(feature = "postcard")]
pub use codec::Postcard;
pub use codec::{Bincode, Codec, Raw};
pub use error::{BoxError, Error, Result};
pub use event::Event;
pub use ids::Sequence;
pub use iter::{Entry, Iter};
pub use key::{AsKey, EncodedRange, Key, KeyPrefix, KeyRange, Position};
pub use keyspace::{
    BytesKeyspace, Direction, DrawFrom, DrawnEntry, Footprint, Keyspace, LastUse, PreparedValue,
    ScanCursor, Swap, UsesRemembered, Visited, WatchBuilder,
};
pub use options::{AutoMerge, Background, Durability, Options, Put, ReadMode, RecoveryProgress};
pub use raw::KeyspaceInfo;
pub use read::Read;
pub use salvage::{Salvaged, salvage};
pub use schema::Schema;
pub use snapshot::Snapshot;
pub use stats::{FileStats, KeyspaceStats, Latencies, Recovery, Stats};
pub use store::{Durable, MigrationProgress, Reclaimed, Round, Store};
pub use token::ChangeToken;
pub use transaction::{Transaction, TxIter};
pub use value::{Value, ValueRef};
pub use value_reader::ValueReader;
pub use verify::{Damage, Verified, VerifyProgress, verify};
pub use watch::{Watched, Watcher};
