//! Parameters of memory: its limit, what gives way, and when it is given back.

use super::kind::{INT, Kind};
use super::row::{Live, Parameter};
use crate::eviction;

/// The policies, in the order the reference server names them.
const POLICIES: &[&str] = &[
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "noeviction",
];

const NO_DEFRAGMENTATION: &str = "Active defragmentation cannot be enabled: it requires a Redis \
     server compiled with a modified Jemalloc like the one shipped by default with the Redis \
     source distribution";

pub(super) const PARAMETERS: &[Parameter] = &[
    Parameter::new("active-expire-effort", Kind::Integer { min: 1, max: 10 }, "1"),
    Parameter::new("activedefrag", Kind::YesNo, "no").check(|_| Err(NO_DEFRAGMENTATION.to_owned())),
    Parameter::new("jemalloc-bg-thread", Kind::YesNo, "yes"),
    Parameter::new("lazyfree-lazy-eviction", Kind::YesNo, "no"),
    Parameter::new("lazyfree-lazy-expire", Kind::YesNo, "no"),
    Parameter::new("lazyfree-lazy-server-del", Kind::YesNo, "no"),
    Parameter::new("lazyfree-lazy-user-del", Kind::YesNo, "no"),
    Parameter::new("lazyfree-lazy-user-flush", Kind::YesNo, "no"),
    Parameter::new("lfu-decay-time", INT, "1")
        .live(Live::LfuDecayTime)
        .then(|shared, _| eviction::policy_changed(shared))
        .effect("minutes after which a counter of uses loses one"),
    Parameter::new("lfu-log-factor", INT, "10")
        .live(Live::LfuLogFactor)
        .then(|shared, _| eviction::policy_changed(shared))
        .effect("how many uses it takes to raise a counter"),
    Parameter::new("maxmemory", Kind::Memory { min: 0, max: u64::MAX }, "0")
        .live(Live::MaxMemory)
        .effect("a bound on the memory for keys and elements; values are on the disk"),
    Parameter::new("maxmemory-eviction-tenacity", Kind::Integer { min: 0, max: 100 }, "10"),
    Parameter::new("maxmemory-policy", Kind::OneOf(POLICIES), "noeviction")
        .live(Live::MaxMemoryPolicy)
        .then(|shared, _| eviction::policy_changed(shared))
        .effect("which keys give way; uses are remembered (14 B per key) for LRU and LFU only"),
    Parameter::new("maxmemory-samples", Kind::Integer { min: 1, max: 64 }, "5")
        .live(Live::MaxMemorySamples)
        .effect("keys drawn of each database for an eviction"),
    Parameter::new("oom-score-adj", Kind::OneOf(&["no", "yes", "relative", "absolute"]), "no"),
    Parameter::new("oom-score-adj-values", Kind::Adjustments, "0 200 800"),
];
