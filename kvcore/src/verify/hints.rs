//! A hint against the data file it stands for.

use super::Check;
use crate::{
    disk::{Disk, OpenMode},
    error::{Error, Result},
    log::{DataFile, FormatError, HintReader, StoreId, corrupt, file_names},
};
use std::{io, path::Path};

impl Check<'_> {
    /// Compares the hint of a sound file, if there is one, with what the file says.
    pub(super) fn hint(&mut self, disk: &dyn Disk, file: &DataFile, store: &StoreId) -> Result<()> {
        let path = file.path.with_file_name(file_names::hint(file.id));
        let Some(bytes) = read_whole(disk, &path)? else { return Ok(()) };
        self.verified.files += 1;
        self.read(bytes.len() as u64);
        let wanted = crate::recovery::hint_of(file, store)?;
        let compared = compare(&bytes, &wanted, file, store);
        compared.map_err(|e| corrupt(&path, 0, format!("hint: {e}")))
    }
}

/// A file's bytes; `None` if it is not there.
pub(super) fn read_whole(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<u8>>> {
    let read = disk.open(path, OpenMode::Read).and_then(|file| {
        let len = usize::try_from(file.len()?).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    });
    match read {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Io { action: "read", path: path.to_path_buf(), source }),
    }
}

/// The same entries, ranges and facts; which puts were dead depends on when it was written.
fn compare(
    found: &[u8],
    wanted: &[u8],
    file: &DataFile,
    store: &StoreId,
) -> Result<(), FormatError> {
    let found = HintReader::open(found, store, file.id, file.written())?;
    let wanted = HintReader::open(wanted, store, file.id, file.written())?;
    let facts = |hint: &HintReader<'_>| {
        let facts = hint.facts();
        (facts.data_len, facts.max_sequence, facts.highest_clock_ms)
    };
    let same = facts(&found) == facts(&wanted)
        && found.ranges().eq(wanted.ranges())
        && found.entries().eq(wanted.entries());
    if same { Ok(()) } else { Err(FormatError::Damaged { what: "it says other than its file" }) }
}
