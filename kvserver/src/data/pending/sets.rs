//! What the pending changes mean for the reverse index of sets.

use super::{Op, OpKind, Pending};
use crate::data::collection::{ID_LEN, Id};
use crate::data::{Stored, Type};

impl Pending {
    /// Collections that an element with this sub is put into.
    pub(in crate::data) fn elements_like(&self, home: usize, sub: &[u8]) -> Vec<Id> {
        let id = |op: &Op| {
            let key = &self.bytes[op.key.clone()];
            let is_put = matches!(op.kind, OpKind::Element { value: Some(_) });
            let (id, rest) = key.split_at_checked(ID_LEN)?;
            (op.place.home == home && is_put && rest == sub).then(|| Id::from_bytes(id)).flatten()
        };
        self.ops.iter().filter_map(id).collect()
    }
    /// The key that is given this set last.
    pub(in crate::data) fn key_of_set(&self, home: usize, id: Id) -> Option<&[u8]> {
        let op = self.ops.iter().rfind(|op| match &op.kind {
            OpKind::Put { value, .. } => {
                op.place.home == home
                    && Stored::held_in(&self.bytes[value.clone()]) == Some((Type::Set, id))
            }
            _ => false,
        })?;
        Some(&self.bytes[op.key.clone()])
    }
}
