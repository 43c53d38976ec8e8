//! What tools print, and how they find keyspaces.

use std::{
    io::{self, BufWriter, StdoutLock},
    path::Path,
};

use indicatif::{ProgressBar, ProgressStyle};
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

/// A bar on the terminal that tells how far it is; nothing where nobody watches.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// Counts entries that were, say, `exported`.
    pub(super) fn of_entries(done: &'static str) -> Progress {
        Progress::new("{wide_bar} {percent:>3} %  {human_pos} entries {msg}  {eta} left", done)
    }

    /// Counts bytes that were, say, `checked`.
    pub(super) fn of_bytes(done: &'static str) -> Progress {
        Progress::new("{wide_bar} {percent:>3} %  {bytes} {msg}  {eta} left", done)
    }

    fn new(template: &str, done: &'static str) -> Progress {
        // Draws on standard error, and only if that is a terminal.
        let style = ProgressStyle::with_template(template);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(0).with_style(style.progress_chars("#>.")).with_message(done);
        Progress(bar)
    }

    /// So much of so much; of nobody knows how much, if `total` is 0.
    pub(super) fn show(&mut self, done: u64, total: u64) {
        self.0.set_length(total.max(done));
        self.0.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
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
