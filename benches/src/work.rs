//! The workloads: what each is called, how it is measured and how large it is.

mod open;
mod position;
mod read;
mod sync;
mod write;

pub use open::{measure_memory, reopen, reopen_after_kill, write_until_killed};
pub(crate) use position::positions;
pub(crate) use read::{get, iterate, seek};
pub(crate) use sync::{sync_batches, sync_puts};
pub(crate) use write::{load, new_keys, new_keys_len, overwrite, zipf};

/// Pairs per batch, in the load and in the synced batches.
pub(crate) const BATCH_LEN: u32 = 1_000;
/// Pairs read after each seek.
pub(crate) const SEEK_LEN: usize = 10;

macro_rules! works {
    ($($name:ident $id:literal $unit:ident $title:literal;)*) => {
        /// A workload.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Work {
            $(#[doc = $title] $name,)*
        }
        impl Work {
            /// All of them, in the order of a turn.
            pub const ALL: &[Work] = &[$(Work::$name,)*];
            /// The name on the command line and in JSON.
            pub fn id(self) -> &'static str {
                match self { $(Work::$name => $id,)* }
            }
            /// The heading of its table.
            pub fn title(self) -> &'static str {
                match self { $(Work::$name => $title,)* }
            }
            /// What its result is a number of.
            pub fn unit(self) -> Unit {
                match self { $(Work::$name => Unit::$unit,)* }
            }
        }
    };
}

works! {
    Load "load" PerSecond "new keys, random order, batches of 1,000, buffered";
    Get "get" PerSecond "random get, 1 thread";
    Get2 "get-2" PerSecond "random get, 2 threads";
    Seek "seek" PerSecond "seek + 10 entries with values";
    Iterate "iterate" PerSecond "iteration in key order, entries with values";
    Count "count" PerSecond "count of the keys from a key on";
    Rank "rank" PerSecond "rank of a key";
    Nth "nth" PerSecond "key at a place (nth)";
    Overwrite "overwrite" PerSecond "overwrite, single puts, buffered";
    New "new" PerSecond "new keys, single puts, buffered, into the loaded store";
    Zipf "zipf" PerSecond "overwrite, single puts, Zipf 0.99, buffered";
    Disk "disk" OfLive "disk space after close, as a multiple of the live keys and values";
    Reopen "reopen" Milliseconds "open after a clean close, to the first get";
    Killed "reopen-killed" Milliseconds "open after kill -9 amid overwrites, to the first get";
    SyncPut "sync-put" PerSecond "single put, fsync each, 1 thread";
    SyncPut16 "sync-put-16" PerSecond "single put, fsync each, 16 threads";
    SyncBatch "sync-batch" PerSecond "batches of 1,000, fsync each, 1 thread (pairs)";
    Memory "memory" BytesPerKey "anonymous memory per key, the 24 bytes of the key not counted";
}

impl Work {
    /// Asks for places in the order, which few stores know.
    pub fn is_positional(self) -> bool {
        matches!(self, Work::Count | Work::Rank | Work::Nth)
    }

    /// Needs keys in order.
    pub fn is_ordered(self) -> bool {
        self.is_positional() || matches!(self, Work::Seek | Work::Iterate)
    }

    /// Waits for the disk at every commit.
    pub fn is_synced(self) -> bool {
        matches!(self, Work::SyncPut | Work::SyncPut16 | Work::SyncBatch)
    }

    /// Opens a store that an earlier workload left behind.
    pub fn is_reopen(self) -> bool {
        matches!(self, Work::Reopen | Work::Killed)
    }
}

/// What a result is a number of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Operations per second.
    PerSecond,
    /// Milliseconds.
    Milliseconds,
    /// Multiple of the bytes of the live keys and values.
    OfLive,
    /// Bytes per key.
    BytesPerKey,
}

impl Unit {
    /// Whether more is better.
    pub fn more_is_better(self) -> bool {
        self == Unit::PerSecond
    }

    /// The unit, for reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Unit::PerSecond => "ops/s",
            Unit::Milliseconds => "ms",
            Unit::OfLive => "x live",
            Unit::BytesPerKey => "B/key",
        }
    }
}
