//! kvcore against its peers:
//! `cargo bench -p kv-benches --features compare --bench compare`.

use std::process::ExitCode;

#[cfg(feature = "compare-rocksdb")]
use kv_benches::engines::rocksdb::Rocksdb;
use kv_benches::{
    engines::{
        fjall::Fjall, hash_map::InMemory, heed::Heed, kvcore, raw_get::RawGet, raw_log::RawLog,
        redb::Redb, sled::Sled,
    },
    limits::Limit,
    rounds,
    turn::contender,
};

fn main() -> ExitCode {
    let engines = vec![
        contender::<kvcore::Ordered>(),
        contender::<kvcore::Unordered>(),
        contender::<Heed>(),
        contender::<Redb>(),
        contender::<Fjall>(),
        contender::<Sled>(),
        #[cfg(feature = "compare-rocksdb")]
        contender::<Rocksdb>(),
        contender::<InMemory>(),
        contender::<RawGet>(),
        contender::<RawLog>(),
        Box::new(Limit::Memcpy),
        Box::new(Limit::Pread),
        Box::new(Limit::Append),
    ];
    rounds::main("kvcore and its peers", engines, env!("CARGO_TARGET_TMPDIR"))
}
