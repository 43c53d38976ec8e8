//! How much may wait to be sent to a client before it is closed: `client-output-buffer-limit`.
//!
//! Pure: numbers and text.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Kinds of clients with limits of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Normal,
    /// Clients with a subscription.
    PubSub,
}

impl Class {
    const NAMES: [&'static str; 2] = ["normal", "pubsub"];

    const fn index(self) -> usize {
        match self {
            Class::Normal => 0,
            Class::PubSub => 1,
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

/// The limits of all classes, read by every worker in every round.
#[derive(Debug, Default)]
pub(crate) struct OutputLimits([(AtomicUsize, AtomicUsize, AtomicU64); 2]);

impl OutputLimits {
    #[inline]
    pub(crate) fn of(&self, class: Class) -> Limit {
        let (hard_bytes, soft_bytes, soft_s) = &self.0[class.index()];
        Limit {
            hard_bytes: hard_bytes.load(Relaxed),
            soft_bytes: soft_bytes.load(Relaxed),
            soft_s: soft_s.load(Relaxed),
        }
    }
    /// Takes them from the parameter's text, quadruples of class, hard, soft and seconds. It has
    /// been checked; classes that are not here are for others.
    pub(crate) fn set(&self, text: &str) {
        let words: Vec<&str> = text.split_whitespace().collect();
        for (name, limit) in Class::NAMES.iter().zip(&self.0) {
            let Some(at) = words.iter().position(|word| word == name) else { continue };
            let number = |n: usize| words.get(at + n).and_then(|word| word.parse::<u64>().ok());
            let size = |n| usize::try_from(number(n).unwrap_or(0)).unwrap_or(usize::MAX);
            limit.0.store(size(1), Relaxed);
            limit.1.store(size(2), Relaxed);
            limit.2.store(number(3).unwrap_or(0), Relaxed);
        }
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

    #[test]
    fn limits_are_taken_by_class() {
        let limits = OutputLimits::default();
        limits.set("normal 0 0 0 slave 5 6 7 pubsub 1 2 3");
        assert!(limits.of(Class::Normal).is_none());
        let expected = Limit { hard_bytes: 1, soft_bytes: 2, soft_s: 3 };
        assert_eq!(limits.of(Class::PubSub), expected);
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
