//! kvcore alone, beside the limits of the machine: `cargo bench -p kv-benches --bench engine`.

use std::process::ExitCode;

use kv_benches::{
    engines::{hash_map::InMemory, kvcore, raw_log::RawLog},
    limits::Limit,
    rounds,
    turn::contender,
};

fn main() -> ExitCode {
    let engines = vec![
        contender::<kvcore::Ordered>(),
        contender::<kvcore::Unordered>(),
        contender::<InMemory>(),
        contender::<RawLog>(),
        Box::new(Limit::Memcpy),
        Box::new(Limit::Pread),
        Box::new(Limit::Append),
    ];
    rounds::main("kvcore and the limits of this machine", engines, env!("CARGO_TARGET_TMPDIR"))
}
