//! What one connection's commands do to the keys it owns.
//!
//! Pure: knows neither sockets nor a clock. The keys of a connection are `s…` strings, `n…`
//! numbers, `u…` written once and deleted later, and `t…`, which expire while the test runs and
//! are therefore only overwritten and deleted.

use std::collections::BTreeMap;

use super::reply::{Expect, Reply};

/// The database the connections share; each has the database of its own number besides.
pub(super) const SHARED_DB: usize = 4;
/// Counts the tickets of all connections.
pub(super) const SHARED_KEY: &str = "tickets";
/// Times from here on are not reached while a test runs.
pub(super) const FAR_MS: u64 = 4_000_000_000_000;

pub(super) type Key = Vec<u8>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) value: Vec<u8>,
    pub(super) expires_at_ms: Option<u64>,
}

/// All keys of a connection, and how many tickets it has drawn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) entries: BTreeMap<Key, Entry>,
    pub(super) tickets: i64,
}

/// One command, or one transaction.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Set {
        key: Key,
        value: Vec<u8>,
        expires_at_ms: Option<u64>,
    },
    SetNx {
        key: Key,
        value: Vec<u8>,
    },
    GetSet {
        key: Key,
        value: Vec<u8>,
    },
    Append {
        key: Key,
        value: Vec<u8>,
    },
    SetRange {
        key: Key,
        at: usize,
        value: Vec<u8>,
    },
    Mset(Vec<(Key, Vec<u8>)>),
    Del(Vec<Key>),
    GetDel(Key),
    IncrBy {
        key: Key,
        by: i64,
    },
    ExpireAt {
        key: Key,
        at_ms: u64,
    },
    Persist(Key),
    Rename {
        from: Key,
        to: Key,
    },
    Copy {
        from: Key,
        to: Key,
    },
    Flush,
    /// BGREWRITEAOF
    Merge,
    /// Draws a ticket in the shared database and does the rest, in one MULTI.
    Ticket(Vec<Op>),
}

/// Whether the key expires while the test runs.
pub(super) fn is_short_lived(key: &[u8]) -> bool {
    key.starts_with(b"t")
}

/// The key that counts the tickets of one connection, in the shared database.
pub(super) fn ticket_key(connection: usize) -> String {
    format!("tickets:{connection}")
}

impl Op {
    /// The requests, each with its arguments. `own` is the connection's number and database.
    pub(super) fn requests(&self, own: usize) -> Vec<Vec<Vec<u8>>> {
        if let Op::Ticket(ops) = self {
            let mut requests = vec![
                vec![b"MULTI".to_vec()],
                words(&["SELECT", &SHARED_DB.to_string()]),
                words(&["INCR", SHARED_KEY]),
                words(&["INCR", &ticket_key(own)]),
                words(&["SELECT", &own.to_string()]),
            ];
            requests.extend(ops.iter().flat_map(|op| op.requests(own)));
            requests.push(vec![b"EXEC".to_vec()]);
            return requests;
        }
        vec![self.request()]
    }

    fn request(&self) -> Vec<Vec<u8>> {
        let name = |name: &str, args: &[&[u8]]| {
            let name = name.as_bytes().to_vec();
            std::iter::once(name).chain(args.iter().map(|arg| arg.to_vec())).collect()
        };
        let text = |n: &dyn ToString| n.to_string().into_bytes();
        match self {
            Op::Set { key, value, expires_at_ms: None } => name("SET", &[key, value]),
            Op::Set { key, value, expires_at_ms: Some(at) } => {
                name("SET", &[key, value, b"PXAT", &text(at)])
            }
            Op::SetNx { key, value } => name("SETNX", &[key, value]),
            Op::GetSet { key, value } => name("GETSET", &[key, value]),
            Op::Append { key, value } => name("APPEND", &[key, value]),
            Op::SetRange { key, at, value } => name("SETRANGE", &[key, &text(at), value]),
            Op::Mset(pairs) => {
                let args: Vec<&[u8]> = pairs.iter().flat_map(|(k, v)| [&k[..], v]).collect();
                name("MSET", &args)
            }
            Op::Del(keys) => name("DEL", &keys.iter().map(|key| &key[..]).collect::<Vec<_>>()),
            Op::GetDel(key) => name("GETDEL", &[key]),
            Op::IncrBy { key, by } => name("INCRBY", &[key, &text(by)]),
            Op::ExpireAt { key, at_ms } => name("PEXPIREAT", &[key, &text(at_ms)]),
            Op::Persist(key) => name("PERSIST", &[key]),
            Op::Rename { from, to } => name("RENAME", &[from, to]),
            Op::Copy { from, to } => name("COPY", &[from, to, b"REPLACE"]),
            Op::Flush => name("FLUSHDB", &[]),
            Op::Merge => name("BGREWRITEAOF", &[]),
            Op::Ticket(_) => unreachable!("a ticket is several requests"),
        }
    }

    /// Every key this may touch.
    pub(super) fn keys(&self) -> Vec<&Key> {
        match self {
            Op::Set { key, .. }
            | Op::SetNx { key, .. }
            | Op::GetSet { key, .. }
            | Op::Append { key, .. }
            | Op::SetRange { key, .. }
            | Op::IncrBy { key, .. }
            | Op::ExpireAt { key, .. }
            | Op::GetDel(key)
            | Op::Persist(key) => vec![key],
            Op::Mset(pairs) => pairs.iter().map(|(key, _)| key).collect(),
            Op::Del(keys) => keys.iter().collect(),
            Op::Rename { from, to } | Op::Copy { from, to } => vec![from, to],
            Op::Flush | Op::Merge => Vec::new(),
            Op::Ticket(ops) => ops.iter().flat_map(Op::keys).collect(),
        }
    }
}

fn words(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

impl State {
    /// Does what the command does; what its replies must be.
    pub(super) fn apply(&mut self, op: &Op) -> Vec<Expect> {
        let Op::Ticket(ops) = op else { return vec![self.apply_one(op)] };
        self.tickets += 1;
        let queued = Expect::Is(Reply::Simple("QUEUED".to_owned()));
        let mut replies = vec![Expect::ok()];
        replies.extend(std::iter::repeat_n(queued, 4 + ops.len()));
        let ticket = Expect::Is(Reply::Int(self.tickets));
        let mut results = vec![Expect::ok(), Expect::AnyInt, ticket, Expect::ok()];
        results.extend(ops.iter().map(|op| self.apply_one(op)));
        replies.push(Expect::Array(results));
        replies
    }

    fn apply_one(&mut self, op: &Op) -> Expect {
        match op {
            Op::Set { key, value, expires_at_ms } => {
                self.put(key, value.clone(), *expires_at_ms);
                Expect::ok()
            }
            Op::SetNx { key, value } => {
                let absent = !self.entries.contains_key(key);
                if absent {
                    self.put(key, value.clone(), None);
                }
                Expect::int(usize::from(absent))
            }
            Op::GetSet { key, value } => bulk(self.put(key, value.clone(), None)),
            Op::Append { key, value } => self.change(key, |old| old.extend_from_slice(value)),
            Op::SetRange { key, at, value } => self.change(key, |old| {
                old.resize(old.len().max(at + value.len()), 0);
                old[*at..at + value.len()].copy_from_slice(value);
            }),
            Op::Mset(pairs) => {
                for (key, value) in pairs {
                    self.put(key, value.clone(), None);
                }
                Expect::ok()
            }
            Op::Del(keys) => {
                let gone = keys.iter().filter(|key| self.entries.remove(*key).is_some()).count();
                let timed = keys.iter().any(|key| is_short_lived(key));
                if timed { Expect::AnyInt } else { Expect::int(gone) }
            }
            Op::GetDel(key) => bulk(self.entries.remove(key)),
            Op::IncrBy { key, by } => {
                let old = self.entries.get(key).map_or("0".into(), |e| to_text(&e.value));
                let new = old.parse::<i64>().unwrap() + by;
                self.change(key, |value| *value = new.to_string().into_bytes());
                Expect::Is(Reply::Int(new))
            }
            Op::ExpireAt { key, at_ms } => {
                let found = self.entries.get_mut(key).map(|e| e.expires_at_ms = Some(*at_ms));
                if *at_ms < FAR_MS {
                    self.entries.remove(key);
                }
                Expect::int(usize::from(found.is_some()))
            }
            Op::Persist(key) => {
                let had = self.entries.get_mut(key).and_then(|entry| entry.expires_at_ms.take());
                Expect::int(usize::from(had.is_some()))
            }
            Op::Rename { from, to } => match self.entries.remove(from) {
                Some(entry) => {
                    self.entries.insert(to.clone(), entry);
                    Expect::ok()
                }
                None => Expect::Is(Reply::Error("ERR no such key".to_owned())),
            },
            Op::Copy { from, to } => {
                let entry = self.entries.get(from).cloned();
                let found = entry.map(|entry| self.entries.insert(to.clone(), entry)).is_some();
                Expect::int(usize::from(found))
            }
            Op::Flush => {
                self.entries.clear();
                Expect::ok()
            }
            Op::Merge => Expect::Anything,
            Op::Ticket(_) => unreachable!("tickets are not nested"),
        }
    }

    fn put(&mut self, key: &Key, value: Vec<u8>, expires_at_ms: Option<u64>) -> Option<Entry> {
        self.entries.insert(key.clone(), Entry { value, expires_at_ms })
    }

    /// Changes a value and leaves its expiry; replies with the new length.
    fn change(&mut self, key: &Key, f: impl FnOnce(&mut Vec<u8>)) -> Expect {
        let new = Entry { value: Vec::new(), expires_at_ms: None };
        let entry = self.entries.entry(key.clone()).or_insert(new);
        f(&mut entry.value);
        Expect::int(entry.value.len())
    }
}

fn bulk(entry: Option<Entry>) -> Expect {
    Expect::Is(Reply::Bulk(entry.map(|entry| entry.value)))
}

fn to_text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
