//! From where a feed goes on: a kept place, or a sequence of this opening.

use crate::{
    engine::Engine,
    error::{Error, Result},
    ids::Sequence,
    token::{ChangeToken, Located},
};

/// Where [`Store::changes`](crate::Store::changes) goes on: behind a [`ChangeToken`], or behind a
/// [`Sequence`] that this opening of the store gave out. Made of either by `into()`, which
/// `changes` does by itself.
///
/// A token is checked against the store's history: it may have been kept anywhere, for any time. A
/// sequence is only compared with the tip. Keep tokens, not sequences: after a crash a sequence may
/// stand for another commit.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// use kvcore::{Keyspace, Since, Store};
/// let store = Store::in_memory()?;
/// let users: Keyspace<String, u64> = store.keyspace("users")?;
/// let sequence = users.put("ada", &36)?;
/// users.put("bob", &41)?;
/// let places: [Since; 2] = [sequence.into(), store.oldest_change_token().into()];
/// let counts = places.map(|since| store.changes(since).map(|changes| changes.take(1).count()));
/// assert!(matches!(counts, [Ok(1), Ok(1)]));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since(Place);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Kept(ChangeToken),
    Given(Sequence),
}

impl From<ChangeToken> for Since {
    fn from(token: ChangeToken) -> Since {
        Since(Place::Kept(token))
    }
}

impl From<&ChangeToken> for Since {
    fn from(token: &ChangeToken) -> Since {
        Since(Place::Kept(*token))
    }
}

impl From<Sequence> for Since {
    fn from(sequence: Sequence) -> Since {
        Since(Place::Given(sequence))
    }
}

impl Since {
    /// The sequence behind which the feed goes on.
    pub(super) fn resolve(self, engine: &Engine) -> Result<Sequence> {
        match self.0 {
            Place::Kept(token) => resolve_token(token, engine),
            Place::Given(sequence) => {
                let tip = engine.tip();
                if sequence <= tip {
                    return Ok(sequence);
                }
                let what = format!("{sequence} has not been given out, the last one is {tip}");
                Err(Error::BadOption { option: "sequence", what })
            }
        }
    }
}

/// A reader does not know the writer's generations before it has refreshed, so it looks again
/// before it calls a place one of another history.
fn resolve_token(token: ChangeToken, engine: &Engine) -> Result<Sequence> {
    match locate(token, engine) {
        Err(Error::Diverged { .. }) if engine.is_read_only() => {
            engine.refresh()?;
            locate(token, engine)
        }
        found => found,
    }
}

fn locate(token: ChangeToken, engine: &Engine) -> Result<Sequence> {
    let (generations, tip) = engine.generations();
    // A reader may not have seen yet what its writer has made durable.
    let tip = (!engine.is_read_only()).then_some(tip);
    match token.locate(engine.store_id, &generations, tip) {
        Located::Here => Ok(token.sequence()),
        Located::Forgotten => Err(Error::Compacted { oldest: engine.oldest_place() }),
        Located::Elsewhere { common } => Err(Error::Diverged { token, common }),
    }
}
