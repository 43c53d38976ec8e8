//! What a key holds, under another name or in another database. The expiry goes with it.

use std::ops::ControlFlow;

use kvcore::Direction;

use super::collection::{Collection, WHOLE};
use super::{Data, Db, Expiry, StoreError, Stored};

type Result<T> = std::result::Result<T, StoreError>;

/// Most bytes of elements one command copies: its batch is built in memory.
const COPY_BYTES_MAX: usize = 1 << 30;

impl Db<'_> {
    /// Gives the key `from`, which must exist, the name `to`, in place of whatever `to` holds. A
    /// collection keeps its elements where they are.
    pub(crate) fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<()> {
        let Some((stored, expiry)) = self.held(from)? else { return Ok(()) };
        let at = match expiry {
            Expiry::At(at) => Some(at),
            Expiry::None | Expiry::Keep => None,
        };
        self.foretell_rename(to)?;
        self.drop_elements_of(to)?;
        let record = (stored.kind().tag(), stored.payload());
        self.data.pending.put(self.place, to, record, at);
        self.data.pending.delete(self.place, from);
        Ok(())
    }

    fn foretell_rename(&mut self, to: &[u8]) -> Result<()> {
        if self.data.is_heard {
            self.foretell(to)?;
            self.foretell_replaced(to)?;
        }
        Ok(())
    }

    /// What a key holds, and its expiry.
    fn held(&mut self, key: &[u8]) -> Result<Option<(Stored, Expiry)>> {
        let Some(stored) = self.get(key)? else { return Ok(None) };
        let at = self.expires_at_ms(key)?.flatten();
        Ok(Some((stored, at.map_or(Expiry::None, Expiry::At))))
    }
}

impl Data {
    /// Copies what a key holds to another key, in place of whatever that holds; false if there is
    /// no such key. A collection is copied element by element.
    pub(crate) fn copy(
        &mut self,
        (from_db, from): (usize, &[u8]),
        (to_db, to): (usize, &[u8]),
    ) -> Result<bool> {
        let Some((stored, expiry)) = self.db(from_db).held(from)? else { return Ok(false) };
        self.db(to_db).foretell_replaced(to)?;
        let Some(id) = stored.collection_id() else {
            self.db(to_db).put(to, stored.kind(), stored.payload(), expiry)?;
            return Ok(true);
        };
        let (mut elements, mut bytes) = (Vec::new(), 0);
        let source = Collection { key: from, id };
        self.db(from_db).walk(source, WHOLE, Direction::Ascending, usize::MAX, |seen| {
            let element = seen.to_element()?;
            bytes += element.sub.len() + element.value.len();
            if bytes > COPY_BYTES_MAX {
                return Err(StoreError::TooLargeToCopy);
            }
            elements.push(element);
            Ok(ControlFlow::Continue(()))
        })?;
        let mut db = self.db(to_db);
        let copy = db.create(to, stored.kind(), expiry)?;
        for element in &elements {
            db.put_element(copy, &element.sub, &element.value);
        }
        Ok(true)
    }
}
