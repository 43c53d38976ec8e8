//! Read-only views of files in memory: the one file of the crate with `unsafe` in it.
//!
//! Knows addresses and bounds. Does not know what is stored there, nor how it got there.
//!
//! # Invariants
//!
//! M1. A slice never reaches outside the mapping.
//! M2. Only this crate can take a slice, and it takes one only of bytes whose write had returned
//!     before. Such bytes never change again: logs are appended to, files are replaced whole.
//! M3. A file that is mapped is not cut below bytes that were written; it may be unlinked, which
//!     leaves the mapping as it is.
//!
//! What M2 and M3 cannot cover is another program: one that overwrites a mapped file changes bytes
//! under a slice, one that cuts it, or a medium that cannot read a sector any more, makes the
//! access end the process with `SIGBUS`. Who cannot live with that reads with
//! [`read_at`](super::DiskFile::read_at) instead, where both are errors.
#![allow(unsafe_code, reason = "the one place where mapped memory becomes a slice")]

use std::{fmt, fs, io, slice};

use memmap2::{MmapOptions, MmapRaw};

/// A shared read-only mapping of the beginning of a file.
///
/// Stays valid when the file is renamed, unlinked or its handle closed; unmapped when dropped.
/// Its length is fixed and may exceed the file's, see [`DiskFile::map`](super::DiskFile::map).
pub struct Mapping {
    raw: MmapRaw,
}

impl Mapping {
    /// Maps `[0, len)`, which must not be empty.
    pub(super) fn new(file: &fs::File, len: u64) -> io::Result<Mapping> {
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
        if len == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a mapping of no bytes"));
        }
        // Windows can map no more than there is; there the caller falls back to plain reads.
        #[cfg(not(unix))]
        if u64::try_from(len).is_ok_and(|len| file.metadata().is_ok_and(|m| m.len() < len)) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let raw = MmapOptions::new().len(len).map_raw_read_only(file)?;
        // Point reads hit one page each; read-ahead would fetch its neighbours for nothing. The
        // advice is only that: where it is not taken, reads are slower and nothing else.
        #[cfg(unix)]
        let _ = raw.advise(memmap2::Advice::Random);
        Ok(Mapping { raw })
    }

    /// How many bytes are mapped.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.raw.len()
    }

    /// Never true: there are no empty mappings.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.raw.len() == 0
    }

    /// The bytes `[offset, offset + len)`, or `None` if they are not all inside the mapping.
    ///
    /// The caller keeps M2: it asks only for bytes that were written before and never change.
    #[inline]
    pub(crate) fn slice(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(len)?;
        if end > self.raw.len() {
            return None;
        }
        // SAFETY:
        // - In bounds: `start + len <= raw.len()` was just checked, and `raw` keeps that many
        //   bytes mapped readable until it is dropped, which the returned lifetime excludes. The
        //   total fits an `isize`, as memmap2 refuses longer mappings.
        // - Initialised: bytes of a file are; those past its present end are excluded by M2.
        // - Not written while the slice lives: the mapping is read-only, nobody in this crate
        //   writes to bytes once written or cuts them off (M2, M3), and nobody outside it can
        //   obtain a slice. Other programs are beyond any process's power; see the file's head.
        Some(unsafe { slice::from_raw_parts(self.raw.as_ptr().add(start), len) })
    }
}

/// Bytes that come from memory together.
const CACHE_LINE_BYTES: usize = 64;

impl Mapping {
    /// Starts fetching `[offset, offset + len)` into the cache, as far as it is mapped, and returns
    /// at once. Reads nothing: a page that is not in memory stays where it is.
    #[inline]
    pub(crate) fn prefetch(&self, offset: u64, len: usize) {
        let Ok(start) = usize::try_from(offset) else { return };
        let end = start.saturating_add(len).min(self.raw.len());
        if start < end {
            prefetch_lines(self.raw.as_ptr().wrapping_add(start), end - start);
        }
    }
}

/// Starts fetching what is about to be read into the cache, and returns at once: so that
/// several places in memory are waited for together, not one after the other.
#[inline]
pub(crate) fn prefetch<T>(items: &[T]) {
    prefetch_lines(items.as_ptr().cast(), size_of_val(items));
}

#[inline]
fn prefetch_lines(start: *const u8, len: usize) {
    let before = start.addr() % CACHE_LINE_BYTES;
    let mut at = start.wrapping_sub(before);
    for _ in 0..before.saturating_add(len).div_ceil(CACHE_LINE_BYTES) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a prefetch is a hint. Of whatever address, also of one that is not mapped, it has
        // no effect that a program can observe but time.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(at.cast());
        }
        at = at.wrapping_add(CACHE_LINE_BYTES);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

impl Mapping {
    /// Asks the system to bring `[offset, offset + len)` into memory, as far as it is mapped, and
    /// returns at once: for who reads a file from front to back, which the advice that
    /// [`new`](Mapping::new) gives would make a wait for every single page.
    ///
    /// Advice only: where it is not taken, reads are slower and nothing else.
    pub(crate) fn read_ahead(&self, offset: u64, len: usize) {
        #[cfg(unix)]
        if let Ok(start) = usize::try_from(offset)
            && start < self.raw.len()
        {
            let len = len.min(self.raw.len() - start);
            let _ = self.raw.advise_range(memmap2::Advice::WillNeed, start, len);
        }
        #[cfg(not(unix))]
        let _ = (offset, len);
    }
}

impl Mapping {
    /// Enters the pages of `[offset, offset + len)`, which were just written, into the page table
    /// of the process, as far as they are mapped, so that readers take no page faults there.
    ///
    /// Advice only: where the system does not know it, readers take theirs.
    pub(crate) fn populate(&self, offset: u64, len: usize) {
        #[cfg(target_os = "linux")]
        if let Ok(start) = usize::try_from(offset)
            && start < self.raw.len()
        {
            let len = len.min(self.raw.len() - start);
            let _ = self.raw.advise_range(memmap2::Advice::PopulateRead, start, len);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (offset, len);
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapping").field("len", &self.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn m1_slice_outside_the_mapping_is_none() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let map = Mapping::new(&file, 10).unwrap();
        assert_eq!(map.slice(0, 10), Some(&b"0123456789"[..]));
        assert_eq!(map.slice(10, 0), Some(&b""[..]));
        for (offset, len) in [(0, 11), (10, 1), (11, 0), (1, usize::MAX), (u64::MAX, 1)] {
            assert_eq!(map.slice(offset, len), None, "{offset} {len}");
        }
    }

    #[test]
    fn mapping_longer_than_the_file_shows_what_is_written_later() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"one").unwrap();
        let map = Mapping::new(&file, 1 << 20).unwrap();
        assert_eq!(map.slice(0, 3), Some(&b"one"[..]));
        file.write_all(b"two").unwrap();
        assert_eq!(map.slice(0, 6), Some(&b"onetwo"[..]));
    }

    #[test]
    fn mapping_outlives_the_file_handle() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"still here").unwrap();
        let map = Mapping::new(&file, 10).unwrap();
        drop(file);
        assert_eq!(map.slice(0, 10), Some(&b"still here"[..]));
    }

    #[test]
    fn empty_mapping_is_refused() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(Mapping::new(&file, 0).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
