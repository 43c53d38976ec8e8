//! A user: whether it may log in, with what, and what it may do.
//!
//! Knows what a rule of ACL SETUSER means. Does not know clients or the other users.

use super::password::{Digest, digest_of, equal, hex, parse_digest};
use super::request::{KeyUse, Request};
use super::selector::{ChannelUse, Denial, Selector, channel_fits};
use super::words::merged;
use super::{ChannelsDefault, DEFAULT_USER, RuleError, SetError};

/// A user as it is at one time; a change makes another one with the same id.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) name: Vec<u8>,
    /// Told apart from those of its name before and after it.
    pub(super) id: u64,
    is_on: bool,
    /// `None`: no password is needed, and any will do. None in the list: none will do.
    passwords: Option<Vec<Digest>>,
    skips_sanitizing: bool,
    root: Selector,
    selectors: Vec<Selector>,
    /// It may do everything.
    is_free: bool,
}

impl User {
    /// Who may do nothing, not even log in.
    pub(super) fn new(name: &[u8], id: u64, channels: ChannelsDefault) -> Self {
        User {
            name: name.to_vec(),
            id,
            is_on: false,
            passwords: Some(Vec::new()),
            skips_sanitizing: false,
            root: Selector::new(channels),
            selectors: Vec::new(),
            is_free: false,
        }
    }
    /// The user `default` with all rights and this password; empty: none is needed.
    pub(super) fn new_default(id: u64, password: &str) -> Self {
        let mut user = User::new(DEFAULT_USER, id, ChannelsDefault::All);
        user.is_on = true;
        user.root = Selector::all();
        user.is_free = true;
        user.set_password(password);
        user
    }
    pub(super) fn set_password(&mut self, password: &str) {
        let digest = digest_of(password.as_bytes());
        self.passwords = (!password.is_empty()).then(|| vec![digest]);
    }

    /// True if no password is needed, and any will do.
    pub(crate) fn is_without_password(&self) -> bool {
        self.passwords.is_none()
    }
    /// True if clients are this user without asking.
    pub(super) fn is_open(&self) -> bool {
        self.is_on && self.is_without_password()
    }
    /// True if it may do everything.
    pub(crate) fn is_free(&self) -> bool {
        self.is_free
    }
    /// True if it is this user, whatever it has become meanwhile.
    pub(crate) fn is_same(&self, other: &User) -> bool {
        self.id == other.id
    }
    /// The digests of its passwords in hexadecimal digits.
    pub(crate) fn passwords(&self) -> Vec<String> {
        self.passwords.iter().flatten().map(|digest| hex(digest)).collect()
    }
    /// What it may do: any one of these, the first one being its own.
    pub(crate) fn selectors(&self) -> impl Iterator<Item = &Selector> {
        std::iter::once(&self.root).chain(&self.selectors)
    }
    pub(super) fn admits(&self, password: &[u8]) -> bool {
        let given = digest_of(password);
        let is_one = match &self.passwords {
            None => true,
            Some(all) => all.iter().fold(false, |found, digest| found | equal(digest, &given)),
        };
        is_one && self.is_on
    }

    /// Whether it may do this; of the reasons of all selectors, the one that went furthest.
    pub(crate) fn check(&self, request: &Request<'_>) -> Result<(), Denial> {
        let mut denial = Denial::Command;
        for selector in self.selectors() {
            match selector.check(request) {
                Ok(()) => return Ok(()),
                Err(other) => denial = denial.max(other),
            }
        }
        Err(denial)
    }
    /// True if it may do this, and read every key with it.
    pub(crate) fn may_read_all(&self, request: &Request<'_>) -> bool {
        let may = |selector: &Selector| {
            selector.has_all_keys(KeyUse::Read) && selector.check(request).is_ok()
        };
        self.is_free || self.selectors().any(may)
    }
    /// The patterns of channels that are left to who was `before`, if some may be taken away.
    pub(super) fn narrowed_channels(&self, before: &User) -> Option<Vec<Vec<u8>>> {
        let mut left = Vec::new();
        for selector in self.selectors() {
            left.extend_from_slice(selector.channels()?);
        }
        let has_all = |selector: &Selector| {
            selector.channels().is_some_and(|all| all.iter().all(|pattern| left.contains(pattern)))
        };
        (!before.selectors().all(has_all)).then_some(left)
    }
    /// True if it may hear this.
    pub(crate) fn may_hear(&self, channel: &[u8], used: ChannelUse) -> bool {
        let fits = |selector: &Selector| {
            selector.channels().is_none_or(|patterns| channel_fits(patterns, channel, used))
        };
        self.selectors().any(fits)
    }

    /// Applies all rules, in words that parentheses may hold together.
    pub(super) fn apply_all(
        &mut self,
        words: &[&[u8]],
        channels: ChannelsDefault,
    ) -> Result<(), SetError> {
        let rules = merged(words).map_err(|word| SetError::Unmatched(word.to_vec()))?;
        for rule in rules {
            if let Err(error) = self.apply(&rule, channels) {
                return Err(SetError::Rule { rule, error });
            }
        }
        self.end_change();
        Ok(())
    }
    /// All rules have been applied.
    pub(super) fn end_change(&mut self) {
        let is_free = self.selectors().any(Selector::is_free);
        self.is_free = is_free;
    }

    /// Applies one rule.
    pub(super) fn apply(
        &mut self,
        rule: &[u8],
        channels: ChannelsDefault,
    ) -> Result<(), RuleError> {
        match rule {
            [] => {}
            [b'>', password @ ..] => self.add(digest_of(password)),
            [b'<', password @ ..] => self.remove(&digest_of(password))?,
            [b'#', digits @ ..] => self.add(parse_digest(digits)?),
            [b'!', digits @ ..] => self.remove(&parse_digest(digits)?)?,
            [b'(', .., b')'] => self.selectors.push(Selector::parse(rule, channels)?),
            _ => return self.apply_word(rule, channels),
        }
        Ok(())
    }
    fn apply_word(&mut self, word: &[u8], channels: ChannelsDefault) -> Result<(), RuleError> {
        match word.to_ascii_lowercase().as_slice() {
            b"on" => self.is_on = true,
            b"off" => self.is_on = false,
            b"nopass" => self.passwords = None,
            b"resetpass" => self.passwords = Some(Vec::new()),
            b"sanitize-payload" => self.skips_sanitizing = false,
            b"skip-sanitize-payload" => self.skips_sanitizing = true,
            b"clearselectors" => self.selectors.clear(),
            b"reset" => *self = User::new(&self.name, self.id, channels),
            _ => return self.root.apply(word),
        }
        Ok(())
    }
    fn add(&mut self, digest: Digest) {
        let passwords = self.passwords.get_or_insert_default();
        if !passwords.contains(&digest) {
            passwords.push(digest);
        }
    }
    fn remove(&mut self, digest: &Digest) -> Result<(), RuleError> {
        let passwords = self.passwords.as_mut().ok_or(RuleError::NoSuchPassword)?;
        let at = passwords.iter().position(|known| known == digest);
        passwords.remove(at.ok_or(RuleError::NoSuchPassword)?);
        Ok(())
    }

    /// The flags as ACL GETUSER shows them.
    pub(crate) fn flags(&self) -> Vec<&'static str> {
        let mut flags = vec![if self.is_on { "on" } else { "off" }];
        flags.extend(self.is_without_password().then_some("nopass"));
        flags.push(match self.skips_sanitizing {
            true => "skip-sanitize-payload",
            false => "sanitize-payload",
        });
        flags
    }
    /// The line of ACL LIST, from which the user can be made again.
    pub(crate) fn line(&self) -> Vec<u8> {
        let mut parts = vec![b"user".to_vec(), self.name.clone()];
        parts.extend(self.flags().into_iter().map(Vec::from));
        parts.extend(self.passwords().iter().map(|digest| format!("#{digest}").into_bytes()));
        parts.push(self.root.describe());
        let selectors = self.selectors.iter();
        parts.extend(selectors.map(|one| [b"(", &one.describe()[..], b")"].concat()));
        parts.join(&b' ')
    }
}
