//! The data files that can be read, and pins that keep one readable.
//!
//! Knows files by their ids. Does not know what is in them.
//!
//! # Invariants
//!
//! T1. A table is never changed; it is replaced whole, and whoever loaded it keeps its files.
//! T2. Threads that pin the same file write to different cache lines, as long as there are no more
//!     of them than processors.

use crate::{ids::FileId, log::DataFile, value::Bytes};
use parking_lot::Mutex;
use std::{
    cell::OnceCell,
    ops::Deref,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Keeps one file readable, also when it has been merged away and unlinked.
///
/// A clone is counted where the pin was counted: in the stripe of the thread that made it.
#[derive(Clone, Debug)]
pub(crate) struct FilePin(Arc<Stripe>);

/// A count of pins, on cache lines of its own (T2).
#[derive(Debug)]
#[repr(align(128))]
struct Stripe(Arc<DataFile>);

impl Deref for FilePin {
    type Target = Arc<DataFile>;

    #[inline]
    fn deref(&self) -> &Arc<DataFile> {
        &self.0.0
    }
}

impl From<FilePin> for Arc<dyn Bytes> {
    fn from(pin: FilePin) -> Arc<dyn Bytes> {
        pin.0
    }
}

impl Bytes for Stripe {
    fn bytes(&self, start: usize, len: usize) -> &[u8] {
        self.0.bytes(start, len)
    }
}

/// Most stripes per file.
const STRIPES_MAX: usize = 64;

/// Stripes per file: as many as there are processors.
fn stripes() -> usize {
    static STRIPES: OnceLock<usize> = OnceLock::new();
    *STRIPES.get_or_init(|| {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        processors.next_power_of_two().min(STRIPES_MAX)
    })
}

/// The stripe of this thread, of so many, which are a power of two.
#[inline]
fn stripe_of_thread(stripes: usize) -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! { static STRIPE: usize = NEXT.fetch_add(1, Ordering::Relaxed); }
    STRIPE.with(|stripe| stripe & (stripes - 1))
}

/// A file in the table, with its stripes.
#[derive(Clone, Debug)]
struct Listed {
    file: Arc<DataFile>,
    pins: Arc<[FilePin]>,
}

impl Listed {
    fn new(file: Arc<DataFile>) -> Listed {
        let pin = || FilePin(Arc::new(Stripe(Arc::clone(&file))));
        let pins = (0..stripes()).map(|_| pin()).collect();
        Listed { file, pins }
    }
}

/// All files that can be read, found by id in one or two steps. Replaced whole when it changes.
#[derive(Debug, Default)]
pub(crate) struct FileTable {
    slots: Vec<Option<Listed>>,
}

impl FileTable {
    fn of(files: Vec<Listed>) -> FileTable {
        let mut slots = vec![None; (files.len() * 2).next_power_of_two()];
        for listed in files {
            let mut at = slot(listed.file.id, slots.len());
            while slots[at].is_some() {
                at = (at + 1) & (slots.len() - 1);
            }
            slots[at] = Some(listed);
        }
        FileTable { slots }
    }

    #[inline]
    pub(crate) fn get(&self, id: FileId) -> Option<&Arc<DataFile>> {
        self.listed(id).map(|listed| &listed.file)
    }

    /// Keeps a file readable beyond this table's life.
    #[inline]
    pub(crate) fn pin(&self, id: FileId) -> Option<FilePin> {
        let pins = &self.listed(id)?.pins;
        pins.get(stripe_of_thread(pins.len())).cloned()
    }

    #[inline]
    fn listed(&self, id: FileId) -> Option<&Listed> {
        let mut at = slot(id, self.slots.len());
        // At least half of the slots are empty, so the probe ends.
        while let Some(listed) = self.slots.get(at)? {
            if listed.file.id == id {
                return Some(listed);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
        None
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<DataFile>> {
        self.slots.iter().flatten().map(|listed| &listed.file)
    }

    /// The same files with some added and some taken out.
    pub(crate) fn changed(&self, add: &[Arc<DataFile>], remove: &[FileId]) -> FileTable {
        let kept = self.slots.iter().flatten().filter(|l| !remove.contains(&l.file.id)).cloned();
        FileTable::of(kept.chain(add.iter().cloned().map(Listed::new)).collect())
    }
}

fn slot(id: FileId, slots: usize) -> usize {
    // Ids are nearly consecutive, so their low bits spread them.
    id.0 as usize & slots.wrapping_sub(1)
}

/// The files as they were at some moment, kept readable until it is dropped.
pub(crate) type FilesGuard = arc_swap::Guard<Arc<FileTable>>;

/// The files as they were when they were first asked for: a commit of new keys only asks for none.
#[derive(Debug, Default)]
pub(crate) struct FilesOnce(OnceCell<Arc<FileTable>>);

impl FilesOnce {
    /// The table, of these files.
    #[inline]
    pub(crate) fn of(&self, files: &Files) -> &FileTable {
        self.0.get_or_init(|| files.table.load_full())
    }
}

/// Finds files for many records, of which those in a row mostly lie in one.
#[derive(Debug)]
pub(crate) struct FilesInRuns<'a> {
    table: &'a FileTable,
    last: Option<&'a Arc<DataFile>>,
}

impl<'a> FilesInRuns<'a> {
    pub(crate) fn new(table: &'a FileTable) -> Self {
        FilesInRuns { table, last: None }
    }

    #[inline]
    pub(crate) fn get(&mut self, id: FileId) -> Option<&'a Arc<DataFile>> {
        if self.last.is_none_or(|file| file.id != id) {
            self.last = self.table.get(id);
        }
        self.last
    }
}

/// Serialises changes of the published [`FileTable`].
#[derive(Debug, Default)]
pub(crate) struct Files {
    table: arc_swap::ArcSwap<FileTable>,
    /// Held while the table is changed: the files taken out of it that something still reads.
    retired: Mutex<Vec<Weak<DataFile>>>,
}

impl Files {
    #[inline]
    pub(crate) fn load(&self) -> FilesGuard {
        self.table.load()
    }

    pub(crate) fn change(&self, add: &[Arc<DataFile>], remove: &[FileId]) {
        let mut retired = self.retired.lock();
        let table = self.table.load();
        retired.retain(|file| file.strong_count() > 0);
        retired.extend(remove.iter().filter_map(|id| table.get(*id)).map(Arc::downgrade));
        let next = table.changed(add, remove);
        self.table.store(Arc::new(next));
    }

    /// Bytes of files that are not in the table any more and that something still reads.
    pub(crate) fn pinned_bytes(&self) -> u64 {
        self.retired.lock().iter().filter_map(Weak::upgrade).map(|file| file.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        disk::{Disk, SimDisk},
        log::{FileKey, FileParts, Role, StoreId},
    };
    use std::path::PathBuf;

    fn file(id: u32) -> Arc<DataFile> {
        let (id, disk) = (FileId(id), SimDisk::new(1));
        let handle = disk.create_new(&PathBuf::from("/f")).unwrap();
        let key = FileKey::new(&StoreId([0; 16]), id);
        let path = PathBuf::from("/f");
        let parts = FileParts { id, role: Role::Log, key, path, handle, map_bytes: 0, written: 0 };
        Arc::new(DataFile::new(parts).unwrap())
    }

    #[test]
    fn t2_pins_are_counted_per_thread_as_far_as_there_are_processors() {
        let table = FileTable::of(vec![Listed::new(file(1))]);
        let counted_at = |pin: &FilePin| Arc::as_ptr(&pin.0).addr();
        let here = counted_at(&table.pin(FileId(1)).unwrap());
        assert_eq!(here, counted_at(&table.pin(FileId(1)).unwrap()), "one thread, one stripe");
        let mut places: Vec<usize> = std::thread::scope(|scope| {
            let pin = || counted_at(&table.pin(FileId(1)).unwrap());
            let threads: Vec<_> = (0..stripes()).map(|_| scope.spawn(pin)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(places.iter().all(|place| place % 128 == 0), "on cache lines of their own");
        places.sort_unstable();
        places.dedup();
        // Threads of other tests take turns in between, so that not all need differ.
        assert!(places.len() > stripes() / 2, "{} of {}", places.len(), stripes());
        assert!(table.pin(FileId(2)).is_none());
    }

    #[test]
    fn pin_keeps_a_file_that_left_the_table_and_its_bytes_are_counted_until_it_is_dropped() {
        let files = Files::default();
        files.change(&[file(1), file(2)], &[]);
        let pin = files.load().pin(FileId(1)).unwrap();
        pin.buffer(|tail| tail.extend_from_slice(b"12345"));
        files.change(&[], &[FileId(1)]);
        assert!(files.load().get(FileId(1)).is_none() && files.load().get(FileId(2)).is_some());
        assert_eq!(files.pinned_bytes(), 5);
        drop(pin);
        assert_eq!(files.pinned_bytes(), 0);
    }
}
