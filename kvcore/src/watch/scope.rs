//! Which keys a watcher asks for: one, or all between two byte strings.
//!
//! Knows encoded keys. Does not know watchers.

use crate::{batch::borrow, key::EncodedRange};
use std::{ops::Bound, sync::Arc};

/// What a watcher asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Key(Box<[u8]>),
    Span(Span),
}

/// All keys from `start` on and before `end`; without an end, all that follow. There is one that
/// has none: from nothing to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(super) start: Arc<[u8]>,
    pub(super) end: Option<Arc<[u8]>>,
}

impl Span {
    /// The same keys as between these bounds.
    pub(crate) fn new(start: Bound<&[u8]>, end: Bound<&[u8]>) -> Span {
        let start: Arc<[u8]> = match start {
            Bound::Unbounded => Arc::default(),
            Bound::Included(key) => key.into(),
            Bound::Excluded(key) => successor(key),
        };
        let end = match end {
            Bound::Unbounded => None,
            Bound::Included(key) => Some(successor(key)),
            Bound::Excluded(key) => Some(key.into()),
        };
        let span = Span { start, end };
        if span.is_empty() {
            Span { start: Arc::default(), end: Some(Arc::default()) }
        } else {
            span
        }
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        *self.start <= *key && ends_after(self.end.as_deref(), key)
    }

    /// Some key lies in both.
    #[cfg(test)]
    pub(super) fn overlaps(&self, other: &Span) -> bool {
        let starts_in = |a: &Span, b: &Span| ends_after(b.end.as_deref(), &a.start);
        starts_in(self, other) && starts_in(other, self)
    }

    pub(super) fn is_empty(&self) -> bool {
        !ends_after(self.end.as_deref(), &self.start)
    }
}

impl From<&EncodedRange> for Scope {
    fn from(range: &EncodedRange) -> Scope {
        Scope::Span(Span::new(borrow(&range.start), borrow(&range.end)))
    }
}

/// An end before which `key` lies.
pub(super) fn ends_after(end: Option<&[u8]>, key: &[u8]) -> bool {
    end.is_none_or(|end| key < end)
}

/// The first byte string after `key`.
fn successor(key: &[u8]) -> Arc<[u8]> {
    [key, &[0]].concat().into()
}
