//! What the system knows of this process and its files.

use std::{fs, io, path::Path, time::Duration};

use crate::Result;

/// Processor time this process has used so far, user and system, all threads.
#[cfg(unix)]
pub(super) fn cpu_time() -> Duration {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = Duration::from_secs(u64::try_from(t.tv_sec).unwrap_or(0));
    seconds + Duration::from_nanos(u64::try_from(t.tv_nsec).unwrap_or(0))
}

/// Not known here.
#[cfg(not(unix))]
pub(super) fn cpu_time() -> Duration {
    Duration::ZERO
}

/// Writes back all dirty pages, so that one engine's do not become another's work.
pub fn settle_disk() {
    #[cfg(unix)]
    rustix::fs::sync();
}

/// Asks the system to forget the contents of all files below `dir`, so that the next reads come
/// from the disk. Pages that are still mapped stay: whoever wants them gone closes the store.
#[cfg(target_os = "linux")]
pub fn evict(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            evict(&path)?;
        } else {
            let file = fs::File::open(&path)?;
            file.sync_all()?;
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
        }
    }
    Ok(())
}

/// Only Linux forgets on demand.
#[cfg(not(target_os = "linux"))]
pub fn evict(_dir: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Bytes the files below `dir` occupy; holes do not count, space reserved ahead does. Files that
/// disappear meanwhile do not count.
pub fn disk_bytes(dir: &Path) -> io::Result<u64> {
    let mut total = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let bytes = entry.metadata().and_then(|meta| {
            if meta.is_dir() { disk_bytes(&entry.path()) } else { Ok(allocated(&meta)) }
        });
        total += match bytes {
            Err(e) if e.kind() == io::ErrorKind::NotFound => 0,
            bytes => bytes?,
        };
    }
    Ok(total)
}

#[cfg(unix)]
fn allocated(meta: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(meta) * 512
}

#[cfg(not(unix))]
fn allocated(meta: &fs::Metadata) -> u64 {
    meta.len()
}

/// Memory of this process that no file backs, in bytes. Only Linux says.
pub fn anonymous_bytes() -> Result<u64> {
    status_bytes("RssAnon:")
}

/// The most memory this process ever had, mapped files included, in bytes. Only Linux says.
pub fn peak_resident_bytes() -> Result<u64> {
    status_bytes("VmHWM:")
}

fn status_bytes(field: &str) -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|l| l.strip_prefix(field));
    let kib: u64 =
        line.and_then(|l| l.split_whitespace().next()).ok_or("no such field")?.parse()?;
    Ok(kib * 1024)
}

/// Bytes this process has sent towards the disk: pages made dirty, by calls and through maps.
/// Only Linux says.
pub fn written_bytes() -> Option<u64> {
    let io = fs::read_to_string("/proc/self/io").ok()?;
    io.lines().find_map(|l| l.strip_prefix("write_bytes: "))?.parse().ok()
}
