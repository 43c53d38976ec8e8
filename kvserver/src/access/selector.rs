//! A selector: commands that are allowed together with keys and channels.
//!
//! Knows what one rule about them means. Does not know users or clients.

use super::commands::{Allow, Commands};
use super::request::{KeyUse, Request};
use super::words::has_spaces;
use super::{ChannelsDefault, RuleError};
use crate::glob::{self, Case};
use crate::resp::split_words;

/// Why a request is not allowed; of two reasons the greater one is told. Holds the place of the
/// argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Denial {
    Command,
    Key(usize),
    Channel(usize),
}

/// Keys, and what may be done with them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct KeyPattern {
    allowed: KeyUse,
    pattern: Vec<u8>,
}

/// What is allowed together.
#[derive(Clone, Debug)]
pub(crate) struct Selector {
    commands: Commands,
    /// `None`: all of them.
    keys: Option<Vec<KeyPattern>>,
    /// `None`: all of them.
    channels: Option<Vec<Vec<u8>>>,
}

impl Selector {
    /// Allows nothing, but channels if that is the default.
    pub(super) fn new(channels: ChannelsDefault) -> Self {
        Selector {
            commands: Commands::new(Allow::No),
            keys: Some(Vec::new()),
            channels: (channels == ChannelsDefault::None).then(Vec::new),
        }
    }
    /// Allows everything.
    pub(super) fn all() -> Self {
        Selector { commands: Commands::new(Allow::Yes), keys: None, channels: None }
    }
    /// From `(rule …)`.
    pub(super) fn parse(text: &[u8], channels: ChannelsDefault) -> Result<Self, RuleError> {
        let inner = text.strip_prefix(b"(").and_then(|text| text.strip_suffix(b")"));
        let words = split_words(inner.ok_or(RuleError::Syntax)?).ok_or(RuleError::Syntax)?;
        let mut selector = Selector::new(channels);
        for word in &words {
            selector.apply(word)?;
            // Saved, it would be read as something else.
            if word.ends_with(b")") || word.iter().any(|byte| matches!(byte, b'"' | b'\'')) {
                return Err(RuleError::Syntax);
            }
        }
        Ok(selector)
    }

    /// True if it allows all that can be asked for.
    pub(super) fn is_free(&self) -> bool {
        self.keys.is_none() && self.channels.is_none() && self.commands.is_all()
    }

    /// Applies one rule.
    pub(super) fn apply(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        match rule.to_ascii_lowercase().as_slice() {
            b"allkeys" | b"~*" => self.keys = None,
            b"resetkeys" => self.keys = Some(Vec::new()),
            b"allchannels" | b"&*" => self.channels = None,
            b"resetchannels" => self.channels = Some(Vec::new()),
            b"allcommands" | b"+@all" => self.commands = Commands::new(Allow::Yes),
            b"nocommands" | b"-@all" => self.commands = Commands::new(Allow::No),
            _ => return self.apply_pattern_or_name(rule),
        }
        Ok(())
    }
    fn apply_pattern_or_name(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        match rule {
            [b'~', pattern @ ..] => self.add_keys(KeyUse::ReadWrite, pattern),
            [b'%', rest @ ..] => {
                let keys = self.keys.as_ref();
                keys.ok_or(RuleError::AfterAllKeys)?;
                let (allowed, pattern) = parse_access(rest).ok_or(RuleError::Syntax)?;
                self.add_keys(allowed, pattern)
            }
            [b'&', pattern @ ..] => self.add_channels(pattern),
            [b'+', name @ ..] => self.commands.apply(Allow::Yes, name),
            [b'-', name @ ..] => self.commands.apply(Allow::No, name),
            _ => Err(RuleError::Syntax),
        }
    }
    fn add_keys(&mut self, allowed: KeyUse, pattern: &[u8]) -> Result<(), RuleError> {
        let keys = self.keys.as_mut().ok_or(RuleError::AfterAllKeys)?;
        if has_spaces(pattern) {
            return Err(RuleError::Syntax);
        }
        match keys.iter_mut().find(|known| known.pattern == pattern) {
            Some(known) => known.allowed = known.allowed.and(allowed),
            None => keys.push(KeyPattern { allowed, pattern: pattern.to_vec() }),
        }
        Ok(())
    }
    fn add_channels(&mut self, pattern: &[u8]) -> Result<(), RuleError> {
        let channels = self.channels.as_mut().ok_or(RuleError::AfterAllChannels)?;
        if has_spaces(pattern) {
            return Err(RuleError::Syntax);
        }
        if !channels.iter().any(|known| known == pattern) {
            channels.push(pattern.to_vec());
        }
        Ok(())
    }

    /// Whether it allows a request.
    pub(super) fn check(&self, request: &Request<'_>) -> Result<(), Denial> {
        if !request.is_open_to_all() && !self.commands.allow(request.entry, request.args) {
            return Err(Denial::Command);
        }
        if let Some(patterns) = &self.keys {
            for &(at, needed) in request.keys() {
                let key = request.args[at];
                let fits = |known: &KeyPattern| {
                    known.allowed.covers(needed)
                        && glob::matches(&known.pattern, key, Case::Sensitive)
                };
                if !patterns.iter().any(fits) {
                    return Err(Denial::Key(at));
                }
            }
        }
        if let Some(patterns) = &self.channels {
            for (at, kind) in request.channels() {
                if !channel_fits(patterns, request.args[at], kind) {
                    return Err(Denial::Channel(at));
                }
            }
        }
        Ok(())
    }
    /// True if every key may be used in this way.
    pub(super) fn has_all_keys(&self, needed: KeyUse) -> bool {
        let is_all = |known: &KeyPattern| known.allowed.covers(needed) && known.pattern == b"*";
        self.keys.as_ref().is_none_or(|keys| keys.iter().any(is_all))
    }
    /// The patterns of channels; `None`: all.
    pub(super) fn channels(&self) -> Option<&[Vec<u8>]> {
        self.channels.as_deref()
    }

    /// Its commands as ACL GETUSER shows them.
    pub(crate) fn describe_commands(&self) -> String {
        self.commands.describe()
    }
    /// The same of its keys.
    pub(crate) fn describe_keys(&self) -> Vec<u8> {
        let Some(keys) = &self.keys else { return b"~*".to_vec() };
        let shown = keys.iter().map(|known| [known.allowed.sign(), &known.pattern].concat());
        shown.collect::<Vec<_>>().join(&b' ')
    }
    /// The same of its channels.
    pub(crate) fn describe_channels(&self) -> Vec<u8> {
        let Some(channels) = &self.channels else { return b"&*".to_vec() };
        let shown = channels.iter().map(|pattern| [b"&", &pattern[..]].concat());
        shown.collect::<Vec<_>>().join(&b' ')
    }
    /// Rules that make it, from one that allows nothing.
    pub(super) fn describe(&self) -> Vec<u8> {
        let mut channels = self.describe_channels();
        if self.channels.is_some() {
            let between: &[u8] = if channels.is_empty() { b"" } else { b" " };
            channels = [b"resetchannels", between, &channels].concat();
        }
        let mut parts = vec![self.describe_keys(), channels, self.describe_commands().into()];
        parts.retain(|part| !part.is_empty());
        parts.join(&b' ')
    }
}

/// `R~pattern`, `W~pattern`, `RW~pattern`, as it follows `%`.
fn parse_access(rest: &[u8]) -> Option<(KeyUse, &[u8])> {
    let end = rest.iter().position(|byte| *byte == b'~').unwrap_or(rest.len());
    let allowed = match rest[..end].to_ascii_uppercase().as_slice() {
        b"R" => KeyUse::Read,
        b"W" => KeyUse::Write,
        b"RW" | b"WR" => KeyUse::ReadWrite,
        _ => return None,
    };
    Some((allowed, rest.get(end + 1..).unwrap_or_default()))
}

/// How a name of channels is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChannelUse {
    Name,
    /// A pattern of PSUBSCRIBE, which must be among those allowed as it is.
    Pattern,
}

/// True if one of the patterns allows it.
pub(crate) fn channel_fits(patterns: &[Vec<u8>], channel: &[u8], used: ChannelUse) -> bool {
    patterns.iter().any(|pattern| match used {
        ChannelUse::Name => glob::matches(pattern, channel, Case::Sensitive),
        ChannelUse::Pattern => pattern == channel,
    })
}
