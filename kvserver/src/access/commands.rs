//! Which commands a selector allows, and the rules that say so.
//!
//! Knows the names, categories and indices of the command table. Does not know keys or requests'
//! meaning.
//!
//! # Invariants
//!
//! C1. The rules, applied one after the other to what they begin with, give the bits: what is shown
//!     and saved is what is allowed.

use super::RuleError;
use super::words::has_spaces;
use crate::command::introspection::{ABSENT_CATEGORIES, CATEGORIES, categories};
use crate::command::table::{Entry, table};

/// What rules begin with: `+@all` or `-@all`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allow {
    Yes,
    No,
}

impl Allow {
    fn sign(self) -> char {
        if self == Allow::Yes { '+' } else { '-' }
    }
}

/// A set of commands, with the rules that made it.
#[derive(Clone, Debug)]
pub(super) struct Commands {
    /// A bit for each entry of the table, at its index.
    allowed: Box<[u64]>,
    base: Allow,
    /// In the order they were given, without those that later ones overrule.
    rules: Vec<(Allow, String)>,
    /// Commands, by their indices, that are allowed with these first arguments.
    first_args: Vec<(usize, Vec<u8>)>,
}

impl Commands {
    /// All, or none.
    pub(super) fn new(base: Allow) -> Self {
        let words = table().count().div_ceil(64);
        let word = if base == Allow::Yes { u64::MAX } else { 0 };
        let allowed = vec![word; words].into();
        Commands { allowed, base, rules: Vec::new(), first_args: Vec::new() }
    }

    /// True if every command is allowed.
    pub(super) fn is_all(&self) -> bool {
        let entries = table().entries().iter().flat_map(Entry::with_subcommands);
        entries.into_iter().all(|entry| self.has(entry.index))
    }
    fn has(&self, index: usize) -> bool {
        self.allowed[index / 64] >> (index % 64) & 1 == 1
    }
    /// True if a request for this command with these arguments is allowed.
    pub(super) fn allow(&self, entry: &Entry, args: &[&[u8]]) -> bool {
        self.has(entry.index) || self.allow_first_arg(entry, args)
    }
    fn allow_first_arg(&self, entry: &Entry, args: &[&[u8]]) -> bool {
        let Some(given) = args.get(1) else { return false };
        let is_it = |(index, arg): &(usize, Vec<u8>)| {
            *index == entry.index && arg.eq_ignore_ascii_case(given)
        };
        self.first_args.iter().any(is_it)
    }

    /// Applies `get`, `config|get`, `select|0` or `@category`, which followed a sign.
    pub(super) fn apply(&mut self, allow: Allow, name: &[u8]) -> Result<(), RuleError> {
        if let [b'@', category @ ..] = name {
            self.set_category(allow, category)?;
        } else if allow == Allow::Yes && name.contains(&b'|') {
            self.allow_part(name)?;
        } else {
            let entry = look_up(name).ok_or(RuleError::UnknownName)?;
            self.set(allow, entry);
        }
        self.note(allow, &String::from_utf8_lossy(name).to_ascii_lowercase());
        Ok(())
    }

    fn set_category(&mut self, allow: Allow, category: &[u8]) -> Result<(), RuleError> {
        let name = format!("@{}", String::from_utf8_lossy(category).to_ascii_lowercase());
        if ABSENT_CATEGORIES.contains(&name.as_str()) {
            return Ok(());
        }
        if !CATEGORIES.contains(&name.as_str()) {
            return Err(RuleError::UnknownName);
        }
        for entry in table().entries().iter().flat_map(Entry::with_subcommands) {
            if categories(entry).contains(&name.as_str()) {
                self.set(allow, entry);
            }
        }
        Ok(())
    }

    /// `container|subcommand`, or `command|argument` of a command that has no subcommands.
    fn allow_part(&mut self, name: &[u8]) -> Result<(), RuleError> {
        let bar = name.iter().rposition(|byte| *byte == b'|').ok_or(RuleError::UnknownName)?;
        let (whole, part) = (&name[..bar], &name[bar + 1..]);
        let entry = look_up(whole).ok_or(RuleError::UnknownName)?;
        if whole.contains(&b'|') {
            return Err(RuleError::FirstArgOfSubcommand);
        }
        // With spaces it could not be read again when it is saved.
        if part.is_empty() || has_spaces(part) || std::str::from_utf8(part).is_err() {
            return Err(RuleError::Syntax);
        }
        if entry.subcommands.is_empty() {
            let arg = (entry.index, part.to_ascii_lowercase());
            if !self.first_args.contains(&arg) {
                self.first_args.push(arg);
            }
        } else {
            let sub = entry.subcommand(part).ok_or(RuleError::UnknownName)?;
            self.set(Allow::Yes, sub);
        }
        Ok(())
    }

    /// A command and what is below it.
    fn set(&mut self, allow: Allow, entry: &Entry) {
        for entry in entry.with_subcommands() {
            let bit = 1 << (entry.index % 64);
            match allow {
                Allow::Yes => self.allowed[entry.index / 64] |= bit,
                Allow::No => self.allowed[entry.index / 64] &= !bit,
            }
            self.first_args.retain(|(index, _)| *index != entry.index);
        }
    }

    /// The rules for the same, or for a part of it, mean nothing any more.
    fn note(&mut self, allow: Allow, name: &str) {
        let is_part = |rule: &str| {
            rule.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('|'))
        };
        self.rules.retain(|(_, rule)| !is_part(rule));
        self.rules.push((allow, name.to_owned()));
    }

    /// As ACL GETUSER shows it.
    pub(super) fn describe(&self) -> String {
        let mut text = format!("{}@all", self.base.sign());
        for (allow, name) in &self.rules {
            text.push(' ');
            text.push(allow.sign());
            text.push_str(name);
        }
        text
    }
}

/// The entry called `name` or `container|name`.
fn look_up(name: &[u8]) -> Option<&'static Entry> {
    match name.iter().position(|byte| *byte == b'|') {
        Some(bar) => table().find(&name[..bar])?.subcommand(&name[bar + 1..]),
        None => table().find(name),
    }
}
