//! From where a feed goes on: a kept place, or a sequence of this opening.

use crate::{
    engine::Engine,
    error::{Error, Result},
    ids::Sequence,
    token::{ChangeToken, Located},
};

/// Where [`Store::changes`](crate::Store::changes) may go on: behind a [`ChangeToken`], or behind
/// a [`Sequence`] that this opening of the store gave out.
///
/// A token is checked against the store's history: it may have been kept anywhere, for any time. A
/// sequence is only compared with the tip. Keep tokens, not sequences: after a crash a sequence may
/// stand for another commit. This trait is not for implementing.
pub trait Since: Sealed {}

/// Keeps [`Since`] from being implemented elsewhere.
pub trait Sealed {
    /// The sequence behind which the feed goes on.
    fn resolve(&self, engine: &EngineRef<'_>) -> Result<Sequence>;
}

/// An engine, of which the outside knows nothing.
#[derive(Debug)]
pub struct EngineRef<'e>(pub(super) &'e Engine);

impl Since for Sequence {}

impl Sealed for Sequence {
    fn resolve(&self, engine: &EngineRef<'_>) -> Result<Sequence> {
        let tip = engine.0.tip();
        if *self <= tip {
            return Ok(*self);
        }
        let what = format!("{self} has not been given out, the last one is {tip}");
        Err(Error::BadOption { option: "sequence", what })
    }
}

impl Since for ChangeToken {}

impl Sealed for ChangeToken {
    fn resolve(&self, engine: &EngineRef<'_>) -> Result<Sequence> {
        let engine = engine.0;
        let (generations, tip) = engine.generations();
        // A reader may not have seen yet what its writer has made durable.
        let tip = (!engine.is_read_only()).then_some(tip);
        match self.locate(engine.store_id, &generations, tip) {
            Located::Here => Ok(self.sequence()),
            Located::Forgotten => Err(Error::Compacted { oldest: engine.oldest_place() }),
            Located::Elsewhere { common } => Err(Error::Diverged { token: *self, common }),
        }
    }
}

impl<S: Since> Since for &S {}

impl<S: Since> Sealed for &S {
    fn resolve(&self, engine: &EngineRef<'_>) -> Result<Sequence> {
        (**self).resolve(engine)
    }
}
