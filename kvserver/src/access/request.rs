//! A request, as far as rights are concerned: its command, its keys and its channels.
//!
//! Knows the key specifications of the command table. Does not know users.

use std::cell::OnceCell;

use super::selector::ChannelUse;
use crate::command::table::Entry;
use crate::command::{Command, Flags, Group, KeyFlags};

/// What is done with a key, or may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyUse {
    /// Its value is neither told nor changed, as by EXISTS.
    None,
    Read,
    Write,
    ReadWrite,
}

impl KeyUse {
    fn of(flags: KeyFlags) -> Self {
        let writes = [KeyFlags::INSERT, KeyFlags::DELETE, KeyFlags::UPDATE];
        match (flags.has(KeyFlags::ACCESS), writes.iter().any(|flag| flags.has(*flag))) {
            (false, false) => KeyUse::None,
            (true, false) => KeyUse::Read,
            (false, true) => KeyUse::Write,
            (true, true) => KeyUse::ReadWrite,
        }
    }
    const fn bits(self) -> u8 {
        match self {
            KeyUse::None => 0,
            KeyUse::Read => 1,
            KeyUse::Write => 2,
            KeyUse::ReadWrite => 3,
        }
    }
    /// True if it allows what is `needed`.
    pub(super) const fn covers(self, needed: KeyUse) -> bool {
        self.bits() & needed.bits() == needed.bits()
    }
    pub(super) const fn and(self, other: KeyUse) -> KeyUse {
        match self.bits() | other.bits() {
            0 => KeyUse::None,
            1 => KeyUse::Read,
            2 => KeyUse::Write,
            _ => KeyUse::ReadWrite,
        }
    }
    /// What stands before a pattern of keys that allows it.
    pub(super) const fn sign(self) -> &'static [u8] {
        match self {
            KeyUse::None => b"%~",
            KeyUse::Read => b"%R~",
            KeyUse::Write => b"%W~",
            KeyUse::ReadWrite => b"~",
        }
    }
}

/// A request whose arity has been checked.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(super) entry: &'a Entry,
    pub(super) args: &'a [&'a [u8]],
    keys: OnceCell<Vec<(usize, KeyUse)>>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(entry: &'a Entry, args: &'a [&'a [u8]]) -> Self {
        Request { entry, args, keys: OnceCell::new() }
    }
    /// True if it makes clients somebody, or nobody: who may not do so could do nothing else.
    pub(super) fn is_open_to_all(&self) -> bool {
        self.entry.command.flags.has(Flags::NO_AUTH)
    }
    /// Where its keys are, and what it does with them.
    pub(super) fn keys(&self) -> &[(usize, KeyUse)] {
        self.keys.get_or_init(|| keys_of(self.entry.command, self.args))
    }
    /// Where its channels are, and how it uses them. Who unsubscribes needs no right to do so.
    pub(super) fn channels(&self) -> impl Iterator<Item = (usize, ChannelUse)> {
        let (places, used) = match (self.entry.command.group, self.entry.full_name.as_str()) {
            (Group::PubSub, "publish" | "spublish") => (1..2, ChannelUse::Name),
            (Group::PubSub, "subscribe" | "ssubscribe") => (1..self.args.len(), ChannelUse::Name),
            (Group::PubSub, "psubscribe") => (1..self.args.len(), ChannelUse::Pattern),
            _ => (0..0, ChannelUse::Name),
        };
        places.map(move |at| (at, used))
    }
}

/// Keys whose number makes no sense are none: the command refuses such a request.
fn keys_of(command: &Command, args: &[&[u8]]) -> Vec<(usize, KeyUse)> {
    if let Some(found) = command.keys_of.and_then(|keys_of| keys_of(args)) {
        return found.into_iter().map(|(at, flags)| (at, KeyUse::of(flags))).collect();
    }
    let mut found = Vec::new();
    for spec in command.keys.iter().filter(|spec| !spec.flags.has(KeyFlags::NOT_KEY)) {
        let places = spec.positions(args).unwrap_or_default();
        found.extend(places.into_iter().map(|at| (at, KeyUse::of(spec.flags))));
    }
    found
}
