//! Elements in the order of a hash of their names: fields of hashes, members of sets.
//!
//! An element's key is its part (a prefix of the family's choice, often empty), a keyed 32-bit hash
//! of the name, and the name. So a scan's cursor is a hash, and means the same whatever comes and
//! goes meanwhile, and after a restart, as the hash's key is stored.

use std::ops::{Bound, ControlFlow};

use kvcore::Direction;

use super::{Collection, Db, Joined, Seen, StoreError};

type Result<T> = std::result::Result<T, StoreError>;

/// Bytes of the hash before a name.
pub(crate) const HASH_LEN: usize = size_of::<u32>();

impl Db<'_> {
    /// The key of an element by its name, in the part of the collection that begins with `part`.
    pub(crate) fn hashed(&self, part: &[u8], name: &[u8]) -> Joined {
        let hash = self.data.engine.hash(name).to_be_bytes();
        Joined::new([part, &hash, name])
    }

    /// One step of a walk over a part in hash order: calls `f` with at least `limit` elements, if
    /// so many are left, and returns the cursor for the next step, 0 at the end.
    ///
    /// Elements of the same hash come in the same step.
    pub(crate) fn scan_hashed(
        &mut self,
        of: Collection<'_>,
        part: &[u8],
        (cursor, limit): (u64, usize),
        mut f: impl FnMut(&Seen<'_>) -> Result<()>,
    ) -> Result<u64> {
        // A cursor is one more than the hash it goes on at: zero is start and end.
        let Ok(first) = u32::try_from(cursor.saturating_sub(1)) else { return Ok(0) };
        let start = [part, &first.to_be_bytes()].concat();
        let last = [part, &u32::MAX.to_be_bytes()].concat();
        // Names follow the hash, so the end is open: what lies beyond is told by its part.
        let span = (Bound::Included(start.as_slice()), Bound::Unbounded);
        let (mut seen, mut last_hash, mut next) = (0, None, 0);
        let hash_at = part.len()..last.len();
        self.walk(of, span, Direction::Ascending, usize::MAX, |element| {
            let sub = element.sub();
            let hash = sub.get(hash_at.clone()).filter(|_| sub.starts_with(part));
            let Some(hash) = hash.and_then(|hash| hash.try_into().ok()) else {
                return Ok(ControlFlow::Break(()));
            };
            let hash = u32::from_be_bytes(hash);
            if seen >= limit && last_hash != Some(hash) {
                next = u64::from(hash) + 1;
                return Ok(ControlFlow::Break(()));
            }
            (seen, last_hash) = (seen + 1, Some(hash));
            f(element)?;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(next)
    }
}
