//! How much memory and disk a store may take, and what is kept back for giving space back.
//!
//! Knows figures and who asks. Does not know keys or records.
//!
//! # Invariants
//!
//! F1. What a merge needs to go on is kept back from ordinary commits; deletes and merges may use
//!     it.
//! F2. While the reserve file is spent, or what is kept back is used, no ordinary commit is taken.
//! F3. A commit that is refused has changed nothing.

use super::{Engine, prepared::PreparedBatch};
use crate::{
    disk::{DiskFile, Reserve},
    error::{Error, Result},
    log::{BatchEncoder, Record, file_names::Name},
};
use parking_lot::Mutex;
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

/// Who asks for space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The store holds more afterwards.
    Growing,
    /// It is a step towards holding less.
    GivingBack,
}

impl Purpose {
    /// What a batch is for.
    pub(super) fn of(batch: &BatchEncoder) -> Purpose {
        if batch.holds_puts() { Purpose::Growing } else { Purpose::GivingBack }
    }
}

/// Space taken that no file table shows, and the reserve.
#[derive(Debug, Default)]
pub(crate) struct Space {
    /// Bytes of blobs that are being written.
    streaming_bytes: AtomicU64,
    /// Bytes of the data file made ahead.
    pub(super) prepared_bytes: AtomicU64,
    /// Deletes or merges have used what was kept back for them.
    is_tight: AtomicBool,
    /// A commit was refused since merge last looked.
    was_refused: AtomicBool,
    /// How many live on the reserve, which must not be taken back meanwhile.
    uses: AtomicUsize,
    /// Which files of the reserve there are.
    reserve: Mutex<[bool; SHARES]>,
}

/// The reserve is two files, so that deletes leave a merge what it needs to begin with.
const SHARES: usize = 2;

/// What of the reserve is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// For the log: the larger part.
    Log,
    /// All there is, for a merge and for manifests.
    All,
}

/// The reserve, given up until this is dropped.
pub(crate) struct ReserveUse<'e>(&'e Space);

impl Drop for ReserveUse<'_> {
    fn drop(&mut self) {
        self.0.uses.fetch_sub(1, Ordering::Release);
    }
}

/// Space for a blob on its way, given back when dropped: by then its record counts it.
#[derive(Debug)]
pub(super) struct BlobClaim<'e> {
    engine: &'e Engine,
    bytes: u64,
}

impl BlobClaim<'_> {
    /// Takes more, or refuses.
    pub(super) fn grow(&mut self, bytes: u64) -> Result<()> {
        self.engine.grant(bytes, bytes, Purpose::Growing)?;
        self.engine.space.streaming_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for BlobClaim<'_> {
    fn drop(&mut self) {
        self.engine.space.streaming_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Engine {
    // ---- memory ----

    /// Refuses keys that the keydir has no room for. `added` tells how many bytes would come on
    /// top, and is asked only where there is a limit.
    pub(super) fn check_memory(&self, added: impl FnOnce() -> u64) -> Result<()> {
        let limit_bytes = self.options.max_keydir_bytes;
        if limit_bytes == u64::MAX {
            return Ok(());
        }
        let added = added();
        let held: u64 = self.keyspaces.read().values().map(|k| k.index.footprint_bytes()).sum();
        let wanted_bytes = held.saturating_add(added);
        if added == 0 || wanted_bytes <= limit_bytes {
            return Ok(());
        }
        Err(Error::LimitReached { what: "memory for keys", limit_bytes, wanted_bytes })
    }

    // ---- disk ----

    /// Bytes of data files, reservations included, and of blobs.
    pub(crate) fn disk_bytes(&self) -> u64 {
        let files = self.files.load();
        let data: u64 = files.iter().map(|f| f.handle().len().unwrap_or(f.len())).sum();
        let space = &self.space;
        let unlisted = space.streaming_bytes.load(Ordering::Relaxed)
            + space.prepared_bytes.load(Ordering::Relaxed);
        let held = *space.reserve.lock();
        let shares = self.reserve_shares().into_iter().zip(held);
        let reserve: u64 = shares.filter(|(_, held)| *held).map(|(bytes, _)| bytes).sum();
        data + self.blobs.held_bytes() + unlisted + reserve
    }

    /// What a merge of one file may need beside it (F1).
    fn kept_back_bytes(&self) -> u64 {
        let live = |f: &Arc<crate::log::DataFile>| f.live_bytes.load(Ordering::Relaxed);
        let largest = self.files.load().iter().map(live).max().unwrap_or(0);
        self.file_bytes_target().max(largest).min(self.options.max_disk_bytes / 4)
    }

    /// How much of `wanted` may be taken, at least `needed`.
    pub(super) fn grant(&self, wanted: u64, needed: u64, purpose: Purpose) -> Result<u64> {
        let limit_bytes = self.options.max_disk_bytes;
        if limit_bytes == u64::MAX {
            return Ok(wanted);
        }
        let used = self.disk_bytes();
        let kept_back = self.kept_back_bytes();
        let ordinary = limit_bytes.saturating_sub(used.saturating_add(kept_back));
        let free = match purpose {
            _ if ordinary >= wanted => return Ok(wanted),
            Purpose::Growing => ordinary,
            // Little by little: what is kept back has to last.
            Purpose::GivingBack => {
                self.space.is_tight.store(true, Ordering::Relaxed);
                let left = limit_bytes.saturating_sub(used);
                if left / 4 >= needed { left / 4 } else { left }
            }
        };
        if free >= needed {
            return Ok(free.min(wanted));
        }
        self.space.was_refused.store(true, Ordering::Relaxed);
        self.notify(super::Task::WorkOff);
        let wanted_bytes = used.saturating_add(needed).saturating_add(match purpose {
            Purpose::Growing => kept_back,
            Purpose::GivingBack => 0,
        });
        Err(Error::LimitReached { what: "disk space", limit_bytes, wanted_bytes })
    }

    /// Refuses what puts something while space is tight, even where it would fit into the active
    /// file: deletes need it (F2).
    pub(super) fn check_tight(&self, batch: &BatchEncoder) -> Result<()> {
        if !self.is_tight() || Purpose::of(batch) == Purpose::GivingBack {
            return Ok(());
        }
        self.check_reserve()?;
        self.grant(1, 1, Purpose::Growing)?;
        self.space.is_tight.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Deletes or merges have used what was kept back for them.
    pub(crate) fn is_tight(&self) -> bool {
        self.space.is_tight.load(Ordering::Relaxed)
    }

    /// Takes the reserve back if there is room again, and notices that there is.
    pub(crate) fn relax(&self) {
        if self.restore_reserve() && self.is_tight() && self.ordinary_left() > 0 {
            self.space.is_tight.store(false, Ordering::Relaxed);
        }
    }

    /// What ordinary commits may still take.
    fn ordinary_left(&self) -> u64 {
        let kept_back = self.kept_back_bytes();
        match self.options.max_disk_bytes {
            u64::MAX => u64::MAX,
            limit => limit.saturating_sub(self.disk_bytes().saturating_add(kept_back)),
        }
    }

    /// Bytes that may be written before the limit; no bound without one.
    pub(crate) fn disk_bytes_left(&self) -> u64 {
        match self.options.max_disk_bytes {
            u64::MAX => u64::MAX,
            limit => limit.saturating_sub(self.disk_bytes()),
        }
    }

    /// Space for a blob that is about to be written.
    pub(super) fn claim_blob(&self) -> Result<BlobClaim<'_>> {
        self.check_reserve()?;
        Ok(BlobClaim { engine: self, bytes: 0 })
    }

    /// A commit failed with this. If for want of space, merge has work, however little.
    pub(super) fn note_refused(&self, e: &Error) {
        if e.is_full() {
            self.space.was_refused.store(true, Ordering::Relaxed);
            self.notify(super::Task::WorkOff);
        }
    }

    /// A commit was refused, and merge has not looked since; or what is kept back is used.
    pub(crate) fn wants_space(&self) -> bool {
        self.is_tight() || self.space.was_refused.load(Ordering::Relaxed)
    }

    /// Whether a commit was refused since the last call: then merge has work, however little.
    pub(crate) fn take_refused(&self) -> bool {
        self.space.was_refused.swap(false, Ordering::Relaxed)
    }

    // ---- the reserve file ----

    /// Bytes of the log's share, and of the rest.
    fn reserve_shares(&self) -> [u64; SHARES] {
        let bytes = self.options.reserve_bytes();
        [bytes - bytes / 4, bytes / 4]
    }

    /// Takes the reserve, if there is one to take and it is not there. False: it is spent.
    pub(crate) fn restore_reserve(&self) -> bool {
        let mut reserve = self.space.reserve.lock();
        if self.options.reserve_bytes() == 0 || reserve.iter().all(|held| *held) {
            return true;
        }
        if self.space.uses.load(Ordering::Acquire) > 0 {
            return false;
        }
        let mut shares = reserve.iter_mut().zip(self.reserve_shares()).enumerate();
        shares.all(|(i, (held, bytes))| {
            *held = *held || self.hold(i, bytes);
            *held
        })
    }

    /// A share's file: temporary by its name, so what is left behind is removed at the next open.
    fn reserve_path(&self, share: usize) -> PathBuf {
        self.dir.join(Name::ReserveTmp(share as u64).to_string())
    }

    /// Makes a share's file, of this size; false if there is no room.
    fn hold(&self, share: usize, bytes: u64) -> bool {
        let path = self.reserve_path(share);
        let made = self.disk.create_new(&path).and_then(|file| hold(&*file, bytes));
        if made.is_err() {
            let _ = self.disk.unlink(&path);
        }
        made.is_ok()
    }

    /// Gives of the reserve to whoever gives space back, and waits for the end of an attempt to
    /// restore it, which takes space too.
    pub(crate) fn use_reserve(&self, share: Share) -> ReserveUse<'_> {
        self.space.uses.fetch_add(1, Ordering::AcqRel);
        if self.options.reserve_bytes() > 0 {
            self.space.is_tight.store(true, Ordering::Relaxed);
        }
        self.release_reserve(share);
        ReserveUse(&self.space)
    }

    /// Removes this of the reserve, as far as it is there.
    pub(crate) fn release_reserve(&self, share: Share) {
        let mut reserve = self.space.reserve.lock();
        let given = match share {
            Share::Log => 1,
            Share::All => SHARES,
        };
        for (i, held) in reserve.iter_mut().enumerate().take(given) {
            if std::mem::take(held) {
                let _ = self.disk.unlink(&self.reserve_path(i));
            }
        }
    }

    /// F2.
    pub(super) fn check_reserve(&self) -> Result<()> {
        if self.restore_reserve() {
            return Ok(());
        }
        let full = std::io::ErrorKind::StorageFull.into();
        Err(self.io("take back the reserve in", "", full))
    }

    /// Tries again with the log's share given up, if the disk was full and the purpose allows it.
    pub(crate) fn with_reserve<T>(
        &self,
        purpose: Purpose,
        mut step: impl FnMut() -> Result<T>,
    ) -> Result<T> {
        step().or_else(|e| self.with_reserve_after(e, purpose, step))
    }

    /// The same for what failed with this.
    pub(super) fn with_reserve_after<T>(
        &self,
        e: Error,
        purpose: Purpose,
        step: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        if purpose == Purpose::Growing || !e.is_full() {
            return Err(e);
        }
        let _until_done = self.use_reserve(Share::Log);
        step()
    }

    /// Tries again with all of the reserve given up, for a step that gives space back.
    pub(crate) fn with_whole_reserve<T>(&self, mut step: impl FnMut() -> Result<T>) -> Result<T> {
        match step() {
            Err(e) if e.is_full() => {
                let _until_done = self.use_reserve(Share::All);
                step()
            }
            result => result,
        }
    }
}

/// Takes this much space: by a reservation, or where there is no such thing by writing bytes that
/// no file system makes shorter.
fn hold(file: &dyn DiskFile, bytes: u64) -> std::io::Result<()> {
    if file.reserve(bytes)? == Reserve::Done {
        return Ok(());
    }
    let mut random = fastrand::Rng::with_seed(bytes);
    let mut piece = vec![0; HOLD_BYTES];
    random.fill(&mut piece);
    let mut at = 0;
    while at < bytes {
        let len = usize::try_from(bytes - at).unwrap_or(HOLD_BYTES).min(HOLD_BYTES);
        file.write_all_at(&piece[..len], at)?;
        at += len as u64;
    }
    Ok(())
}

/// Bytes written at a time to take space.
const HOLD_BYTES: usize = 64 << 10;

impl PreparedBatch {
    /// Bytes of memory for the keys it adds.
    pub(super) fn added_memory_bytes(&self) -> u64 {
        (0..self.record_count()).map(|i| self.added_by(i)).sum()
    }

    fn added_by(&self, i: usize) -> u64 {
        let (Record::Put { key, .. } | Record::BlobRef { key, .. }) = self.encoder.record(i) else {
            return 0;
        };
        self.index_of(i).map_or(0, |index| index.added_bytes(key))
    }
}

impl Error {
    /// There is no space left, by a limit or by the machine.
    pub(crate) fn is_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        match self {
            Error::LimitReached { .. } => true,
            Error::Io { source, .. } => matches!(source.kind(), StorageFull | QuotaExceeded),
            _ => false,
        }
    }
}
