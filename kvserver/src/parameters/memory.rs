//! Parameters of memory: its limit, what gives way, and when it is given back.

use super::kind::{INT, Kind, MEMORY};
use super::row::Parameter;

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

pub(super) const PARAMETERS: &[Parameter] = &[
    Parameter::new("active-expire-effort", Kind::Integer { min: 1, max: 10 }, "1"),
    Parameter::new("activedefrag", Kind::OneOf(&["no"]), "no"),
    Parameter::new("jemalloc-bg-thread", Kind::YesNo, "yes"),
    Parameter::new("lazyfree-lazy-eviction", Kind::YesNo, "no"),
    Parameter::new("lazyfree-lazy-expire", Kind::YesNo, "no"),
    Parameter::new("lazyfree-lazy-server-del", Kind::YesNo, "no"),
    Parameter::new("lazyfree-lazy-user-del", Kind::YesNo, "no"),
    Parameter::new("lazyfree-lazy-user-flush", Kind::YesNo, "no"),
    Parameter::new("lfu-decay-time", INT, "1"),
    Parameter::new("lfu-log-factor", INT, "10"),
    Parameter::new("maxmemory", MEMORY, "0"),
    Parameter::new("maxmemory-eviction-tenacity", Kind::Integer { min: 0, max: 100 }, "10"),
    Parameter::new("maxmemory-policy", Kind::OneOf(POLICIES), "noeviction"),
    Parameter::new("maxmemory-samples", Kind::Integer { min: 1, max: 64 }, "5"),
    Parameter::new("oom-score-adj", Kind::OneOf(&["no", "yes", "relative", "absolute"]), "no"),
    Parameter::new("oom-score-adj-values", Kind::Adjustments, "0 200 800"),
];
