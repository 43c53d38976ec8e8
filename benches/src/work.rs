//! The workloads: what each is called, how it is measured and how large it is.

mod cold;
mod mix;
mod open;
mod position;
mod posts;
mod read;
mod remove;
mod steady;
mod sync;
mod write;

use serde::{Deserialize, Serialize};

pub(crate) use cold::cold_gets;
pub(crate) use mix::mix;
pub use open::{measure_memory, reopen, reopen_after_kill, write_until_killed};
pub(crate) use position::positions;
pub(crate) use read::{get, iterate, len, seek};
pub(crate) use remove::remove;
pub(crate) use steady::steady;
pub(crate) use sync::{sync_batches, sync_puts};
pub(crate) use write::{load, new_keys, new_keys_len, overwrite, zipf};

/// Pairs per batch, in the load and in the synced batches.
const BATCH_LEN: u32 = 1_000;
/// Fewer if their values are larger than this together.
const BATCH_BYTES_MAX: usize = 4 << 20;
/// Pairs read after each seek.
pub(crate) const SEEK_LEN: usize = 10;

macro_rules! works {
    ($($name:ident $id:literal $unit:ident $title:literal;)*) => {
        /// A workload.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Work {
            $(#[doc = $title] #[serde(rename = $id)] $name,)*
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
    Len "len" Milliseconds "number of keys, once";
    Get "get" PerSecond "random get, 1 thread";
    Get2 "get-2" PerSecond "random get, 2 threads";
    Get4 "get-4" PerSecond "random get, 4 threads";
    Get8 "get-8" PerSecond "random get, 8 threads";
    Seek "seek" PerSecond "seek + 10 entries with values";
    Iterate "iterate" PerSecond "iteration in key order, entries with values";
    Count "count" PerSecond "count of the keys from a key on";
    Rank "rank" PerSecond "rank of a key";
    Nth "nth" PerSecond "key at a place (nth)";
    Overwrite "overwrite" PerSecond "overwrite, single puts, buffered";
    New "new" PerSecond "new keys, single puts, buffered, into the loaded store";
    Zipf "zipf" PerSecond "overwrite, single puts, Zipf 0.99, buffered";
    YcsbA "ycsb-a" PerSecond "YCSB A: 50 % reads, 50 % updates, Zipf";
    YcsbB "ycsb-b" PerSecond "YCSB B: 95 % reads, 5 % updates, Zipf";
    YcsbC "ycsb-c" PerSecond "YCSB C: reads, Zipf";
    YcsbF "ycsb-f" PerSecond "YCSB F: 50 % reads, 50 % read-modify-writes, Zipf";
    YcsbD "ycsb-d" PerSecond "YCSB D: 95 % reads of the latest, 5 % inserts";
    YcsbE "ycsb-e" PerSecond "YCSB E: 95 % scans of 1 to 100, 5 % inserts, Zipf";
    Fjall1 "fjall-1" PerSecond "50 % uniform reads, 50 % updates, buffered";
    Fjall2 "fjall-2" PerSecond "95 % uniform reads, 5 % updates, synced";
    Fjall3 "fjall-3" PerSecond "95 % Zipf reads, 5 % updates, 4 KiB values, synced";
    Fjall4 "fjall-4" PerSecond "95 % Zipf reads, 5 % updates, synced";
    Fjall5 "fjall-5" PerSecond "80 % profile and 20 newest posts, 20 % new posts, synced";
    LimitedGet "limited-get" PerSecond "uniform reads, data four times the memory";
    LimitedZipf "limited-zipf" PerSecond "95 % Zipf reads, 5 % updates, data four times the memory";
    SteadyReadIdle "steady-read-idle" Microseconds "p99.9 of reads while nobody writes";
    SteadyPut "steady-put" PerSecond "Zipfian overwrites, settled, one reader beside";
    SteadyRatio "steady-ratio" Times "settled rate, as a multiple of the rate before any merge";
    SteadyRead "steady-read" Microseconds "p99.9 of reads beside settled overwrites";
    SteadySpace "steady-space" OfLive "most disk space while settled, of live data";
    Anonymous "anonymous" Mebibytes "anonymous memory with the store loaded and written to";
    PeakResident "peak-resident" Mebibytes "most memory of the turn, mapped files included";
    Disk "disk" OfLive "disk space after close, as a multiple of the live keys and values";
    Reopen "reopen" Milliseconds "open after a clean close, to the first get";
    ReopenCold "reopen-cold" Milliseconds "the same after the page cache was told to forget it";
    Killed "reopen-killed" Milliseconds "open after kill -9 amid overwrites, to the first get";
    ColdGet "cold-get" PerSecond "random get of what the page cache was told to forget";
    SyncPut "sync-put" PerSecond "single put, fsync each, 1 thread";
    SyncPut16 "sync-put-16" PerSecond "single put, fsync each, 16 threads";
    SyncBatch "sync-batch" PerSecond "batches of 1,000, fsync each, 1 thread (pairs)";
    Remove "remove" PerSecond "removal of half the keys, batches of 1,000, buffered (keys)";
    DiskRemoved "disk-removed" OfLive "disk space after these removals and close";
    Compacted "compacted" OfLive "disk space after compaction on demand";
    Memory "memory" BytesPerKey "anonymous memory per key, the key itself not counted";
    MemoryPeak "memory-peak" BytesPerKey "the most it was on the way, the key itself not counted";
}

impl Work {
    /// Asks for places in the order, which few stores know.
    pub fn is_positional(self) -> bool {
        matches!(self, Work::Count | Work::Rank | Work::Nth)
    }

    /// About keys in memory, which other stores do not keep.
    pub fn is_of_keydir(self) -> bool {
        matches!(self, Work::Memory | Work::MemoryPeak)
    }

    /// Needs keys in order.
    pub fn is_ordered(self) -> bool {
        self.is_positional()
            || matches!(self, Work::Seek | Work::Iterate | Work::YcsbE | Work::Fjall5)
    }

    /// Waits for the disk at every commit.
    pub fn is_synced(self) -> bool {
        use Work::{Fjall2, Fjall3, Fjall4, Fjall5, SyncBatch, SyncPut, SyncPut16};
        matches!(self, SyncPut | SyncPut16 | SyncBatch | Fjall2 | Fjall3 | Fjall4 | Fjall5)
    }

    /// Reads and writes on a store loaded for it.
    pub fn is_mixed(self) -> bool {
        (Work::YcsbA..=Work::LimitedZipf).contains(&self)
    }

    /// Runs with less memory than data.
    pub fn is_limited(self) -> bool {
        matches!(self, Work::LimitedGet | Work::LimitedZipf)
    }

    /// Part of the one measurement of settled overwrites.
    pub fn is_steady(self) -> bool {
        (Work::SteadyReadIdle..=Work::SteadySpace).contains(&self)
    }

    /// Reads from the disk.
    pub fn is_cold(self) -> bool {
        self == Work::ColdGet
    }

    /// Follows the removals.
    pub fn is_of_removal(self) -> bool {
        matches!(self, Work::Remove | Work::DiskRemoved | Work::Compacted)
    }
}

/// What a result is a number of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Operations per second.
    PerSecond,
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
    /// Multiple of the bytes of the live keys and values.
    OfLive,
    /// Multiple of another result.
    Times,
    /// Bytes per key.
    BytesPerKey,
    /// Mebibytes.
    Mebibytes,
}

impl Unit {
    /// Whether more is better.
    pub fn more_is_better(self) -> bool {
        matches!(self, Unit::PerSecond | Unit::Times)
    }

    /// The unit, for reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Unit::PerSecond => "ops/s",
            Unit::Milliseconds => "ms",
            Unit::Microseconds => "µs",
            Unit::OfLive => "x live",
            Unit::Times => "x",
            Unit::BytesPerKey => "B/key",
            Unit::Mebibytes => "MiB",
        }
    }
}
