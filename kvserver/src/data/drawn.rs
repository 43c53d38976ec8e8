//! Elements drawn at random to be taken, several at once where one after the other is (see `hot`).
//!
//! While changes are pending one is drawn at a time: what is remembered is what is committed.

use super::collection::{Collection, WHOLE};
use super::ends::Removed;
use super::{Db, Joined, StoreError};

type Result<T> = std::result::Result<T, StoreError>;

/// One of so many elements is drawn at once, at most: hardly any is drawn twice then.
const LEN_PER_DRAWN: u64 = 8;

impl Db<'_> {
    /// The key of an element that is drawn evenly among the `len` that there are, for who is about
    /// to remove it; `None` if there are none. It may be asked again for the same one, until
    /// something is committed.
    pub(crate) fn draw_to_take(
        &mut self,
        of: Collection<'_>,
        len: u64,
        rng: &mut fastrand::Rng,
    ) -> Result<Option<Joined>> {
        if !self.data.pending.is_empty() {
            return self.nth_key(of, WHOLE, rng.u64(..len.max(1)));
        }
        let wanted = match self.data.engine.hot().drawn(of.id) {
            Ok(next) => return Ok(Some(next)),
            Err(1) => None,
            Err(wanted) => Some(wanted).filter(|wanted| fits(*wanted, len)),
        };
        let Some(wanted) = wanted else {
            let sub = self.nth_key(of, WHOLE, rng.u64(..len.max(1)))?;
            self.data.engine.hot().set_drawn(of.id, sub.iter().cloned().collect());
            return Ok(sub);
        };
        let mut drawn = Vec::with_capacity(wanted);
        let places = distinct(wanted, len, rng);
        // (No element expires, so different places give different ones.)
        self.nth_subs(of, places, |sub| drawn.push(Joined::new([sub])))?;
        self.fetch_ahead(of, drawn.iter().map(|sub| &**sub), Removed::Anywhere);
        let next = drawn.last().cloned();
        self.data.engine.hot().set_drawn(of.id, drawn);
        Ok(next)
    }
}

/// True if so many are few of `len`.
fn fits(count: usize, len: u64) -> bool {
    u64::try_from(count).is_ok_and(|count| count <= len / LEN_PER_DRAWN)
}

/// So many different numbers below `len`, which is many times that.
fn distinct(count: usize, len: u64, rng: &mut fastrand::Rng) -> Vec<u64> {
    let mut places = Vec::with_capacity(count);
    while places.len() < count {
        let place = rng.u64(..len);
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places
}
