//! Newtypes for the numbers that must not be mixed up: files, sequences, keyspaces, places.
//!
//! Knows nothing else.

use std::fmt;

/// The number of one record in the store's history. Starts at 1, never reused, kept by merge.
///
/// Order between two writes is the order of their sequences; it is never taken from a clock.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let store = kvcore::Store::in_memory()?;
/// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
/// let ada = users.put("ada", &36)?;
/// let bob = users.put("bob", &41)?;
/// assert!(ada < bob && bob == store.tip_sequence());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub(crate) u64);

impl Sequence {
    pub(crate) const ZERO: Sequence = Sequence(0);

    /// The number itself, for logs and for storing a position outside the store.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// let sequence = users.put("ada", &36)?;
    /// println!("committed as number {}", sequence.get());
    /// assert!(sequence.get() > 0);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A data or blob file's number. Never reused, also not after a crash. Zero is "no file".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FileId(pub(crate) u32);

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012}", self.0)
    }
}

/// A keyspace's number in the registry. Never reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct KeyspaceId(pub(crate) u32);

/// Where a record starts: for a batch of one the frame, for a member of a larger batch the member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Location {
    pub(crate) file: FileId,
    pub(crate) offset: u32,
}
