//! Keyspace notifications: events about keys, published to channels named after key and event.
//!
//! Knows events and how Redis names their channels. What happens when is told by the handlers, and
//! who hears it is the business of [`crate::pubsub`].

use crate::command::Flags;
use crate::command::table::Entry;
use crate::data::Event;
use crate::pubsub::{Kind, Outgoing};
use crate::shared::Shared;

/// Commands that may write and look some keys up as readers do.
const READERS: [&str; 16] = [
    "bitop",
    "getdel",
    "getex",
    "getset",
    "pfcount",
    "pfmerge",
    "sdiffstore",
    "sinterstore",
    "sort",
    "sunionstore",
    "zdiffstore",
    "zinterstore",
    "zrangestore",
    "zunionstore",
    "copy",
    "geosearchstore",
];

/// True if a key that a command does not find is a miss. (OBJECT and MEMORY look without being
/// noticed.)
#[cold]
pub(crate) fn misses(entry: &Entry) -> bool {
    let name = entry.full_name.as_str();
    let reads = entry.command.flags.has(Flags::READONLY) || READERS.contains(&name);
    reads && !name.starts_with("object|") && !name.starts_with("memory|")
}

/// Hands to `f` what is published for an event: to the channel of the key, then to that of the
/// event, as far as `notify-keyspace-events` asks for it and somebody listens.
pub(crate) fn notify(shared: &Shared, event: &Event<'_>, f: impl FnMut(Outgoing)) {
    let classes = shared.notified();
    if !classes.has(event.class) {
        return;
    }
    let Event { name, db, key, .. } = *event;
    let of_key = classes.by_key().then(|| (channel("keyspace", db, key), name.as_bytes()));
    let of_event = classes.by_event().then(|| (channel("keyevent", db, name.as_bytes()), key));
    let messages = of_key.into_iter().chain(of_event);
    let publish = |(channel, payload): (Vec<u8>, &[u8])| {
        shared.pubsub.publish(Kind::Channel, &channel, payload)
    };
    messages.filter_map(publish).for_each(f);
}

fn channel(kind: &str, db: usize, last: &[u8]) -> Vec<u8> {
    let mut channel = format!("__{kind}@{db}__:").into_bytes();
    channel.extend_from_slice(last);
    channel
}
