//! A place in a store's history that can be kept outside of it.
//!
//! Knows three numbers and their bytes. Does not know files or whether the place still exists.

use crate::{
    error::{Error, Result},
    ids::Sequence,
    log::{GENERATIONS_MAX, Generation, StoreId},
};
use std::{fmt, str::FromStr};

/// A place in the history of one store: which store, which of its openings, which sequence.
///
/// Opaque, and small enough to be kept beside whatever is derived from the store. A crash may
/// take sequences back that were not durable and give them out again; the generation, a random
/// number of every opening that writes, tells the two apart.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let dir = tempfile::tempdir().expect("a temporary directory");
/// # let store = kvcore::Store::open(dir.path())?;
/// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
/// use kvcore::ChangeToken;
/// users.put("ada", &36)?;
/// let token = store.snapshot().token();
/// let text = token.to_string();
/// assert_eq!(text.parse::<ChangeToken>()?, token);
/// assert_eq!(ChangeToken::from_bytes(token.to_bytes()), token);
/// assert_eq!(token.sequence(), store.tip_sequence());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChangeToken {
    store: [u8; 16],
    generation: u64,
    sequence: Sequence,
}

/// Whether a place is in a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Located {
    Here,
    /// In a generation so old that nobody remembers it.
    Forgotten,
    /// In none of its generations, or behind the end of one.
    Elsewhere {
        common: Option<ChangeToken>,
    },
}

impl ChangeToken {
    /// Length of [`ChangeToken::to_bytes`].
    ///
    /// ```
    /// use kvcore::ChangeToken;
    /// assert_eq!(ChangeToken::LEN_BYTES, 32);
    /// ```
    pub const LEN_BYTES: usize = 32;

    /// The place of a sequence, given the generations, oldest first.
    pub(crate) fn new(store: StoreId, generations: &[Generation], sequence: Sequence) -> Self {
        let mut newest_first = generations.iter().rev();
        let own = newest_first.find(|g| g.first_sequence <= sequence);
        ChangeToken { store: store.0, generation: own.map_or(0, |g| g.id), sequence }
    }

    /// Where this place is in a store's history, given its generations, oldest first, and its tip;
    /// `None` for a store that may lag behind its writer.
    pub(crate) fn locate(
        &self,
        store: StoreId,
        generations: &[Generation],
        tip: Option<Sequence>,
    ) -> Located {
        if self.store != store.0 {
            return Located::Elsewhere { common: None };
        }
        let first = generations.first().map(|g| g.first_sequence);
        if self.generation == 0 {
            // Before the first commit, or of a generation that is forgotten.
            let is_before = first.map_or(self.sequence == Sequence::ZERO, |f| self.sequence < f);
            return if is_before { Located::Here } else { Located::Elsewhere { common: None } };
        }
        let is_cut = generations.len() >= GENERATIONS_MAX;
        let Some(at) = generations.iter().position(|g| g.id == self.generation) else {
            return match first {
                Some(first) if is_cut && self.sequence < first => Located::Forgotten,
                _ => Located::Elsewhere { common: None },
            };
        };
        // It ended where the next one began.
        let next = generations.get(at + 1).map(|g| Sequence(g.first_sequence.0.saturating_sub(1)));
        match next.or(tip) {
            Some(end) if self.sequence > end => {
                let common = ChangeToken::new(store, generations, end);
                Located::Elsewhere { common: Some(common) }
            }
            _ if self.sequence < generations[at].first_sequence => {
                Located::Elsewhere { common: None }
            }
            _ => Located::Here,
        }
    }

    /// The last sequence before this place.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// let sequence = users.put("ada", &36)?;
    /// assert_eq!(store.snapshot().token().sequence(), sequence);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// Store 16, generation 8, sequence 8, the numbers little-endian.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::ChangeToken;
    /// let bytes: [u8; ChangeToken::LEN_BYTES] = store.snapshot().token().to_bytes();
    /// assert_eq!(ChangeToken::from_bytes(bytes), store.snapshot().token());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN_BYTES] {
        let mut bytes = [0; Self::LEN_BYTES];
        bytes[..16].copy_from_slice(&self.store);
        bytes[16..24].copy_from_slice(&self.generation.to_le_bytes());
        bytes[24..].copy_from_slice(&self.sequence.0.to_le_bytes());
        bytes
    }

    /// What [`ChangeToken::to_bytes`] gave.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::ChangeToken;
    /// users.put("ada", &36)?;
    /// let kept = store.snapshot().token().to_bytes(); // in a file, say
    /// assert_eq!(ChangeToken::from_bytes(kept).sequence(), store.tip_sequence());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::LEN_BYTES]) -> ChangeToken {
        let mut store = [0; 16];
        store.copy_from_slice(&bytes[..16]);
        let number = |from: usize| {
            let mut le = [0; 8];
            le.copy_from_slice(&bytes[from..from + 8]);
            u64::from_le_bytes(le)
        };
        ChangeToken { store, generation: number(16), sequence: Sequence(number(24)) }
    }
}

/// `store-generation-sequence`: two numbers in hexadecimal and one in decimal.
impl fmt::Display for ChangeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = u128::from_be_bytes(self.store);
        write!(f, "{store:032x}-{:016x}-{}", self.generation, self.sequence)
    }
}

impl FromStr for ChangeToken {
    type Err = Error;

    /// Reads what `Display` wrote; [`Error::Decode`] otherwise.
    fn from_str(text: &str) -> Result<ChangeToken> {
        let wrong = || Error::Decode { source: format!("{text:?} is not a change token").into() };
        let is_hex =
            |s: &str, len: usize| s.len() == len && s.bytes().all(|b| b.is_ascii_hexdigit());
        let mut parts = text.split('-');
        let (Some(store), Some(generation), Some(sequence), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong());
        };
        let is_decimal = sequence.bytes().all(|b| b.is_ascii_digit());
        if !is_hex(store, 32) || !is_hex(generation, 16) || !is_decimal {
            return Err(wrong());
        }
        let store = u128::from_str_radix(store, 16).map_err(|_| wrong())?;
        let generation = u64::from_str_radix(generation, 16).map_err(|_| wrong())?;
        let sequence = sequence.parse().map_err(|_| wrong())?;
        Ok(ChangeToken { store: store.to_be_bytes(), generation, sequence: Sequence(sequence) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: StoreId = StoreId([7; 16]);

    fn history(firsts: &[u64]) -> Vec<Generation> {
        let generation = |(at, first): (u64, &u64)| Generation {
            id: 100 + at,
            first_sequence: Sequence(*first),
        };
        (0..).zip(firsts).map(generation).collect()
    }

    fn token(generation: u64, sequence: u64) -> ChangeToken {
        ChangeToken { store: STORE.0, generation, sequence: Sequence(sequence) }
    }

    /// The sequence in common, where the place is not in the history.
    #[track_caller]
    fn diverged(located: Located) -> Option<u64> {
        match located {
            Located::Elsewhere { common } => common.map(|c| c.sequence().get()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn place_is_here_up_to_the_end_of_its_generation_and_not_behind_it() {
        let generations = history(&[1, 11, 11, 21]);
        let locate = |g, s| token(g, s).locate(STORE, &generations, Some(Sequence(25)));
        for (generation, first, last) in [(100, 1, 10), (102, 11, 20), (103, 21, 25)] {
            for sequence in first..=last {
                assert_eq!(locate(generation, sequence), Located::Here, "{generation} {sequence}");
            }
            assert_eq!(diverged(locate(generation, last + 1)), Some(last));
            assert_eq!(diverged(locate(generation, last + 100)), Some(last));
        }
        // What this opening gave out was all lost: the next one began where it did.
        assert_eq!(diverged(locate(101, 11)), Some(10));
        assert_eq!(diverged(locate(999, 5)), None, "of another lineage");
        assert_eq!(diverged(locate(102, 10)), None, "nobody makes such a token");
    }

    #[test]
    fn beginning_of_a_history_is_a_place_in_it_and_only_there() {
        let at = |generations: &[Generation], sequence| {
            token(0, sequence).locate(STORE, generations, Some(Sequence(30)))
        };
        assert_eq!(at(&[], 0), Located::Here);
        assert_eq!(at(&history(&[1]), 0), Located::Here);
        assert_eq!(diverged(at(&history(&[1]), 1)), None);
        let elsewhere = ChangeToken { store: [8; 16], ..token(0, 0) };
        assert_eq!(diverged(elsewhere.locate(STORE, &[], None)), None);
    }

    #[test]
    fn place_in_a_forgotten_generation_is_told_from_one_in_no_generation() {
        let firsts: Vec<u64> = (0..GENERATIONS_MAX as u64).map(|n| 1_000 + n).collect();
        let generations = history(&firsts);
        let locate = |g, s| token(g, s).locate(STORE, &generations, None);
        assert_eq!(locate(5, 999), Located::Forgotten);
        assert_eq!(diverged(locate(5, 1_001)), None);
        assert_eq!(locate(0, 999), Located::Here);
    }

    #[test]
    fn reader_that_lags_behind_takes_a_place_it_has_not_reached() {
        let generations = history(&[1, 11]);
        assert_eq!(token(101, 500).locate(STORE, &generations, None), Located::Here);
        assert_eq!(diverged(token(100, 11).locate(STORE, &generations, None)), Some(10));
    }
}
