//! How much may wait to be sent to a client before it is closed: `client-output-buffer-limit`.
//!
//! Pure: numbers and text.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Kinds of clients with limits of their own, as the parameter names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Normal,
    /// Accepted and remembered; there are none.
    Replica,
    /// Clients with a subscription.
    PubSub,
}

impl Class {
    const ALL: [Class; 3] = [Class::Normal, Class::Replica, Class::PubSub];

    fn named(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "normal" => Class::Normal,
            "slave" | "replica" => Class::Replica,
            "pubsub" => Class::PubSub,
            _ => return None,
        })
    }
    const fn name(self) -> &'static str {
        match self {
            Class::Normal => "normal",
            Class::Replica => "slave",
            Class::PubSub => "pubsub",
        }
    }
    const fn index(self) -> usize {
        match self {
            Class::Normal => 0,
            Class::Replica => 1,
            Class::PubSub => 2,
        }
    }
}

/// The limits of one class; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limit {
    /// Reached, the client is closed at once.
    pub(crate) hard_bytes: usize,
    /// Reached for longer than `soft_s`, it is closed, too.
    pub(crate) soft_bytes: usize,
    pub(crate) soft_s: u64,
}

impl Limit {
    /// True if anything may wait.
    #[inline]
    pub(crate) fn is_none(self) -> bool {
        self.hard_bytes == 0 && self.soft_bytes == 0
    }
}

/// The limits of all classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OutputLimits([Limit; 3]);

impl OutputLimits {
    #[inline]
    pub(crate) fn of(&self, class: Class) -> Limit {
        self.0[class.index()]
    }
    /// These limits with those of `text` in their place, quadruples of class, hard, soft and
    /// seconds; `memory` reads an amount. The errors are Redis' own.
    pub(crate) fn with(
        mut self,
        text: &str,
        memory: impl Fn(&str) -> Option<u64>,
    ) -> Result<Self, &'static str> {
        let words: Vec<&str> = text.split_whitespace().collect();
        if !words.len().is_multiple_of(4) {
            return Err("Wrong number of arguments in buffer limit configuration.");
        }
        let size = |word| memory(word).and_then(|bytes| usize::try_from(bytes).ok());
        for quadruple in words.chunks(4) {
            let [class, hard, soft, seconds] = *quadruple else { continue };
            let class = Class::named(class)
                .ok_or("Invalid client class specified in buffer limit configuration.")?;
            let (Some(hard_bytes), Some(soft_bytes), Ok(soft_s)) =
                (size(hard), size(soft), seconds.parse())
            else {
                return Err("Error in hard, soft or soft_seconds setting in buffer limit \
                            configuration.");
            };
            self.0[class.index()] = Limit { hard_bytes, soft_bytes, soft_s };
        }
        Ok(self)
    }
    /// All of them, as CONFIG GET writes them.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for class in Class::ALL {
            let Limit { hard_bytes, soft_bytes, soft_s } = self.of(class);
            let space = if text.is_empty() { "" } else { " " };
            // Writing to a string does not fail.
            let _ = write!(text, "{space}{} {hard_bytes} {soft_bytes} {soft_s}", class.name());
        }
        text
    }
}

/// The limits, read by every worker in every round.
#[derive(Debug, Default)]
pub(crate) struct OutputLimitsCell([(AtomicUsize, AtomicUsize, AtomicU64); 3]);

impl OutputLimitsCell {
    pub(crate) fn store(&self, limits: &OutputLimits) {
        for (cell, limit) in self.0.iter().zip(&limits.0) {
            cell.0.store(limit.hard_bytes, Relaxed);
            cell.1.store(limit.soft_bytes, Relaxed);
            cell.2.store(limit.soft_s, Relaxed);
        }
    }
    pub(crate) fn load(&self) -> OutputLimits {
        let limit = |class: Class| {
            let cell = &self.0[class.index()];
            Limit {
                hard_bytes: cell.0.load(Relaxed),
                soft_bytes: cell.1.load(Relaxed),
                soft_s: cell.2.load(Relaxed),
            }
        };
        OutputLimits(Class::ALL.map(limit))
    }
}

/// Since when a client has been beyond its soft limit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Excess {
    since_ms: Option<u64>,
}

impl Excess {
    /// Whether a client with so many bytes waiting has to go.
    pub(crate) fn is_too_much(
        &mut self,
        limit: Limit,
        len_bytes: usize,
        now_ms: impl Fn() -> u64,
    ) -> bool {
        if limit.hard_bytes > 0 && len_bytes >= limit.hard_bytes {
            return true;
        }
        if limit.soft_bytes == 0 || len_bytes < limit.soft_bytes {
            self.since_ms = None;
            return false;
        }
        let now_ms = now_ms();
        let since_ms = *self.since_ms.get_or_insert(now_ms);
        now_ms.saturating_sub(since_ms) > limit.soft_s.saturating_mul(1000)
    }
    /// True while it is beyond the soft limit.
    pub(crate) fn is_begun(self) -> bool {
        self.since_ms.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<OutputLimits, &'static str> {
        OutputLimits::default().with(text, |word| word.parse().ok())
    }

    #[test]
    fn limits_are_set_by_class_and_written_back_whole() {
        let limits = parse("replica 5 6 7").unwrap();
        let limits = limits.with("PubSub 1 2 3", |word| word.parse().ok()).unwrap();
        assert_eq!(limits.text(), "normal 0 0 0 slave 5 6 7 pubsub 1 2 3");
        assert_eq!(parse(&limits.text()), Ok(limits));
        let cell = OutputLimitsCell::default();
        cell.store(&limits);
        assert_eq!(cell.load(), limits);
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        assert!(parse("normal 0 0").unwrap_err().starts_with("Wrong number"));
        assert!(parse("master 0 0 0").unwrap_err().starts_with("Invalid client class"));
        assert!(parse("normal 0 x 0").unwrap_err().starts_with("Error in hard"));
        assert!(parse("normal 0 0 -1").unwrap_err().starts_with("Error in hard"));
    }

    #[test]
    fn a_soft_limit_counts_from_when_it_was_reached_last() {
        let limit = Limit { hard_bytes: 100, soft_bytes: 10, soft_s: 1 };
        let mut excess = Excess::default();
        assert!(!excess.is_too_much(limit, 10, || 1000));
        assert!(!excess.is_too_much(limit, 50, || 2000));
        assert!(!excess.is_too_much(limit, 9, || 2500));
        assert!(!excess.is_too_much(limit, 10, || 3000));
        assert!(excess.is_begun());
        assert!(excess.is_too_much(limit, 10, || 4001));
        assert!(excess.is_too_much(limit, 100, || 0));
    }
}
