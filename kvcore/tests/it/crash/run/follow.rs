//! A follower that was away during a crash: it goes on exactly, or is told that it cannot.

use super::{
    super::{
        model::{Held, State},
        workload::KEYSPACES,
    },
    Run, Violation, difference, unix_ms,
};
use kvcore::{Change, ChangeToken, Error, Event, Result, Store};

/// The places of two followers that have taken over everything: of what is durable, and of what is
/// visible. They are kept elsewhere, where nothing is lost.
pub(super) fn places(store: &Store) -> Option<[ChangeToken; 2]> {
    let durable = store.changes(store.durable_sequence()).ok()?.token();
    Some([durable, store.snapshot().token()])
}

impl Run {
    /// Both followers come back to a store that holds this. Nothing was taken back of what was
    /// durable; of the rest, they may be told so.
    pub(super) fn follow_on(&self, found: &State) -> Result<Result<(), Violation>> {
        let Some([durable, visible]) = self.ledger.places else { return Ok(Ok(())) };
        for (place, may_diverge) in [(durable, false), (visible, true)] {
            if let Err(what) = self.follow_from(place, may_diverge, found)? {
                return Ok(Err(format!("a follower at {place}: {what}")));
            }
        }
        Ok(Ok(()))
    }

    fn follow_from(
        &self,
        place: ChangeToken,
        may_diverge: bool,
        found: &State,
    ) -> Result<Result<(), Violation>> {
        let tip = self.store().tip_sequence();
        let mut changes = match self.store().changes(place) {
            Ok(changes) => changes,
            Err(Error::Diverged { .. }) if may_diverge && place.sequence() > tip => {
                return Ok(Ok(()));
            }
            Err(Error::Diverged { .. }) => {
                return Ok(Err(format!("it has diverged, and the store ends at {tip}")));
            }
            Err(Error::Compacted { oldest }) if oldest.sequence() > place.sequence() => {
                return Ok(Ok(()));
            }
            Err(e) => return Err(e),
        };
        let at = self.ledger.at(place.sequence().get());
        let mut states: Vec<State> = at.into_iter().map(|(_, state)| state.clone()).collect();
        loop {
            match changes.try_next() {
                Ok(Some(change)) => {
                    for state in &mut states {
                        take_over(state, &change)?;
                    }
                }
                Ok(None) => break,
                // A large value that was replaced is gone.
                Err(Error::Compacted { oldest }) if oldest.sequence() > place.sequence() => {
                    return Ok(Ok(()));
                }
                Err(e) => return Err(e),
            }
        }
        if changes.token().sequence() != tip {
            return Ok(Err(format!("given up to {}, not {tip}", changes.token().sequence())));
        }
        let visible: Vec<State> = states.iter().map(|s| s.visible(self.ledger.now_ms)).collect();
        match visible.first() {
            // Inside a commit: there is no state to begin with.
            None => Ok(Ok(())),
            Some(_) if visible.contains(found) => Ok(Ok(())),
            Some(first) => Ok(Err(difference(tip.get(), first, found))),
        }
    }
}

/// Does to a state what was done to the store.
fn take_over(state: &mut State, change: &Change) -> Result<()> {
    let name = change.keyspace_name();
    let Some(keyspace) = KEYSPACES.iter().position(|k| Some(*k) == name.as_deref()) else {
        return Ok(());
    };
    let expires_ms = change.expires_at().map(unix_ms);
    match change.event()? {
        Event::Put { key, value } => {
            let held = Held { value: value.to_vec().into(), expires_ms };
            state.0.insert((keyspace, key[0]), held);
        }
        Event::Delete { key } => drop(state.0.remove(&(keyspace, key[0]))),
        Event::DeleteRange { range } => {
            state.0.retain(|(ks, key), _| *ks != keyspace || !range.contains(&[*key]));
        }
        Event::Expire { key, .. } => {
            if let Some(held) = state.0.get_mut(&(keyspace, key[0])) {
                held.expires_ms = expires_ms;
            }
        }
        other => panic!("{other:?} is not known here"),
    }
    Ok(())
}
