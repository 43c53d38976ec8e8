//! Parameters of how values are kept; here they only choose the names OBJECT ENCODING answers.

use super::kind::{ANY, INT, Kind, MEMORY, SIGNED_INT};
use super::row::Parameter;

const NAMES: &str = "the name OBJECT ENCODING answers";

pub(super) const PARAMETERS: &[Parameter] = &[
    Parameter::new("activerehashing", Kind::YesNo, "yes"),
    Parameter::new("hash-max-listpack-entries", ANY, "128")
        .alias("hash-max-ziplist-entries")
        .effect(NAMES),
    Parameter::new("hash-max-listpack-value", MEMORY, "64")
        .alias("hash-max-ziplist-value")
        .effect(NAMES),
    Parameter::new("hll-sparse-max-bytes", MEMORY, "3000").effect("how long a sparse sketch gets"),
    Parameter::new("list-compress-depth", INT, "0"),
    // Negative values name sizes in KiB.
    Parameter::new("list-max-listpack-size", SIGNED_INT, "-2")
        .alias("list-max-ziplist-size")
        .effect(NAMES),
    Parameter::new("set-max-intset-entries", ANY, "512").effect(NAMES),
    Parameter::new("set-max-listpack-entries", ANY, "128").effect(NAMES),
    Parameter::new("set-max-listpack-value", ANY, "64").effect(NAMES),
    Parameter::new("set-reverse-index", Kind::YesNo, "no").same().effect("SWITHMEMBER is served"),
    Parameter::new("stream-node-max-bytes", MEMORY, "4096"),
    Parameter::new("stream-node-max-entries", ANY, "100"),
    Parameter::new("zset-max-listpack-entries", ANY, "128")
        .alias("zset-max-ziplist-entries")
        .effect(NAMES),
    Parameter::new("zset-max-listpack-value", MEMORY, "64")
        .alias("zset-max-ziplist-value")
        .effect(NAMES),
];
