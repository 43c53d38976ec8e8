//! Which keys a watcher asks for: one, or all between two byte strings.
//!
//! Knows encoded keys. Does not know watchers.

use crate::{batch::borrow, key::EncodedRange, spans::Span};

/// What a watcher asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Key(Box<[u8]>),
    Span(Span),
}

impl From<&EncodedRange> for Scope {
    fn from(range: &EncodedRange) -> Scope {
        Scope::Span(Span::new(borrow(&range.start), borrow(&range.end)))
    }
}
