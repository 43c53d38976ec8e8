//! Uses of keys and the memory they take, as the store knows them: what `eviction` asks of it.

use std::sync::atomic::Ordering;

use kvcore::{BytesKeyspace, DrawFrom, DrawnEntry, LastUse, UsesRemembered};

use super::super::collection::ID_LEN;
use super::{Engine, Home, Result, Value};

/// Memory for keys, elements and all that is known of each, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MemoryHeld {
    pub(crate) held: u64,
    /// The part of it that is on its way out: of collections that were deleted.
    pub(crate) leaving: u64,
    /// Keys and elements on their way out.
    pub(crate) leaving_entries: u64,
}

impl MemoryHeld {
    /// What does not leave by itself.
    pub(crate) fn staying(&self) -> u64 {
        self.held.saturating_sub(self.leaving)
    }
    fn add(&mut self, keyspace: &BytesKeyspace) {
        let footprint = keyspace.footprint();
        self.held += footprint.held_bytes;
        self.leaving += footprint.leaving_bytes;
        self.leaving_entries += footprint.leaving_entries;
    }
}

impl Engine {
    /// What is remembered of uses of keys from now on.
    pub(crate) fn remember_uses(&self, what: UsesRemembered) -> Result<()> {
        for home in &self.homes {
            home.keys.remember_uses(what)?;
        }
        self.remembers_uses.store(what != UsesRemembered::Nothing, Ordering::Relaxed);
        Ok(())
    }
    #[inline]
    pub(in crate::data) fn remembers_uses(&self) -> bool {
        self.remembers_uses.load(Ordering::Relaxed)
    }
    /// The time of uses from now on.
    pub(crate) fn set_use_tick(&self, tick: u32) {
        self.homes.iter().for_each(|home| home.keys.set_use_tick(tick));
    }
    /// Keys drawn at random by a seed.
    pub(in crate::data) fn draw(
        &self,
        home: usize,
        from: DrawFrom,
        count: usize,
        seed: u64,
    ) -> Result<Vec<DrawnEntry<Vec<u8>>>> {
        Ok(self.homes[home].keys.draw(from, count, seed)?)
    }
    pub(in crate::data) fn last_use(&self, home: usize, key: &[u8]) -> Result<Option<LastUse>> {
        Ok(self.homes[home].keys.last_use(key)?)
    }
    /// Counts a use of a key.
    pub(in crate::data) fn use_key(&self, home: usize, key: &[u8]) -> Result<()> {
        self.homes[home].keys.use_key(key)?;
        Ok(())
    }
    /// The value of a key, not counted as a use.
    pub(in crate::data) fn peek(&self, home: usize, key: &[u8]) -> Result<Option<Value>> {
        let entry = self.homes[home].keys.peek(key)?;
        entry.map(|entry| Ok(entry.value_bytes()?)).transpose()
    }

    /// The number of keys of all databases.
    pub(crate) fn keys(&self) -> u64 {
        self.homes.iter().map(|home| home.keys.len()).sum()
    }
    /// Memory for everything. From counts: cheap enough to be asked before each command.
    pub(crate) fn memory(&self) -> MemoryHeld {
        let mut memory = MemoryHeld::default();
        for Home { keys, elements } in &self.homes {
            memory.add(keys);
            memory.add(elements);
        }
        memory.add(&self.state);
        if let Some(reverse) = &self.reverse {
            reverse.keyspaces().for_each(|keyspace| memory.add(keyspace));
            let dead = reverse.dead_elements.load(Ordering::Relaxed);
            let elements = self.homes.iter().map(|home| &home.elements);
            let each = average_bytes(elements) + average_bytes(reverse.members());
            memory.leaving = memory.held.min(memory.leaving + dead * each);
            memory.leaving_entries += dead;
        }
        memory
    }
    /// The number of keys of a database.
    pub(crate) fn len_of(&self, index: usize) -> u64 {
        self.homes[self.home(index)].keys.len()
    }
    /// Memory of an element besides its sub.
    pub(in crate::data) fn element_bytes(&self, home: usize) -> u64 {
        self.homes[home].elements.bytes_per_key(ID_LEN, false)
    }
    /// Memory of one key.
    pub(in crate::data) fn key_bytes(&self, home: usize, key: &[u8], expires: bool) -> u64 {
        self.homes[home].keys.bytes_per_key(key.len(), expires)
    }
    /// Memory of a database's keys and of its elements.
    pub(crate) fn memory_of(&self, index: usize) -> (u64, u64) {
        let Home { keys, elements } = &self.homes[self.home(index)];
        (keys.footprint().held_bytes, elements.footprint().held_bytes)
    }
}

/// Of one entry.
fn average_bytes<'a>(keyspaces: impl Iterator<Item = &'a BytesKeyspace>) -> u64 {
    let (bytes, entries) = keyspaces.filter(|keyspace| !keyspace.is_empty()).fold(
        (0, 0),
        |(bytes, entries), keyspace| {
            (bytes + keyspace.footprint().held_bytes, entries + keyspace.len())
        },
    );
    bytes.checked_div(entries).unwrap_or(0)
}
