//! Parameters of what reaches the disk, and when.

use super::kind::{INT, Kind, MEMORY, SIGNED_INT};
use super::row::{Live, Parameter};

/// In the order of [`crate::config::AppendFsync`].
pub(super) const FSYNC: &[&str] = &["everysec", "always", "no"];

pub(super) const PARAMETERS: &[Parameter] = &[
    Parameter::new("aof-disable-auto-gc", Kind::YesNo, "no").hidden(),
    Parameter::new("aof-load-truncated", Kind::YesNo, "yes"),
    Parameter::new("aof-rewrite-incremental-fsync", Kind::YesNo, "yes"),
    Parameter::new("aof-timestamp-enabled", Kind::YesNo, "no"),
    Parameter::new("aof-use-rdb-preamble", Kind::YesNo, "yes"),
    Parameter::new("appenddirname", Kind::Text, "appendonlydir").fixed(),
    Parameter::new("appendfilename", Kind::Text, "appendonly.aof").fixed(),
    Parameter::new("appendfsync", Kind::OneOf(FSYNC), "everysec")
        .live(Live::AppendFsync)
        .effect("when replies to writes leave, and when the log is synced"),
    Parameter::new("appendonly", Kind::YesNo, "yes"),
    Parameter::new("auto-aof-rewrite-min-size", MEMORY, "67108864"),
    Parameter::new("auto-aof-rewrite-percentage", INT, "100"),
    Parameter::new("check-orphans", Kind::YesNo, "no").same().live(Live::CheckOrphans).effect(
        "only here: look once, while serving, for elements that no key owns, and remove them; \
         crashes leave none, a store that was salvaged may have some",
    ),
    Parameter::new("dbfilename", Kind::Text, "dump.rdb"),
    Parameter::new("dir", Kind::Text, "").same().effect("the directory of the store"),
    Parameter::new("key-load-delay", SIGNED_INT, "0").hidden(),
    Parameter::new("no-appendfsync-on-rewrite", Kind::YesNo, "no"),
    Parameter::new("rdb-del-sync-files", Kind::YesNo, "no"),
    Parameter::new("rdb-key-save-delay", SIGNED_INT, "0").hidden(),
    Parameter::new("rdb-save-incremental-fsync", Kind::YesNo, "yes"),
    Parameter::new("rdbchecksum", Kind::YesNo, "yes").fixed(),
    Parameter::new("rdbcompression", Kind::YesNo, "yes"),
    Parameter::new("sanitize-dump-payload", Kind::OneOf(&["no", "yes", "clients"]), "no"),
    Parameter::new("save", Kind::Save, ""),
    Parameter::new("stop-writes-on-bgsave-error", Kind::YesNo, "yes"),
];
