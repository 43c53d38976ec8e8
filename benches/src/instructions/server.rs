//! Requests whose instructions are counted in a server without sockets, and what it holds before.
//!
//! Requests come as bytes, sixteen to a round, as of a client that sends as many at once.

use std::path::Path;

use kvcore::{Durability, Options};
use kvserver::bench::Door;

use super::{Operation, counted_operations};
use crate::Result;

/// Keys, elements or members before an operation is counted.
const HELD: usize = 2_000;
/// Requests per count, and dear ones.
const COUNT: u32 = 2_000;
const DEAR_COUNT: u32 = 400;
/// Requests per round.
const PIPELINE: usize = 16;
const VALUE: [u8; 100] = [b'v'; 100];

/// Every figure. The names are those of the tests of redis-benchmark.
pub(super) const OPERATIONS: &[Operation] = &[
    of("PING", |dir| Served::new(dir)?.count("+PONG", |_| vec![b"PING".to_vec()])),
    of("SET, old key", |dir| with_strings(dir)?.count("+OK", |i| set(shuffled(i)))),
    of("SET, new key", |dir| with_strings(dir)?.count("+OK", |i| set(HELD + i))),
    of("GET", |dir| with_strings(dir)?.count("$100", |i| words("GET", [key(shuffled(i))]))),
    of("INCR", |dir| Served::new(dir)?.count(":", |i| words("INCR", [key(i % 1_000)]))),
    dear("MSET of 10", |dir| with_strings(dir)?.count_of(DEAR_COUNT, "+OK", mset)),
    of("LPUSH", |dir| with_list(dir)?.count(":", push)),
    of("LPOP", |dir| with_list(dir)?.count("$100", |_| words("LPOP", [b"list".to_vec()]))),
    dear("LRANGE of 100", |dir| with_list(dir)?.count_of(DEAR_COUNT, "*100", range)),
    of("SADD", |dir| Served::new(dir)?.count(":1", add)),
    of("SPOP", |dir| {
        let mut served = Served::new(dir)?;
        served.load(add)?;
        served.count("$", |_| words("SPOP", [b"set".to_vec()]))
    }),
    of("HSET", |dir| {
        let field = |i| words("HSET", [b"hash".to_vec(), key(i), VALUE.to_vec()]);
        Served::new(dir)?.count(":1", field)
    }),
    of("HGET", |dir| {
        let mut served = Served::new(dir)?;
        served.load(|i| words("HSET", [b"hash".to_vec(), key(i), VALUE.to_vec()]))?;
        served.count("$100", |i| words("HGET", [b"hash".to_vec(), key(shuffled(i))]))
    }),
    of("ZADD", |dir| Served::new(dir)?.count(":1", score)),
    of("ZPOPMIN", |dir| {
        let mut served = Served::new(dir)?;
        served.load(score)?;
        served.count("*2", |_| words("ZPOPMIN", [b"zset".to_vec()]))
    }),
];

const fn of(name: &'static str, run: fn(&Path) -> Result<()>) -> Operation {
    Operation { name, count: COUNT, run }
}

const fn dear(name: &'static str, run: fn(&Path) -> Result<()>) -> Operation {
    Operation { name, count: DEAR_COUNT, run }
}

type Words = Vec<Vec<u8>>;

fn words<const N: usize>(name: &str, args: [Vec<u8>; N]) -> Words {
    std::iter::once(name.as_bytes().to_vec()).chain(args).collect()
}

fn key(index: usize) -> Vec<u8> {
    format!("key:{index:012}").into_bytes()
}

/// All indices below [`HELD`], in another order (1,009 is prime).
fn shuffled(index: usize) -> usize {
    index * 1_009 % HELD
}

fn set(index: usize) -> Words {
    words("SET", [key(index), VALUE.to_vec()])
}

fn mset(index: usize) -> Words {
    let pairs = (0..10).flat_map(|at| [key(shuffled(index * 10 + at)), VALUE.to_vec()]);
    std::iter::once(b"MSET".to_vec()).chain(pairs).collect()
}

fn push(_: usize) -> Words {
    words("LPUSH", [b"list".to_vec(), VALUE.to_vec()])
}

fn range(_: usize) -> Words {
    words("LRANGE", [b"list".to_vec(), b"0".to_vec(), b"99".to_vec()])
}

fn add(index: usize) -> Words {
    words("SADD", [b"set".to_vec(), key(shuffled(index))])
}

fn score(index: usize) -> Words {
    words("ZADD", [b"zset".to_vec(), shuffled(index).to_string().into_bytes(), key(index)])
}

fn with_strings(dir: &Path) -> Result<Served> {
    let mut served = Served::new(dir)?;
    served.load(set)?;
    Ok(served)
}

fn with_list(dir: &Path) -> Result<Served> {
    let mut served = Served::new(dir)?;
    served.load(push)?;
    Ok(served)
}

/// A server and the requests that it is to be given.
struct Served(Door);

impl Served {
    fn new(dir: &Path) -> Result<Served> {
        let store = Options::new().durability(Durability::Buffered).open(dir)?;
        Ok(Served(Door::new(store)?))
    }

    /// Runs requests that are not counted.
    fn load(&mut self, request: impl Fn(usize) -> Words) -> Result<()> {
        let (rounds, mut replies) = (rounds(HELD, request), Vec::new());
        rounds.iter().try_for_each(|round| self.0.run(round, &mut replies))?;
        if replies.contains(&b'-') {
            Err("a request to prepare was refused".into())
        } else {
            Ok(())
        }
    }

    fn count(&mut self, reply: &str, request: impl Fn(usize) -> Words) -> Result<()> {
        self.count_of(COUNT, reply, request)
    }

    /// Counts so many requests; each reply has to begin with `reply`.
    fn count_of(
        &mut self,
        count: u32,
        reply: &str,
        request: impl Fn(usize) -> Words,
    ) -> Result<()> {
        let rounds = rounds(usize::try_from(count)?, request);
        let mut replies = Vec::with_capacity(1 << 16);
        let mut wrong = None;
        counted_operations(&mut || {
            for round in &rounds {
                replies.clear();
                self.0.run(round, &mut replies)?;
                if !replies.starts_with(reply.as_bytes()) {
                    wrong.get_or_insert_with(|| replies.clone());
                }
            }
            Ok(())
        })?;
        match wrong {
            Some(got) => Err(format!("answered {:?}", String::from_utf8_lossy(&got)).into()),
            None => Ok(()),
        }
    }
}

/// The bytes of so many requests, round by round.
fn rounds(count: usize, request: impl Fn(usize) -> Words) -> Vec<Vec<u8>> {
    let indices: Vec<usize> = (0..count).collect();
    let bytes = |round: &[usize]| {
        let mut bytes = Vec::new();
        for words in round.iter().map(|index| request(*index)) {
            bytes.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
            for word in words {
                bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
                bytes.extend_from_slice(&word);
                bytes.extend_from_slice(b"\r\n");
            }
        }
        bytes
    };
    indices.chunks(PIPELINE).map(bytes).collect()
}
