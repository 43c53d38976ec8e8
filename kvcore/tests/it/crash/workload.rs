//! Small scripts of everything a store can be asked to do, some by hand, others random.

use super::model::Place;
use kvcore::AutoMerge;

/// The keyspaces of every workload: two ordered ones, and one without order.
pub(crate) const KEYSPACES: [&str; 3] = ["left", "right", "unordered"];
pub(crate) const UNORDERED: usize = 2;

/// A change to one keyspace.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    Put {
        keyspace: usize,
        key: u8,
        len: usize,
    },
    /// A put from a reader; alone, never in a batch.
    Stream {
        keyspace: usize,
        key: u8,
        len: usize,
    },
    PutFor {
        keyspace: usize,
        key: u8,
        len: usize,
        ms: u64,
    },
    Delete {
        keyspace: usize,
        key: u8,
    },
    DeleteRange {
        keyspace: usize,
        from: u8,
        to: u8,
    },
    Clear {
        keyspace: usize,
    },
    Expire {
        keyspace: usize,
        key: u8,
        ms: u64,
    },
    Persist {
        keyspace: usize,
        key: u8,
    },
}

/// Whether a commit waits for its sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ack {
    Durable,
    Buffered,
}

/// One step of a workload.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Write(Write, Ack),
    Batch(Vec<Write>, Ack),
    /// Each write a commit of its own, all written together.
    Round(Vec<Write>, Ack),
    Advance {
        ms: u64,
    },
    Sync,
    Merge,
    Maintain,
    Reopen,
    /// The process dies and a new one opens the store, in the same boot.
    Kill,
}

/// A script and the settings it runs with.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    pub(crate) name: String,
    pub(crate) file_bytes_max: u64,
    /// Whether maintenance merges some of the files.
    pub(crate) auto_merge: AutoMerge,
    /// What merge leaves for followers that are away.
    pub(crate) feed_retention_bytes: u64,
    pub(crate) ops: Vec<Op>,
}

use Ack::{Buffered, Durable};

fn put(keyspace: usize, key: u8, len: usize) -> Write {
    Write::Put { keyspace, key, len }
}

fn puts(keys: impl IntoIterator<Item = u8>, len: usize, ack: Ack) -> Vec<Op> {
    keys.into_iter().map(|key| Op::Write(put(0, key, len), ack)).collect()
}

fn streams(keys: impl IntoIterator<Item = u8>, len: usize, ack: Ack) -> Vec<Op> {
    keys.into_iter().map(|key| Op::Write(Write::Stream { keyspace: 0, key, len }, ack)).collect()
}

fn script(name: &str, file_bytes_max: u64, parts: Vec<Vec<Op>>) -> Workload {
    let auto_merge = AutoMerge::Off;
    let (name, ops, feed_retention_bytes) = (name.to_owned(), parts.concat(), 0);
    Workload { name, file_bytes_max, auto_merge, feed_retention_bytes, ops }
}

/// The workloads written by hand.
pub(crate) fn scripts() -> Vec<Workload> {
    let delete = |key, ack| vec![Op::Write(Write::Delete { keyspace: 0, key }, ack)];
    let one = |op: Op| vec![op];
    vec![
        script(
            "rolls of buffered puts with a durable one now and then",
            256,
            vec![
                puts(0..7, 20, Buffered),
                puts(7..8, 20, Durable),
                puts(2..6, 30, Buffered),
                one(Op::Sync),
                puts(0..5, 10, Buffered),
            ],
        ),
        script(
            "every put durable",
            256,
            vec![puts(0..5, 30, Durable), delete(2, Durable), puts(2..6, 10, Durable)],
        ),
        script(
            "overwrites and deletes around a merge",
            300,
            vec![
                puts(0..6, 20, Buffered),
                delete(1, Buffered),
                puts(0..3, 25, Buffered),
                one(Op::Merge),
                delete(0, Durable),
                delete(3, Buffered),
                one(Op::Merge),
                puts(3..5, 12, Buffered),
                one(Op::Merge),
            ],
        ),
        script(
            "hints, close and reopen",
            256,
            vec![
                puts(0..6, 20, Buffered),
                one(Op::Sync),
                one(Op::Maintain),
                puts(0..3, 8, Buffered),
                one(Op::Reopen),
                delete(4, Buffered),
                puts(5..7, 20, Durable),
                one(Op::Reopen),
                one(Op::Reopen),
                puts(0..4, 25, Buffered),
            ],
        ),
        script(
            "batches over two keyspaces and a round",
            400,
            vec![
                one(Op::Batch(vec![put(0, 1, 10), put(1, 1, 10), put(2, 1, 5)], Buffered)),
                one(Op::Batch(vec![put(0, 1, 12), put(1, 2, 40), put(2, 3, 50)], Durable)),
                one(Op::Round(vec![put(0, 4, 20), put(1, 5, 20), put(0, 6, 20)], Buffered)),
                one(Op::Batch(
                    vec![
                        Write::Delete { keyspace: 0, key: 1 },
                        put(0, 7, 9),
                        Write::Expire { keyspace: 0, key: 7, ms: 5_000 },
                    ],
                    Buffered,
                )),
                one(Op::Round(vec![put(0, 4, 30), put(1, 5, 30), put(0, 6, 30)], Durable)),
                one(Op::Batch((0..12).map(|key| put(1, key, 30)).collect(), Buffered)),
                one(Op::Batch((0..12).map(|key| put(1, key, 31)).collect(), Durable)),
            ],
        ),
        script(
            "values in files of their own, replaced, deleted and merged",
            256,
            vec![
                puts(0..2, 300, Buffered),
                puts(2..3, 700, Durable),
                puts(0..1, 200, Buffered),
                delete(1, Buffered),
                one(Op::Sync),
                one(Op::Maintain),
                puts(2..4, 150, Buffered),
                one(Op::Merge),
                one(Op::Maintain),
                one(Op::Reopen),
                puts(2..3, 10, Durable),
                one(Op::Maintain),
            ],
        ),
        script(
            "values from readers, replaced, deleted and merged",
            256,
            vec![
                streams(0..2, 300, Buffered),
                streams(2..3, 700, Durable),
                streams(0..1, 20, Buffered),
                delete(1, Buffered),
                streams(2..3, 500, Buffered),
                one(Op::Merge),
                one(Op::Maintain),
                one(Op::Reopen),
                streams(2..4, 100, Durable),
                one(Op::Maintain),
            ],
        ),
        script(
            "expiry: set, changed, taken back, reached",
            300,
            vec![
                one(Op::Write(Write::PutFor { keyspace: 0, key: 1, len: 9, ms: 1_000 }, Buffered)),
                one(Op::Write(Write::PutFor { keyspace: 0, key: 2, len: 9, ms: 1_000 }, Durable)),
                puts(3..5, 10, Buffered),
                one(Op::Write(Write::Persist { keyspace: 0, key: 1 }, Buffered)),
                one(Op::Write(Write::Expire { keyspace: 0, key: 3, ms: 2_000 }, Buffered)),
                one(Op::Advance { ms: 1_500 }),
                one(Op::Maintain),
                one(Op::Merge),
                one(Op::Write(Write::Expire { keyspace: 0, key: 4, ms: 9_000 }, Buffered)),
                one(Op::Advance { ms: 1_000 }),
                one(Op::Maintain),
                puts(2..4, 10, Buffered),
                one(Op::Merge),
                one(Op::Reopen),
                one(Op::Advance { ms: 70_000 }),
                one(Op::Maintain),
                one(Op::Merge),
            ],
        ),
        script(
            "range deletes and clears, of many and of few",
            500,
            vec![
                one(Op::Batch((0..80).map(|key| put(0, key, 4)).collect(), Buffered)),
                one(Op::Batch((0..80).map(|key| put(2, key, 4)).collect(), Buffered)),
                one(Op::Write(Write::DeleteRange { keyspace: 0, from: 3, to: 75 }, Buffered)),
                puts(10..12, 10, Buffered),
                one(Op::Write(Write::Clear { keyspace: 2 }, Durable)),
                one(Op::Write(put(2, 9, 9), Buffered)),
                one(Op::Merge),
                one(Op::Write(Write::DeleteRange { keyspace: 0, from: 0, to: 11 }, Buffered)),
                one(Op::Maintain),
                one(Op::Merge),
                one(Op::Reopen),
            ],
        ),
        script(
            "files large enough to be prepared ahead",
            128 << 10,
            vec![
                puts(0..4, 20 << 10, Buffered),
                one(Op::Maintain),
                puts(4..6, 20 << 10, Durable),
                puts(0..3, 20 << 10, Buffered),
                one(Op::Maintain),
                puts(0..2, 20 << 10, Buffered),
                one(Op::Kill),
                puts(0..5, 20 << 10, Buffered),
                one(Op::Maintain),
                one(Op::Reopen),
                one(Op::Merge),
            ],
        ),
        script(
            "killed and reopened in one boot",
            256,
            vec![
                puts(0..6, 20, Buffered),
                one(Op::Kill),
                puts(0..2, 20, Durable),
                puts(3..5, 20, Buffered),
                one(Op::Merge),
                one(Op::Kill),
                delete(3, Buffered),
                puts(0..1, 200, Buffered),
                one(Op::Kill),
                one(Op::Merge),
                one(Op::Kill),
                puts(5..6, 200, Durable),
            ],
        ),
    ]
}

/// A workload that nobody thought of.
pub(crate) fn random(seed: u64) -> Workload {
    let mut random = fastrand::Rng::with_seed(seed);
    let file_bytes_max = [256, 300, 420, 600][random.usize(..4)];
    let count = random.usize(10..60);
    let ops = (0..count).map(|_| random_op(&mut random)).collect();
    let auto_merge = if seed.is_multiple_of(2) { AutoMerge::Off } else { AutoMerge::On };
    let feed_retention_bytes = [0, 1_000, 1 << 20][usize::try_from(seed % 3).expect("below 3")];
    let name = format!("random {seed}");
    Workload { name, file_bytes_max, auto_merge, feed_retention_bytes, ops }
}

/// Writes and syncs only, so that the tip is known while another thread merges.
pub(crate) fn random_writes(seed: u64) -> Workload {
    let whole = random(seed);
    let is_steady = |write: &Write| !matches!(write, Write::PutFor { .. } | Write::Expire { .. });
    let stays = |op: &Op| match op {
        Op::Write(write, _) => is_steady(write),
        Op::Batch(writes, _) => writes.iter().all(is_steady),
        Op::Round(..) | Op::Sync => true,
        Op::Advance { .. } | Op::Merge | Op::Maintain | Op::Reopen | Op::Kill => false,
    };
    let ops = whole.ops.into_iter().filter(stays).collect();
    Workload { name: format!("random writes {seed}"), ops, ..whole }
}

fn random_op(random: &mut fastrand::Rng) -> Op {
    let ack = if random.u8(..4) == 0 { Durable } else { Buffered };
    match random.u8(..100) {
        0..60 => Op::Write(random_write(random), ack),
        60..70 => {
            let writes = (0..random.usize(1..8)).map(|_| random_in_batch(random)).collect();
            Op::Batch(writes, ack)
        }
        70..76 => Op::Round((0..random.usize(1..5)).map(|_| random_put(random)).collect(), ack),
        76..81 => Op::Advance { ms: random.u64(1..2_500) },
        81..85 => Op::Sync,
        85..89 => Op::Merge,
        89..94 => Op::Maintain,
        94..97 => Op::Reopen,
        _ => Op::Kill,
    }
}

fn random_place(random: &mut fastrand::Rng) -> Place {
    ([0, 0, 0, 1, UNORDERED][random.usize(..5)], random.u8(..8))
}

fn random_put(random: &mut fastrand::Rng) -> Write {
    let (keyspace, key) = random_place(random);
    let len = if random.u8(..12) == 0 { random.usize(160..900) } else { random.usize(3..50) };
    Write::Put { keyspace, key, len }
}

fn random_in_batch(random: &mut fastrand::Rng) -> Write {
    let (keyspace, key) = random_place(random);
    match random.u8(..10) {
        0..3 => Write::Delete { keyspace, key },
        3 if keyspace != UNORDERED => {
            let from = random.u8(..6);
            Write::DeleteRange { keyspace, from, to: from + random.u8(1..4) }
        }
        4 => Write::PutFor { keyspace, key, len: random.usize(3..30), ms: random.u64(1..4_000) },
        _ => random_put(random),
    }
}

fn random_write(random: &mut fastrand::Rng) -> Write {
    let (keyspace, key) = random_place(random);
    match random.u8(..20) {
        0..4 => Write::Delete { keyspace, key },
        4 if keyspace != UNORDERED => {
            let from = random.u8(..6);
            Write::DeleteRange { keyspace, from, to: from + random.u8(1..4) }
        }
        5 if random.bool() => Write::Clear { keyspace },
        6..8 => Write::Expire { keyspace, key, ms: random.u64(1..4_000) },
        8 => Write::Persist { keyspace, key },
        11 => Write::Stream { keyspace, key, len: random.usize(3..900) },
        9..11 => {
            Write::PutFor { keyspace, key, len: random.usize(3..30), ms: random.u64(1..4_000) }
        }
        _ => random_put(random),
    }
}
