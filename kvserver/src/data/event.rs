//! What happens to keys, for whoever listens: keyspace notifications, blocked clients, indexes.
//!
//! Pure: names and classes as Redis has them.

/// The class of an event, as `notify-keyspace-events` selects them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// `g`: commands for keys of any type.
    Generic,
    /// `$`
    String,
    /// `l`
    List,
    /// `s`
    Set,
    /// `h`
    Hash,
    /// `z`
    ZSet,
    /// `e`: a key gave way to others.
    Evicted,
    /// `x`: the time of a key has come and it was removed.
    Expired,
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event<'a> {
    pub(crate) class: Class,
    /// `set`, `hdel`, `rename_from` …
    pub(crate) name: &'static str,
    /// The index of the database.
    pub(crate) db: usize,
    pub(crate) key: &'a [u8],
}
