//! Large values between the command that puts them and the batch that refers to them.

use std::ops::Range;

use kvcore::{PreparedValue, ValueReader};

use super::{COLLECTION_RECORD_LEN, Engine, Result};

/// The large values among the changes of a command, in their order, with the bytes they lie in.
#[derive(Debug)]
pub(crate) struct Large {
    pub(in crate::data) bytes: Vec<u8>,
    pub(in crate::data) values: Vec<LargeValue>,
}

/// Where one of them is, and where it is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::data) struct LargeValue {
    pub(in crate::data) home: usize,
    pub(in crate::data) is_element: bool,
    pub(in crate::data) at: Range<usize>,
}

/// One of them, written.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(in crate::data) home: usize,
    pub(in crate::data) is_element: bool,
    bytes: Vec<u8>,
    pub(super) prepared: PreparedValue,
}

impl Staged {
    /// It is this value, for that place.
    pub(in crate::data) fn is(&self, home: usize, is_element: bool, value: &[u8]) -> bool {
        self.home == home && self.is_element == is_element && self.bytes == value
    }
}

impl Engine {
    /// Values longer than this wait for the disk before they are committed.
    pub(in crate::data) fn large_value_bytes(&self) -> usize {
        usize::try_from(self.store.large_value_bytes()).unwrap_or(usize::MAX)
    }

    /// A key's value to be read by parts, if it is there and large; its length is known without
    /// reading.
    pub(in crate::data) fn open_large(
        &self,
        home: usize,
        key: &[u8],
    ) -> Result<Option<ValueReader>> {
        let keys = &self.homes[home].keys;
        let is_large = |len_bytes: u64| len_bytes > self.store.large_value_bytes();
        if keys.stored_size_bytes(key)?.is_some_and(is_large) {
            return Ok(keys.reader(key)?);
        }
        Ok(None)
    }
    /// True if a key's record cannot be that of a collection: it is of another length.
    pub(in crate::data) fn is_string_by_length(&self, home: usize, key: &[u8]) -> Result<bool> {
        let len_bytes = self.homes[home].keys.stored_size_bytes(key)?;
        Ok(len_bytes.is_some_and(|len_bytes| len_bytes != COLLECTION_RECORD_LEN))
    }

    /// Writes large values, each into a file of its own. Waits for the disk.
    pub(crate) fn stage(&self, large: Large) -> Result<Vec<Staged>> {
        let Large { bytes, values } = large;
        let stage = |LargeValue { home, is_element, at }: LargeValue| {
            let keyspaces = &self.homes[home];
            let keyspace = if is_element { &keyspaces.elements } else { &keyspaces.keys };
            let prepared = keyspace.prepare(&bytes[at.clone()])?;
            Ok(Staged { home, is_element, bytes: bytes[at].to_vec(), prepared })
        };
        values.into_iter().map(stage).collect()
    }
}
