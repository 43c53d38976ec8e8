//! What tools print, and how they find keyspaces.

use std::{
    io::{self, BufWriter, IsTerminal, StdoutLock, Write},
    path::Path,
    time::{Duration, Instant},
};

use kvcore::{BytesKeyspace, Entry, Options, Raw, ScanCursor, Store};

use super::Failure;

/// One entry of a keyspace of bytes.
pub(super) type BytesEntry = Entry<Vec<u8>, [u8], Raw>;

/// Opens for reading, beside whoever uses the store.
pub(super) fn open_to_read(dir: &Path) -> Result<Store, Failure> {
    Ok(Options::new().open_read_only(dir)?)
}

/// The keyspace of this name, or an error that names those there are.
pub(super) fn keyspace(store: &Store, name: &str) -> Result<BytesKeyspace, Failure> {
    if let Some(found) = store.raw_keyspace(name)? {
        return Ok(found);
    }
    let names = store.keyspace_names().join(", ");
    Err(format!("there is no keyspace {name:?}; there are: {names}").into())
}

/// Calls `f` with entries whose key starts with `prefix`, in order where there is one, until it
/// says false.
pub(super) fn for_each(
    keyspace: &BytesKeyspace,
    prefix: &[u8],
    mut f: impl FnMut(&BytesEntry) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    if keyspace.info().is_ordered {
        for entry in keyspace.prefix(prefix) {
            if !f(&entry?)? {
                break;
            }
        }
        return Ok(());
    }
    let mut cursor = ScanCursor::default();
    loop {
        let (page, next) = keyspace.scan(cursor, 1_000)?;
        for entry in page.iter().filter(|entry| entry.key().starts_with(prefix)) {
            if !f(entry)? {
                return Ok(());
            }
        }
        cursor = next;
        if cursor == ScanCursor::default() {
            return Ok(());
        }
    }
}

/// Standard output, for many lines.
pub(super) fn stdout() -> BufWriter<StdoutLock<'static>> {
    BufWriter::new(io::stdout().lock())
}

/// Whether an error means that nobody reads our output any more.
pub(super) fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

/// Bytes as people read them.
pub(super) fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    let mut tenths = bytes * 10 / 1_024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < units.len() {
        (tenths, unit) = (tenths / 1_024, unit + 1);
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, units[unit])
}

/// A line on the terminal that tells how far it is; nothing where nobody watches.
pub(super) struct Progress {
    is_shown: bool,
    last: Option<Instant>,
}

const SHOW_EVERY: Duration = Duration::from_millis(100);
const BAR_CHARS: u64 = 30;

impl Progress {
    pub(super) fn new() -> Progress {
        Progress { is_shown: io::stderr().is_terminal(), last: None }
    }

    /// So much of so much, of what.
    pub(super) fn show(&mut self, done: u64, total: u64, what: &str) {
        if !self.is_shown || self.last.is_some_and(|at| at.elapsed() < SHOW_EVERY) {
            return;
        }
        self.last = Some(Instant::now());
        let total = total.max(done).max(1);
        let filled = usize::try_from(u128::from(done) * u128::from(BAR_CHARS) / u128::from(total));
        let filled = filled.unwrap_or_default();
        let empty = usize::try_from(BAR_CHARS).unwrap_or_default() - filled;
        let (filled, empty) = ("#".repeat(filled), ".".repeat(empty));
        let percent = u128::from(done) * 100 / u128::from(total);
        let _ = write!(io::stderr(), "\r[{filled}{empty}] {percent:3} % {what} ");
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.last.is_some() {
            let _ = write!(io::stderr(), "\r{:60}\r", "");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_readable() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1_023), "1023 B");
        assert_eq!(size(1_536), "1.5 KiB");
        assert_eq!(size(10 << 20), "10.0 MiB");
        assert_eq!(size(5 << 40), "5.0 TiB");
    }
}
