//! All commands, found by name without regard to case.

mod spelling;

use std::sync::LazyLock;

use super::keys::Span;
use super::{
    Command, CommandError, Group, KeyFlags, KeySpec, acl, alone, bitmap, blocking, client, config,
    connection, debug, extensions, generic, hash, hyperloglog, introspection, latency, list,
    memory, pubsub, server, set, slowlog, string, transaction, zset,
};
use crate::data::Ahead;
pub(crate) use spelling::Resolver;
use spelling::Spelling;

static FAMILIES: &[&[Command]] = &[
    acl::COMMANDS,
    alone::COMMANDS,
    bitmap::COMMANDS,
    blocking::COMMANDS,
    client::COMMANDS,
    config::COMMANDS,
    connection::COMMANDS,
    debug::COMMANDS,
    extensions::COMMANDS,
    generic::COMMANDS,
    hash::COMMANDS,
    hyperloglog::COMMANDS,
    introspection::COMMANDS,
    latency::COMMANDS,
    list::COMMANDS,
    list::blocking::COMMANDS,
    memory::COMMANDS,
    pubsub::COMMANDS,
    server::COMMANDS,
    set::COMMANDS,
    slowlog::COMMANDS,
    string::COMMANDS,
    transaction::COMMANDS,
    zset::COMMANDS,
    zset::blocking::COMMANDS,
];

/// Longest part of an unknown command that an error repeats.
const ECHO_BYTES_MAX: usize = 128;

/// A command or subcommand, with what belongs to its place in the table.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) command: &'static Command,
    /// `get`, or `config|get`.
    pub(crate) full_name: String,
    /// Its index in the statistics.
    pub(crate) index: usize,
    pub(crate) subcommands: Vec<Entry>,
    /// Which of its arguments to fetch by before it runs.
    pub(crate) fetch: Option<Fetch>,
    /// Its [`Fetch::bit`], or none: asked of every request that comes.
    pub(crate) fetch_bit: u8,
}

/// What to fetch ahead of a command: the argument at `first`, or every `step`-th one from there on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fetch {
    pub(crate) of: Of,
    pub(crate) ahead: Ahead,
    pub(crate) first: usize,
    pub(crate) step: Option<usize>,
}

/// What the arguments to fetch by are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Of {
    Keys,
    /// Names of elements of the collection that the first argument is the key of, in this part.
    Elements {
        part: &'static [u8],
    },
}

impl Fetch {
    /// Commands on strings look their keys up, those on collections elements by name; the keys of
    /// collections are few, mostly, and used again and again.
    fn of(command: &Command) -> Option<Fetch> {
        if let Some(names) = command.names {
            return Some(names.fetch());
        }
        let [KeySpec { first: 1, span: Span::Range { last, step }, flags }] = *command.keys else {
            return None;
        };
        let reads = !flags.has(KeyFlags::VARIABLE) && !flags.has(KeyFlags::OW);
        let ahead = if reads { Ahead::Value } else { Ahead::Place };
        let step = (last == -1).then_some(step);
        (command.group == Group::String).then_some(Fetch { of: Of::Keys, ahead, first: 1, step })
    }

    /// One bit for all that is fetched as this is.
    pub(crate) const fn bit(self) -> u8 {
        match self.of {
            Of::Keys => Fetch::keys_bit(self.ahead),
            Of::Elements { .. } => Fetch::elements_bit(self.ahead),
        }
    }
    pub(crate) const fn keys_bit(ahead: Ahead) -> u8 {
        match ahead {
            Ahead::Place => 1,
            Ahead::Value => 1 << 1,
            Ahead::Both => 1 << 2,
        }
    }
    pub(crate) const fn elements_bit(ahead: Ahead) -> u8 {
        Fetch::keys_bit(ahead) << 3
    }
}

/// The entries by name, and a hash table of their indices.
#[derive(Debug)]
pub(crate) struct Table {
    entries: Vec<Entry>,
    /// Index + 1 of an entry; 0 is empty. Half of the places at least stay empty.
    places: Vec<u16>,
    /// Entries, subcommands included.
    count: usize,
}

static TABLE: LazyLock<Table> = LazyLock::new(Table::build);

/// The one table.
pub(crate) fn table() -> &'static Table {
    &TABLE
}

impl Table {
    fn build() -> Self {
        let mut commands: Vec<&'static Command> = FAMILIES.iter().copied().flatten().collect();
        commands.sort_by_key(|command| command.name);
        let mut count = 0;
        let entries: Vec<Entry> =
            commands.into_iter().map(|command| Entry::build(command, "", &mut count)).collect();
        let mut places = vec![0u16; (entries.len() * 4).next_power_of_two()];
        for (entry, index) in entries.iter().zip(1u16..) {
            let mut at = Spelling::of(entry.command.name.as_bytes()).hash() & (places.len() - 1);
            while places[at] != 0 {
                at = (at + 1) & (places.len() - 1);
            }
            places[at] = index;
        }
        Table { entries, places, count }
    }

    /// Every command, in the order of the names.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }
    /// The number of entries, subcommands included.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The command called `name`, a container for one with subcommands.
    #[inline]
    pub(crate) fn find(&self, name: &[u8]) -> Option<&Entry> {
        let mut at = Spelling::of(name).hash() & (self.places.len() - 1);
        loop {
            let index = usize::from(self.places[at]).checked_sub(1)?;
            let entry = &self.entries[index];
            if entry.command.name.as_bytes().eq_ignore_ascii_case(name) {
                return Some(entry);
            }
            at = (at + 1) & (self.places.len() - 1);
        }
    }

    /// The command, or subcommand, that a request asks for; its arity is not checked.
    #[inline]
    pub(crate) fn resolve(&self, name: &[u8], second: Option<&[u8]>) -> Option<&Entry> {
        self.find(name)?.or_subcommand(second)
    }

    /// Why [`Table::resolve`] found nothing.
    pub(crate) fn unknown(&self, args: &[&[u8]]) -> CommandError {
        let name = clip(args[0]);
        if self.find(args[0]).is_some() {
            let sub = clip(args.get(1).copied().unwrap_or_default());
            let upper = name.to_ascii_uppercase();
            return CommandError::err(format_args!(
                "unknown subcommand '{sub}'. Try {upper} HELP."
            ));
        }
        let mut rest = String::new();
        for arg in args.iter().skip(1) {
            if rest.len() >= ECHO_BYTES_MAX {
                break;
            }
            let arg = String::from_utf8_lossy(arg);
            let room = ECHO_BYTES_MAX - rest.len();
            rest.push('\'');
            rest.extend(arg.chars().take(room));
            rest.push_str("' ");
        }
        CommandError::err(format_args!(
            "unknown command '{name}', with args beginning with: {rest}"
        ))
    }
}

impl Entry {
    fn build(command: &'static Command, parent: &str, count: &mut usize) -> Self {
        let full_name = match parent {
            "" => command.name.to_owned(),
            parent => format!("{parent}|{}", command.name),
        };
        let index = *count;
        *count += 1;
        let children = command.subcommands.iter();
        let subcommands = children.map(|child| Entry::build(child, &full_name, count)).collect();
        let fetch = Fetch::of(command);
        let fetch_bit = fetch.map_or(0, Fetch::bit);
        Entry { command, full_name, index, subcommands, fetch, fetch_bit }
    }
    /// The subcommand that the second word of a request names, or itself, if it has none.
    fn or_subcommand(&self, second: Option<&[u8]>) -> Option<&Entry> {
        match second {
            Some(second) if !self.subcommands.is_empty() => self.subcommand(second),
            _ => Some(self),
        }
    }
    /// The subcommand called `name`.
    pub(crate) fn subcommand(&self, name: &[u8]) -> Option<&Entry> {
        let matches = |sub: &&Entry| sub.command.name.as_bytes().eq_ignore_ascii_case(name);
        self.subcommands.iter().find(matches)
    }
    /// Itself and its subcommands.
    pub(crate) fn with_subcommands(&self) -> impl Iterator<Item = &Entry> {
        std::iter::once(self).chain(&self.subcommands)
    }
}

fn clip(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(ECHO_BYTES_MAX)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case() {
        for entry in table().entries() {
            let upper = entry.command.name.to_ascii_uppercase();
            let found = table().find(upper.as_bytes()).map(|found| found.index);
            assert_eq!(found, Some(entry.index), "{upper}");
            for sub in &entry.subcommands {
                let found = table().resolve(upper.as_bytes(), Some(sub.command.name.as_bytes()));
                assert_eq!(found.map(|found| found.index), Some(sub.index));
            }
        }
        for name in ["", "no such command", "ge"] {
            assert!(table().find(name.as_bytes()).is_none(), "{name}");
        }
    }

    #[test]
    fn names_are_lower_case_and_occur_once() {
        let names: Vec<&str> = table().entries().iter().map(|entry| entry.command.name).collect();
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
        assert!(names.iter().all(|name| name.to_ascii_lowercase() == **name), "{names:?}");
    }
}
