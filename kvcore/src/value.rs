//! Values as bytes: owned, or pinned in a mapped file.
//!
//! Knows byte ranges of something that lends bytes. Does not know files, records or checksums:
//! whoever offers an owner has verified the bytes, and vouches that they never change.

use std::{
    borrow::Borrow,
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    ops::Deref,
    sync::Arc,
};

/// Values up to this length are copied even where they could be pinned:
/// a value of a hundred bytes should not keep a whole file alive.
pub(crate) const COPIED_LEN_BYTES_MAX: usize = 4096;

/// How many bytes the `Debug` form of a value shows.
const SHOWN_LEN_BYTES_MAX: usize = 16;

/// What a value can be pinned in: bytes that stay where they are and what they are.
pub(crate) trait Bytes: Send + Sync {
    /// The `len` bytes from `start`; the same ones at every call.
    fn bytes(&self, start: usize, len: usize) -> &[u8];
}

/// The bytes of one value, counted: a clone costs no copy.
///
/// A larger value read from a sealed file is a window into the mapped file and keeps the file
/// (also a merged, unlinked one) until the last clone is dropped; [`is_pinned`](Self::is_pinned)
/// tells, and `to_vec()` makes a copy that pins nothing. Equality, order and hash are those of
/// the bytes.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let store = kvcore::Store::in_memory()?;
/// let files: kvcore::BytesKeyspace = store.keyspace("files")?;
/// files.put(b"readme", b"hello")?;
/// let value = files.get(b"readme")?.expect("it was put");
/// let shared = value.clone(); // costs no copy
/// assert_eq!((&*value, shared.starts_with(b"he")), (b"hello".as_slice(), true));
/// let owned: Vec<u8> = value.into();
/// assert_eq!(owned, b"hello");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Value(Inner);

#[derive(Clone)]
enum Inner {
    Heap(Arc<[u8]>),
    Pinned { owner: Arc<dyn Bytes>, start: usize, len: usize },
}

impl Value {
    /// A copy of `bytes` on the heap.
    ///
    /// ```
    /// let value = kvcore::Value::from_slice(b"hello");
    /// assert_eq!(&*value, b"hello");
    /// ```
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Self {
        Self(Inner::Heap(bytes.into()))
    }

    /// A window into `owner`. The range must lie inside it.
    pub(crate) fn pinned(owner: Arc<dyn Bytes>, start: usize, len: usize) -> Self {
        Self(Inner::Pinned { owner, start, len })
    }

    /// Whether the value keeps a mapped file alive.
    ///
    /// ```
    /// let value = kvcore::Value::from_slice(b"hello");
    /// assert!(!value.is_pinned()); // on the heap, it keeps no file
    /// ```
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        matches!(self.0, Inner::Pinned { .. })
    }
}

impl Deref for Value {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Inner::Heap(bytes) => bytes,
            Inner::Pinned { owner, start, len } => owner.bytes(*start, *len),
        }
    }
}

impl Borrow<[u8]> for Value {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl AsRef<[u8]> for Value {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Inner::Heap(bytes.into()))
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::from_slice(bytes)
    }
}

impl From<Value> for Vec<u8> {
    fn from(value: Value) -> Self {
        value.to_vec()
    }
}

impl Default for Value {
    fn default() -> Self {
        Self(Inner::Heap(Arc::default()))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Value {}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

/// As `[u8]` does, because of `Borrow<[u8]>`.
impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_bytes("Value", self, f)
    }
}

/// Stored bytes lent to a codec, which sees them as a slice.
///
/// No reference count is touched unless [`to_value`](Self::to_value) is called.
///
/// ```
/// use kvcore::{BoxError, Codec, Raw, ValueRef};
///
/// /// Text in capitals.
/// enum Shout {}
///
/// impl Codec<str> for Shout {
///     type Owned = String;
///     const ID: &'static str = "shout";
///     fn encode(value: &str, out: &mut Vec<u8>) -> Result<(), BoxError> {
///         <Raw as Codec<str>>::encode(&value.to_uppercase(), out)
///     }
///     fn decode(bytes: ValueRef<'_>) -> Result<String, BoxError> {
///         <Raw as Codec<str>>::decode(bytes)
///     }
/// }
///
/// let decoded = <Shout as Codec<str>>::decode(ValueRef::from(b"HI".as_slice()));
/// assert_eq!(decoded.ok().as_deref(), Some("HI"));
/// ```
#[derive(Clone, Copy)]
pub struct ValueRef<'a> {
    bytes: &'a [u8],
    /// What the bytes may be pinned in, and where in it they start.
    owner: Option<(&'a Arc<dyn Bytes>, usize)>,
}

impl<'a> ValueRef<'a> {
    /// Bytes that `to_value` copies.
    pub(crate) fn copied(bytes: &'a [u8]) -> Self {
        Self { bytes, owner: None }
    }

    /// Bytes that `to_value` may pin: those of `owner` from `start`.
    pub(crate) fn pinnable(bytes: &'a [u8], owner: &'a Arc<dyn Bytes>, start: usize) -> Self {
        debug_assert!(
            std::ptr::eq(bytes, owner.bytes(start, bytes.len())),
            "the bytes lent must be the owner's bytes from {start}"
        );
        Self { bytes, owner: Some((owner, start)) }
    }

    /// The bytes as a value that outlives the read: without a copy where they lie in a mapped
    /// file and are more than 4,096, copied otherwise.
    ///
    /// ```
    /// use kvcore::ValueRef;
    /// let lent = ValueRef::from(b"hello".as_slice());
    /// let kept = lent.to_value();
    /// assert_eq!(&*kept, b"hello");
    /// ```
    #[must_use]
    pub fn to_value(self) -> Value {
        match self.owner {
            Some((owner, start)) if self.bytes.len() > COPIED_LEN_BYTES_MAX => {
                Value::pinned(Arc::clone(owner), start, self.bytes.len())
            }
            _ => Value::from_slice(self.bytes),
        }
    }
}

/// For a codec that unpacks bytes of its own and hands them to another one.
impl<'a> From<&'a [u8]> for ValueRef<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::copied(bytes)
    }
}

impl Deref for ValueRef<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes
    }
}

impl fmt::Debug for ValueRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_bytes("ValueRef", self.bytes, f)
    }
}

/// `Value(5 bytes: "ab\x00cd")`, cut short with dots.
fn debug_bytes(name: &str, bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let shown = &bytes[..bytes.len().min(SHOWN_LEN_BYTES_MAX)];
    let dots = if shown.len() < bytes.len() { "…" } else { "" };
    write!(f, "{name}({} bytes: \"{}\"{dots})", bytes.len(), shown.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    impl Bytes for Vec<u8> {
        fn bytes(&self, start: usize, len: usize) -> &[u8] {
            &self[start..start + len]
        }
    }

    fn owner(len: usize) -> Arc<dyn Bytes> {
        Arc::new((0..=u8::MAX).cycle().take(len).collect::<Vec<u8>>())
    }

    #[test]
    fn large_pinnable_bytes_are_pinned_and_keep_their_owner() {
        let owner = owner(10_000);
        let lent = ValueRef::pinnable(owner.bytes(7, 5_000), &owner, 7);
        let value = lent.to_value();
        assert!(value.is_pinned());
        assert_eq!(Arc::strong_count(&owner), 2);
        assert_eq!(&*value, owner.bytes(7, 5_000));
        let copy = Value::from_slice(&value);
        assert!(!copy.is_pinned());
        assert_eq!(copy, value);
    }

    #[test]
    fn short_or_copied_bytes_pin_nothing() {
        let owner = owner(10_000);
        let short = ValueRef::pinnable(owner.bytes(7, 4_096), &owner, 7);
        let copied = ValueRef::copied(owner.bytes(7, 4_097));
        let just_long = ValueRef::pinnable(owner.bytes(7, 4_097), &owner, 7);
        let pinned = [short, copied, just_long].map(|bytes| bytes.to_value().is_pinned());
        assert_eq!(pinned, [false, false, true]);
        assert_eq!(Arc::strong_count(&owner), 1);
    }

    #[test]
    fn values_compare_and_hash_by_content() {
        let owner = owner(300);
        let pinned = Value::pinned(Arc::clone(&owner), 1, 3);
        let heap = Value::from(vec![1, 2, 3]);
        assert_eq!(pinned, heap);
        assert!(heap < Value::from(&[1, 2, 4][..]));
        let set = HashSet::from([pinned]);
        assert!(set.contains(&heap) && set.contains(&[1u8, 2, 3][..]));
        assert_eq!(Vec::from(heap), [1, 2, 3]);
        assert!(Value::default().is_empty());
    }

    #[test]
    fn debug_shows_the_length_and_the_first_bytes_only() {
        let shown = format!("{:?}", Value::from_slice(b"ab\0"));
        assert_eq!(shown, r#"Value(3 bytes: "ab\x00")"#);
        let cut = format!("{:?}", ValueRef::copied(&[b'x'; 17]));
        assert_eq!(cut, r#"ValueRef(17 bytes: "xxxxxxxxxxxxxxxx"…)"#);
    }

    #[test]
    fn a_value_can_cross_and_be_shared_between_threads() {
        fn check<T: Clone + Send + Sync + 'static>(value: T) -> T {
            value
        }
        assert_eq!(check(Value::from_slice(b"v")).len(), 1);
    }
}
