//! Ranges and prefixes of typed keys, as bounds on encoded keys.

use std::ops::{self, Bound, RangeBounds};

use super::{AsKey, Position};

/// A range of keys: `..`, `"a".."n"`, `(18, "")..=(65, "")`, or a pair of [`Bound`]s.
///
/// Not [`RangeBounds`]: with it `..` would leave its type open, and `"a".."n"` is not a
/// `RangeBounds<str>`. A range whose end is before its start is empty, not an error.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let store = kvcore::Store::in_memory()?;
/// use kvcore::{KeyRange, Keyspace};
/// use std::ops::Bound;
///
/// fn how_many(events: &Keyspace<(u64, String), ()>, when: impl KeyRange<(u64, String)>) -> u64 {
///     events.count(when).unwrap_or(0)
/// }
///
/// let events: Keyspace<(u64, String), ()> = store.keyspace("events")?;
/// events.put((1, "opened"), &())?;
/// events.put((5, "closed"), &())?;
/// assert_eq!(how_many(&events, ..), 2);
/// assert_eq!(how_many(&events, (2, "")..), 1);
/// assert_eq!(how_many(&events, (Bound::Excluded((1, "opened")), Bound::Unbounded)), 1);
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(message = "`{Self}` cannot be used as a range of keys `{K}`")]
pub trait KeyRange<K> {
    /// The range as bounds on encoded keys.
    fn encode_range(&self) -> EncodedRange;
}

/// A prefix of keys: the first bytes of a string, the leading components of a tuple as a tuple
/// (`(36,)` for a `(u64, String)`).
///
/// Not implemented for numbers, which have none.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let store = kvcore::Store::in_memory()?;
/// use kvcore::{KeyPrefix, Keyspace};
///
/// fn any(logs: &Keyspace<(String, u64), ()>, prefix: impl KeyPrefix<(String, u64)>) -> bool {
///     logs.prefix(prefix).next().is_some()
/// }
///
/// let logs: Keyspace<(String, u64), ()> = store.keyspace("logs")?;
/// logs.put(("web", 1), &())?;
/// assert!(any(&logs, ("web",)));
/// assert!(!any(&logs, ("we",))); // a whole component, not a part of one
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(message = "`{Self}` cannot be used as a prefix of keys `{K}`")]
pub trait KeyPrefix<K> {
    /// Appends the bytes with which exactly the keys meant begin.
    fn encode_prefix(&self, out: &mut Vec<u8>);
}

/// Bounds on encoded keys.
///
/// ```
/// use kvcore::{EncodedRange, KeyRange};
/// use std::ops::Bound;
/// let range: EncodedRange = KeyRange::<u16>::encode_range(&(1..=300));
/// assert_eq!(range.start, Bound::Included(vec![0, 1]));
/// assert_eq!(range.end, Bound::Included(vec![1, 44])); // big-endian, so that bytes sort
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedRange {
    /// Where the range starts.
    pub start: Bound<Vec<u8>>,
    /// Where it ends. May lie before the start: the range is then empty.
    pub end: Bound<Vec<u8>>,
}

impl EncodedRange {
    /// Every key.
    pub(crate) const ALL: Self = Self { start: Bound::Unbounded, end: Bound::Unbounded };

    /// Exactly the byte strings that begin with `prefix`.
    ///
    /// The end is the first byte string after all of them: trailing `FF` cut off, the byte before
    /// them raised by one. If nothing is left, no byte string comes after them.
    pub(crate) fn from_prefix(prefix: Vec<u8>) -> Self {
        let mut end = prefix.clone();
        while end.pop_if(|byte| *byte == u8::MAX).is_some() {}
        let end = match end.last_mut() {
            Some(byte) => {
                *byte += 1;
                Bound::Excluded(end)
            }
            None => Bound::Unbounded,
        };
        Self { start: Bound::Included(prefix), end }
    }

    /// Whether an encoded key lies in the range.
    ///
    /// ```
    /// use kvcore::{EncodedRange, KeyRange};
    /// let range: EncodedRange = KeyRange::<String>::encode_range(&("a".."n"));
    /// assert!(range.contains(b"ada") && !range.contains(b"n"));
    /// ```
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        let after_start = match &self.start {
            Bound::Included(start) => key >= start.as_slice(),
            Bound::Excluded(start) => key > start.as_slice(),
            Bound::Unbounded => true,
        };
        let before_end = match &self.end {
            Bound::Included(end) => key <= end.as_slice(),
            Bound::Excluded(end) => key < end.as_slice(),
            Bound::Unbounded => true,
        };
        after_start && before_end
    }

    /// Whether the bounds alone say that no byte string lies in the range.
    ///
    /// Ask before handing the bounds to `BTreeMap::range` and the like, which panic on some of
    /// them.
    pub(crate) fn is_empty(&self) -> bool {
        match (&self.start, &self.end) {
            (_, Bound::Excluded(end)) if end.is_empty() => true,
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(start), Bound::Included(end)) => start > end,
            (Bound::Included(start), Bound::Excluded(end))
            | (Bound::Excluded(start), Bound::Included(end)) => start >= end,
            (Bound::Excluded(start), Bound::Excluded(end)) => {
                // The immediate successor of a byte string is itself and a zero.
                end.as_slice() <= start.as_slice()
                    || end.strip_prefix(start.as_slice()) == Some(&[0])
            }
        }
    }
}

/// One bound as bytes, standing where a whole key stands.
fn encode_bound<K, B: AsKey<K>>(bound: Bound<&B>) -> Bound<Vec<u8>> {
    bound.map(|key| {
        let mut bytes = Vec::new();
        key.encode_key(&mut bytes, Position::Last);
        bytes
    })
}

impl<K> KeyRange<K> for ops::RangeFull {
    fn encode_range(&self) -> EncodedRange {
        EncodedRange::ALL
    }
}

/// Bounds that are encoded already, by the same key type.
impl<K> KeyRange<K> for EncodedRange {
    fn encode_range(&self) -> EncodedRange {
        self.clone()
    }
}

/// Bounds are asked for through `RangeBounds`, which knows that a `RangeInclusive` iterated to
/// its end is empty.
macro_rules! key_ranges {
    ($($range:ty),* $(,)?) => {$(
        impl<K, B: AsKey<K>> KeyRange<K> for $range {
            fn encode_range(&self) -> EncodedRange {
                EncodedRange {
                    start: encode_bound(RangeBounds::<B>::start_bound(self)),
                    end: encode_bound(RangeBounds::<B>::end_bound(self)),
                }
            }
        }
    )*};
}

key_ranges!(
    ops::Range<B>,
    ops::RangeInclusive<B>,
    ops::RangeFrom<B>,
    ops::RangeTo<B>,
    ops::RangeToInclusive<B>,
    (Bound<B>, Bound<B>),
);

/// A prefix of a string is not a component: it has no terminator, wherever the string stands.
macro_rules! byte_prefixes {
    ($($key:ty: $prefix:ty $(, $n:ident)?;)*) => {$(
        impl$(<const $n: usize>)? KeyPrefix<$key> for $prefix {
            fn encode_prefix(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(AsRef::<[u8]>::as_ref(*self));
            }
        }
    )*};
}

byte_prefixes! {
    String: &str;
    String: &String;
    Vec<u8>: &[u8];
    Vec<u8>: &[u8; N], N;
}

/// Every component of a prefix is followed by one of the key's, so all are inner.
macro_rules! tuple_prefixes {
    ($($k:ident $q:ident $i:tt),+; $($rest:ident),+) => {
        impl<$($k, $q: AsKey<$k>,)+ $($rest),+> KeyPrefix<($($k,)+ $($rest,)+)> for ($($q,)+) {
            fn encode_prefix(&self, out: &mut Vec<u8>) {
                $(self.$i.encode_key(out, Position::Inner);)+
            }
        }
    };
}

tuple_prefixes!(A QA 0; B);
tuple_prefixes!(A QA 0; B, C);
tuple_prefixes!(A QA 0, B QB 1; C);
tuple_prefixes!(A QA 0; B, C, D);
tuple_prefixes!(A QA 0, B QB 1; C, D);
tuple_prefixes!(A QA 0, B QB 1, C QC 2; D);
