//! Entries found at the tip, whose blobs stay until they are read.

use super::Keyspace;
use crate::{codec::Codec, error::Result, index::Item, iter::Entry, key::Key, view::View};
use std::sync::Arc;

impl<K: Key, V: ?Sized + 'static, C: Codec<V>> Keyspace<K, V, C> {
    /// The entry that `look` finds at the tip.
    pub(super) fn entry(&self, look: impl Fn() -> Option<Item>) -> Result<Option<Entry<K, V, C>>> {
        let is_blob = |item: &Option<Item>| item.as_ref().is_some_and(Item::is_blob);
        let (item, view) = self.pinning_blobs(look, is_blob);
        item.map(|item| Entry::new(item, &self.inner, view.as_ref())).transpose()
    }

    /// Looks at the tip; if a blob is among what was found, again under a view, which keeps the
    /// blob from being unlinked until its value is read.
    pub(super) fn pinning_blobs<T>(
        &self,
        look: impl Fn() -> T,
        has_blob: impl Fn(&T) -> bool,
    ) -> (T, Option<Arc<View>>) {
        let found = look();
        if !has_blob(&found) {
            return (found, None);
        }
        let engine = self.engine();
        let view = Arc::new(engine.views.open(engine.clock.now_ms()));
        (look(), Some(view))
    }
}
