//! Parameters of replicas and clusters, which a single node has none of.

use super::kind::{ANY, INT, Kind, PORT, memory_from};
use super::row::Parameter;

const AT_LEAST_ONE: Kind = Kind::Integer { min: 1, max: i32::MAX as i64 };

pub(super) const PARAMETERS: &[Parameter] = &[
    Parameter::new("cluster-enabled", Kind::YesNo, "no").fixed(),
    Parameter::new("cluster-node-timeout", ANY, "15000"),
    Parameter::new("cluster-require-full-coverage", Kind::YesNo, "yes"),
    Parameter::new("masterauth", Kind::Text, ""),
    Parameter::new("masteruser", Kind::Text, ""),
    Parameter::new("min-replicas-max-lag", INT, "10").alias("min-slaves-max-lag"),
    Parameter::new("min-replicas-to-write", INT, "0").alias("min-slaves-to-write"),
    Parameter::new("repl-backlog-size", memory_from(1), "1048576")
        .adjust(|bytes| bytes.max(16 << 10)),
    Parameter::new("repl-backlog-ttl", ANY, "3600"),
    Parameter::new("repl-disable-tcp-nodelay", Kind::YesNo, "no"),
    Parameter::new(
        "repl-diskless-load",
        Kind::OneOf(&["disabled", "on-empty-db", "swapdb"]),
        "disabled",
    ),
    Parameter::new("repl-diskless-sync", Kind::YesNo, "yes"),
    Parameter::new("repl-diskless-sync-delay", INT, "5"),
    Parameter::new("repl-diskless-sync-max-replicas", INT, "0"),
    Parameter::new("repl-ping-replica-period", AT_LEAST_ONE, "10").alias("repl-ping-slave-period"),
    Parameter::new("repl-timeout", AT_LEAST_ONE, "60"),
    Parameter::new("replica-announce-ip", Kind::Text, "").alias("slave-announce-ip"),
    Parameter::new("replica-announce-port", PORT, "0").alias("slave-announce-port"),
    Parameter::new("replica-announced", Kind::YesNo, "yes"),
    Parameter::new("replica-ignore-disk-write-errors", Kind::YesNo, "no"),
    Parameter::new("replica-ignore-maxmemory", Kind::YesNo, "yes").alias("slave-ignore-maxmemory"),
    Parameter::new("replica-lazy-flush", Kind::YesNo, "no").alias("slave-lazy-flush"),
    Parameter::new("replica-priority", INT, "100").alias("slave-priority"),
    Parameter::new("replica-read-only", Kind::YesNo, "yes").alias("slave-read-only"),
    Parameter::new("replica-serve-stale-data", Kind::YesNo, "yes").alias("slave-serve-stale-data"),
    Parameter::new("replicaof", Kind::Text, "").alias("slaveof").fixed(),
];
