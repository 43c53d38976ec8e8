//! What CONFIG GET and CONFIG SET know.
//!
//! Some parameters mean something here; the others exist because clients and test suites set
//! them: they are checked as Redis checks them, and remembered.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};

use parking_lot::RwLock;

use crate::config::{AppendFsync, Config};
use crate::glob::{self, Case};
use crate::number::parse_i64;

/// How a parameter's text is checked and written back.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Set at the start only.
    Fixed,
    /// Set at the start; may be set again to what it is, as in Redis, where it can be changed.
    Same,
    Text,
    YesNo,
    Integer {
        min: i64,
        max: i64,
    },
    /// Bytes, with Redis' units.
    Memory,
    OneOf(&'static [&'static str]),
    /// Pairs of seconds and changes.
    Save,
    /// Classes of keyspace events.
    Events,
}

const ANY: Kind = Kind::Integer { min: 0, max: i64::MAX };
const INT: Kind = Kind::Integer { min: 0, max: i32::MAX as i64 };
/// Negative values name sizes in KiB.
const LIST_SIZE: Kind = Kind::Integer { min: i32::MIN as i64, max: i32::MAX as i64 };
const SIGNED: Kind = Kind::Integer { min: -1, max: i64::MAX };

type Parameter = (&'static str, Kind, &'static str, &'static str);

/// Name, kind and default; a name in the fourth place is the same parameter under its other name.
const PARAMETERS: &[Parameter] = &[
    ("acllog-max-len", ANY, "128", ""),
    ("activerehashing", Kind::YesNo, "yes", ""),
    ("appendfsync", Kind::OneOf(&["everysec", "always", "no"]), "", ""),
    ("appendonly", Kind::YesNo, "yes", ""),
    ("auto-aof-rewrite-percentage", INT, "100", ""),
    ("bind", Kind::Same, "", ""),
    ("busy-reply-threshold", ANY, "5000", "lua-time-limit"),
    (
        "client-output-buffer-limit",
        Kind::Text,
        "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
        "",
    ),
    ("client-query-buffer-limit", Kind::Memory, "1073741824", ""),
    ("daemonize", Kind::Fixed, "no", ""),
    ("databases", Kind::Fixed, "", ""),
    ("dir", Kind::Same, "", ""),
    ("extended-redis-compatibility", Kind::YesNo, "no", ""),
    ("hash-max-listpack-entries", ANY, "128", "hash-max-ziplist-entries"),
    ("hash-max-listpack-value", ANY, "64", "hash-max-ziplist-value"),
    ("hll-sparse-max-bytes", Kind::Memory, "3000", ""),
    ("hz", Kind::Integer { min: 0, max: i32::MAX as i64 }, "10", ""),
    ("io-threads", Kind::Fixed, "", ""),
    ("latency-monitor-threshold", ANY, "0", ""),
    ("lazyfree-lazy-eviction", Kind::YesNo, "no", ""),
    ("lazyfree-lazy-expire", Kind::YesNo, "no", ""),
    ("lazyfree-lazy-server-del", Kind::YesNo, "no", ""),
    ("lazyfree-lazy-user-del", Kind::YesNo, "no", ""),
    ("lazyfree-lazy-user-flush", Kind::YesNo, "no", ""),
    ("lfu-decay-time", INT, "1", ""),
    ("lfu-log-factor", INT, "10", ""),
    ("list-compress-depth", INT, "0", ""),
    ("list-max-listpack-size", LIST_SIZE, "-2", "list-max-ziplist-size"),
    ("loglevel", Kind::OneOf(&["debug", "verbose", "notice", "warning", "nothing"]), "notice", ""),
    ("maxclients", Kind::Integer { min: 1, max: u32::MAX as i64 }, "10000", ""),
    ("maxmemory", Kind::Memory, "0", ""),
    ("maxmemory-clients", Kind::Memory, "0", ""),
    (
        "maxmemory-policy",
        Kind::OneOf(&[
            "volatile-lru",
            "volatile-lfu",
            "volatile-random",
            "volatile-ttl",
            "allkeys-lru",
            "allkeys-lfu",
            "allkeys-random",
            "noeviction",
        ]),
        "noeviction",
        "",
    ),
    ("maxmemory-samples", Kind::Integer { min: 1, max: 64 }, "5", ""),
    ("min-replicas-max-lag", INT, "10", "min-slaves-max-lag"),
    ("min-replicas-to-write", INT, "0", "min-slaves-to-write"),
    ("notify-keyspace-events", Kind::Events, "", ""),
    ("port", Kind::Same, "", ""),
    ("proto-max-bulk-len", Kind::Memory, "536870912", ""),
    ("protected-mode", Kind::Same, "yes", ""),
    ("rdb-key-save-delay", Kind::Integer { min: i32::MIN as i64, max: i32::MAX as i64 }, "0", ""),
    ("requirepass", Kind::Same, "", ""),
    ("save", Kind::Save, "", ""),
    ("set-max-intset-entries", ANY, "512", ""),
    ("set-max-listpack-entries", ANY, "128", ""),
    ("set-max-listpack-value", ANY, "64", ""),
    ("set-reverse-index", Kind::Fixed, "", ""),
    ("slowlog-log-slower-than", SIGNED, "10000", ""),
    ("slowlog-max-len", ANY, "128", ""),
    ("stop-writes-on-bgsave-error", Kind::YesNo, "yes", ""),
    ("stream-node-max-bytes", Kind::Memory, "4096", ""),
    ("stream-node-max-entries", ANY, "100", ""),
    ("tcp-keepalive", INT, "300", ""),
    ("timeout", INT, "0", ""),
    ("tracking-table-max-keys", ANY, "1000000", ""),
    ("zset-max-listpack-entries", ANY, "128", "zset-max-ziplist-entries"),
    ("zset-max-listpack-value", ANY, "64", "zset-max-ziplist-value"),
];

/// Why CONFIG SET refuses. The texts are Redis' own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetError {
    #[error("Unknown option or number of arguments for CONFIG SET - '{0}'")]
    Unknown(String),
    #[error("CONFIG SET failed (possibly related to argument '{name}') - {why}")]
    Refused { name: String, why: String },
}

/// The parameters, and those that are read often, as numbers.
#[derive(Debug)]
pub(crate) struct Parameters {
    /// By canonical name.
    values: RwLock<BTreeMap<&'static str, String>>,
    bulk_len_max: AtomicU64,
    input_bytes_max: AtomicUsize,
    clients_max: AtomicUsize,
    appendfsync: AtomicU8,
}

impl Parameters {
    pub(crate) fn new(config: &Config, port: u16) -> Self {
        let mut values: BTreeMap<&'static str, String> =
            PARAMETERS.iter().map(|(name, _, default, _)| (*name, (*default).to_owned())).collect();
        let protected = if config.protected_mode { "yes" } else { "no" };
        let reverse = if config.set_reverse_index { "yes" } else { "no" };
        values.extend([
            ("appendfsync", config.appendfsync.name().to_owned()),
            ("bind", config.bind.to_string()),
            ("databases", config.databases.to_string()),
            ("dir", config.dir.clone()),
            ("maxclients", config.clients_max.to_string()),
            ("io-threads", config.threads.to_string()),
            ("port", port.to_string()),
            ("protected-mode", protected.to_owned()),
            ("set-reverse-index", reverse.to_owned()),
        ]);
        let parameters = Parameters {
            values: RwLock::new(values),
            bulk_len_max: AtomicU64::new(0),
            input_bytes_max: AtomicUsize::new(0),
            clients_max: AtomicUsize::new(0),
            appendfsync: AtomicU8::new(0),
        };
        parameters.cache(&parameters.values.read());
        parameters
    }

    /// `proto-max-bulk-len`.
    pub(crate) fn bulk_len_max(&self) -> u64 {
        self.bulk_len_max.load(Relaxed)
    }
    /// `client-query-buffer-limit`.
    pub(crate) fn input_bytes_max(&self) -> usize {
        self.input_bytes_max.load(Relaxed)
    }
    /// `maxclients`.
    pub(crate) fn clients_max(&self) -> usize {
        self.clients_max.load(Relaxed)
    }
    pub(crate) fn appendfsync(&self) -> AppendFsync {
        match self.appendfsync.load(Relaxed) {
            0 => AppendFsync::Always,
            1 => AppendFsync::EverySec,
            _ => AppendFsync::No,
        }
    }
    /// A value, for INFO.
    pub(crate) fn value(&self, name: &str) -> String {
        self.values.read().get(name).cloned().unwrap_or_default()
    }

    /// The parameters that match one of `patterns`, under the names asked for.
    pub(crate) fn matching(&self, patterns: &[&[u8]]) -> Vec<(&'static str, String)> {
        let values = self.values.read();
        let asked =
            |name: &str| patterns.iter().any(|p| glob::matches(p, name.as_bytes(), Case::Ignored));
        let mut found = Vec::new();
        for (name, _, _, alias) in PARAMETERS {
            for shown in [name, alias] {
                if !shown.is_empty() && asked(shown) {
                    found.push((*shown, values[*name].clone()));
                }
            }
        }
        found
    }

    /// Sets all of `pairs`, or none.
    pub(crate) fn set(&self, pairs: &[(&[u8], &[u8])]) -> Result<(), SetError> {
        let mut new = BTreeMap::new();
        for (asked, value) in pairs {
            let asked = String::from_utf8_lossy(asked).to_ascii_lowercase();
            let Some((name, kind, ..)) = find(&asked) else { return Err(SetError::Unknown(asked)) };
            let refuse = |why: String| SetError::Refused { name: asked.clone(), why };
            if matches!(kind, Kind::Fixed) {
                return Err(refuse("can't set immutable config".to_owned()));
            }
            let value = kind.accept(value).map_err(refuse)?;
            if matches!(kind, Kind::Same) && value != self.value(name) {
                return Err(refuse("it can be changed at the start only".to_owned()));
            }
            if new.insert(*name, value).is_some() {
                return Err(refuse("duplicate parameter".to_owned()));
            }
        }
        let mut values = self.values.write();
        values.extend(new);
        self.cache(&values);
        Ok(())
    }

    fn cache(&self, values: &BTreeMap<&'static str, String>) {
        let number = |name: &str| values[name].parse::<u64>().unwrap_or(u64::MAX);
        let size = |name: &str| usize::try_from(number(name)).unwrap_or(usize::MAX);
        self.bulk_len_max.store(number("proto-max-bulk-len"), Relaxed);
        self.input_bytes_max.store(size("client-query-buffer-limit"), Relaxed);
        self.clients_max.store(size("maxclients"), Relaxed);
        let appendfsync = match values["appendfsync"].as_str() {
            "always" => 0,
            "everysec" => 1,
            _ => 2,
        };
        self.appendfsync.store(appendfsync, Relaxed);
    }
}

fn find(asked: &str) -> Option<&'static Parameter> {
    PARAMETERS.iter().find(|(name, _, _, alias)| *name == asked || *alias == asked)
}

impl Kind {
    /// The text to remember, or why it is refused.
    fn accept(self, value: &[u8]) -> Result<String, String> {
        let text = String::from_utf8_lossy(value).into_owned();
        let lower = text.to_ascii_lowercase();
        match self {
            Kind::Fixed | Kind::Same | Kind::Text => Ok(text),
            Kind::YesNo if ["yes", "no"].contains(&lower.as_str()) => Ok(lower),
            Kind::YesNo => Err("argument must be 'yes' or 'no'".to_owned()),
            Kind::OneOf(words) if words.contains(&lower.as_str()) => Ok(lower),
            Kind::OneOf(words) => {
                Err(format!("argument(s) must be one of the following: {}", words.join(", ")))
            }
            Kind::Integer { min, max } => match parse_i64(value) {
                None => Err("argument couldn't be parsed into an integer".to_owned()),
                Some(n) if n < min || n > max => {
                    Err(format!("argument must be between {min} and {max} inclusive"))
                }
                Some(n) => Ok(n.to_string()),
            },
            Kind::Memory => memory(&lower).map(|bytes| bytes.to_string()),
            Kind::Save => save(&text),
            Kind::Events => events(&text),
        }
    }
}

fn memory(text: &str) -> Result<u64, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let factor = match unit {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => 0,
    };
    let bytes = digits.parse().ok().and_then(|n: u64| n.checked_mul(factor));
    bytes.filter(|_| factor > 0).ok_or_else(|| "argument must be a memory value".to_owned())
}

fn save(text: &str) -> Result<String, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let valid = |pair: &[&str]| match pair {
        [seconds, changes] => {
            seconds.parse().is_ok_and(|n: i64| n >= 1) && changes.parse().is_ok_and(|n: i64| n >= 0)
        }
        _ => false,
    };
    if words.chunks(2).all(valid) {
        Ok(words.join(" "))
    } else {
        Err("Invalid save parameters".to_owned())
    }
}

fn events(text: &str) -> Result<String, String> {
    let known = |class: char| "AKEg$lshzxetdmn".contains(class);
    if !text.chars().all(known) {
        return Err("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters() -> Parameters {
        Parameters::new(&Config::default(), 6379)
    }

    #[test]
    fn every_value_can_be_set_to_itself() {
        let parameters = parameters();
        let all = parameters.matching(&[b"*"]);
        for (name, value) in &all {
            match parameters.set(&[(name.as_bytes(), value.as_bytes())]) {
                Ok(()) => {}
                Err(error) => assert!(error.to_string().contains("immutable"), "{name}: {error}"),
            }
        }
        assert_eq!(parameters.matching(&[b"*"]), all);
    }

    #[test]
    fn a_refused_parameter_leaves_the_others_as_they_were() {
        let parameters = parameters();
        let error = parameters.set(&[(b"maxmemory", b"10mb"), (b"hz", b"abc")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "CONFIG SET failed (possibly related to argument 'hz') - \
             argument couldn't be parsed into an integer"
        );
        assert_eq!(parameters.value("maxmemory"), "0");
        parameters.set(&[(b"maxmemory", b"10mb"), (b"proto-max-bulk-len", b"2mb")]).unwrap();
        assert_eq!(parameters.value("maxmemory"), "10485760");
        assert_eq!(parameters.bulk_len_max(), 2 << 20);
    }

    #[test]
    fn a_parameter_answers_to_both_its_names() {
        let parameters = parameters();
        parameters.set(&[(b"list-max-ziplist-size", b"-5")]).unwrap();
        assert_eq!(
            parameters.matching(&[b"list-max-*"]),
            [
                ("list-max-listpack-size", "-5".to_owned()),
                ("list-max-ziplist-size", "-5".to_owned())
            ]
        );
    }
}
