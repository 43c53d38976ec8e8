//! Finding the log: which files it has, how far each is whole, where it ends.

use super::{Directory, Found, format_error};
use crate::{
    disk::{Mapping, OpenMode},
    error::{Error, Result},
    ids::{FileId, Sequence},
    log::{
        DataFile, DecodedHeader, FILE_HEADER_LEN, FileHeader, FileKey, FileParts, FrameWalk,
        HintReader, LogEnd, LogPosition, Manifest, Role, Step, corrupt,
        file_names::{self, Name},
    },
    options::ReadMode,
};
use std::{path::PathBuf, sync::Arc};

/// The log files at or above the floor, as found.
pub(super) struct Log {
    /// Ascending by number.
    pub(super) files: Vec<LogFile>,
}

/// One log file and how far it is whole.
pub(super) struct LogFile {
    pub(super) file: Arc<DataFile>,
    /// `None`: the header is damaged.
    pub(super) header: Option<FileHeader>,
    /// Behind the last whole frame in sequence.
    pub(super) whole: u64,
    pub(super) last_sequence: Option<Sequence>,
    /// What stopped the walk, if it was not zeros.
    pub(super) damage: Option<String>,
    /// The highest durable watermark in any valid frame or header.
    pub(super) watermark: Option<LogPosition>,
    /// Whether anything but zeros follows the whole part.
    pub(super) has_more: bool,
}

/// Finds and walks the log files that are not listed.
pub(super) fn scan(store: &Found, directory: &Directory) -> Result<Log> {
    let listed = |id| store.manifest.files.iter().any(|f| f.id == id);
    let mut files = Vec::new();
    // From the last to the first: what a file says of those before it was true when they are
    // read, also while another process writes.
    for name in directory.names.iter().rev() {
        let Name::Data(id) = *name else { continue };
        if id >= store.manifest.log_floor
            && !listed(id)
            && let Some(found) = scan_file(store, directory, id)?
        {
            files.push(found);
        }
    }
    files.reverse();
    Ok(Log { files })
}

/// `None` for a file that is not part of the log: prepared ahead, or a copy that was not listed.
fn scan_file(store: &Found, directory: &Directory, id: FileId) -> Result<Option<LogFile>> {
    let (file, header) = open_file(store, id, Role::Log, None)?;
    let header = match header {
        Ok(DecodedHeader::Unused) => return Ok(None),
        // Created, and not even its length has reached the medium.
        Err(_) if file.written() < FILE_HEADER_LEN as u64 && rest_is_zero(&file, 0)? => {
            return Ok(None);
        }
        Ok(DecodedHeader::Written(header)) if header.role == Role::Copy => return Ok(None),
        Ok(DecodedHeader::Written(header)) => Ok(header),
        Err(e) if e.is_newer() => return Err(format_error(&file.path, &e)),
        Err(e) => Err(e.to_string()),
    };
    let mut found = LogFile {
        watermark: header.as_ref().ok().and_then(|h| h.watermark),
        whole: FILE_HEADER_LEN as u64,
        last_sequence: None,
        damage: header.as_ref().err().map(|e| format!("file header: {e}")),
        has_more: false,
        header: header.ok(),
        file,
    };
    if found.header.is_some() && directory.names.contains(&Name::Hint(id)) {
        trust_hint(store, &mut found);
    }
    // A file with a valid hint was sealed and durable: it need not be read to know its end.
    if found.last_sequence.is_none() {
        walk(&mut found)?;
    }
    Ok(Some(found))
}

/// A valid hint was written when the file was below the watermark: its length is durable.
fn trust_hint(store: &Found, found: &mut LogFile) {
    let Some(bytes) = read_hint(store, found.file.id) else { return };
    let Some(len) = crate::log::hint::data_len_of(&bytes) else { return };
    if len > found.file.written() {
        return;
    }
    if let Ok(hint) = HintReader::open(&bytes, store.store_id(), found.file.id, len) {
        let durable = LogPosition { file: found.file.id, offset: len };
        found.watermark = found.watermark.max(Some(durable));
        found.whole = len;
        found.last_sequence = Some(hint.facts().max_sequence);
    }
}

/// The bytes of a hint file.
pub(super) enum HintBytes {
    /// Nothing is copied, and no large buffer is left behind in the allocator.
    Mapped(Mapping),
    Read(Vec<u8>),
}

impl std::ops::Deref for HintBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            HintBytes::Mapped(mapping) => mapping.slice(0, mapping.len()).unwrap_or_default(),
            HintBytes::Read(bytes) => bytes,
        }
    }
}

/// The bytes of a hint file, if it can be read.
pub(super) fn read_hint(store: &Found, id: FileId) -> Option<HintBytes> {
    let path = store.path(&file_names::hint(id));
    let file = store.options.disk.open(&path, OpenMode::Read).ok()?;
    let len = file.len().ok()?;
    if store.options.read_mode == ReadMode::Map
        && let Ok(mapping) = file.map(len)
    {
        mapping.read_ahead(0, mapping.len());
        return Some(HintBytes::Mapped(mapping));
    }
    let mut bytes = vec![0; usize::try_from(len).ok()?];
    file.read_exact_at(&mut bytes, 0).ok()?;
    Some(HintBytes::Read(bytes))
}

/// Walks the frames, and past damage for the watermarks behind it.
fn walk(found: &mut LogFile) -> Result<()> {
    let file = Arc::clone(&found.file);
    let mut walk = FrameWalk::new(&file, file.written());
    let mut expected = found.header.map(|h| h.first_sequence);
    let mut in_order = found.header.is_some();
    loop {
        let skip = match walk.step()? {
            Step::Frame(at, frame) => {
                if in_order && expected == Some(frame.first) {
                    found.whole = at + frame.len as u64;
                    found.last_sequence = Some(frame.last());
                    expected = Some(Sequence(frame.last().0.saturating_add(1)));
                } else if in_order {
                    in_order = false;
                    found.damage =
                        Some(format!("a frame of sequence {} is out of place", frame.first));
                }
                if let Some(distance) = frame.watermark_distance
                    && let Some(offset) = at.checked_sub(u64::from(distance))
                {
                    let position = LogPosition { file: file.id, offset };
                    found.watermark = found.watermark.max(Some(position));
                }
                found.has_more |= !in_order;
                false
            }
            Step::End(at) => {
                in_order = false;
                found.has_more |= at < file.written() && !rest_is_zero(&file, at)?;
                true
            }
            Step::Damaged(_, e) => {
                if e.is_unknown() {
                    let what = format!("{e}: it was written by a newer version");
                    return Err(newer(&file, what));
                }
                if in_order && found.damage.is_none() {
                    found.damage = Some(e.to_string());
                }
                in_order = false;
                found.has_more = true;
                true
            }
        };
        if skip && !walk.skip_to_next()? {
            return Ok(());
        }
    }
}

fn newer(file: &DataFile, found: String) -> Error {
    let supported = crate::log::preamble::FORMAT_VERSION.to_string();
    Error::NewerFormat { path: file.path.clone(), found, supported }
}

fn rest_is_zero(file: &DataFile, from: u64) -> Result<bool> {
    let left = usize::try_from(file.written() - from).unwrap_or(usize::MAX);
    file.with_bytes(from, left, |bytes| bytes.iter().all(|b| *b == 0))
}

/// The position below which everything was durable before the crash.
pub(super) fn durable_floor(manifest: &Manifest, log: &Log) -> Option<LogPosition> {
    let clean = manifest
        .clean_end
        .filter(|end| end.file >= manifest.log_floor)
        .map(|end| LogPosition { file: end.file, offset: end.length });
    log.files.iter().filter_map(|f| f.watermark).max().max(clean)
}

/// The log as far as it counts.
pub(super) struct LogExtent {
    /// Each with its exact length as written length.
    pub(super) files: Vec<Part>,
    pub(super) floor: Option<LogPosition>,
    pub(super) last_sequence: Sequence,
    pub(super) dropped_bytes: u64,
    pub(super) cut_at: Option<(PathBuf, u64)>,
}

impl LogExtent {
    /// The log ends where the store was closed: nothing was begun behind it.
    pub(super) fn is_clean(&self, clean_end: Option<LogEnd>) -> bool {
        let last = self.files.last().map(|part| part.file.id);
        clean_end.is_some_and(|end| last.is_none_or(|last| last <= end.file))
    }
}

/// A log file and what of it counts.
pub(super) struct Part {
    pub(super) file: Arc<DataFile>,
    pub(super) len: u64,
    /// The last sequence below `len`.
    pub(super) last_sequence: Sequence,
}

/// Follows the log from file to file up to its end; refuses damage below the floor (R2).
///
/// Files are joined by what their headers say of their predecessors, never by their numbers: a
/// file that was begun and given up, and one whose name came back after a crash, are in between.
pub(super) fn find_end(store: &Found, log: &Log, floor: Option<LogPosition>) -> Result<LogExtent> {
    let clean = store.manifest.clean_end;
    let start = clean.map_or(Sequence::ZERO, |end| end.last_sequence);
    let mut extent = LogExtent {
        files: Vec::new(),
        floor,
        last_sequence: start.max(store.manifest.last_sequence_known()),
        dropped_bytes: 0,
        cut_at: None,
    };
    let mut cut: Option<(LogPosition, String)> = None;
    let mut next = log.following(|before| before.is_none_or(|p| is_settled(store, p.file)));
    while let (Some(found), None) = (next, &cut) {
        let id = found.file.id;
        next = log.following(|before| before.is_some_and(|p| p.file == id));
        let recorded = next.and_then(|f| f.header?.predecessor);
        let wanted = recorded.or(clean.filter(|end| end.file == id)).map(|end| end.length);
        let len = wanted.map_or(found.whole, |w| w.min(found.whole));
        if wanted.map_or(found.has_more, |w| found.whole < w) {
            let what = found.damage.clone().unwrap_or_else(|| "the log ends too early".to_owned());
            cut = Some((LogPosition { file: id, offset: len }, what));
            extent.dropped_bytes += dropped(found, len);
        }
        let last_sequence = last_in(found, len)?;
        extent.last_sequence = extent.last_sequence.max(last_sequence);
        extent.files.push(Part { file: Arc::clone(&found.file), len, last_sequence });
    }
    drop_unreached(log, &mut extent, &mut cut);
    check_floor(store, &extent, cut.as_ref())?;
    extent.cut_at = cut.map(|(at, _)| (store.path(&file_names::data(at.file)), at.offset));
    Ok(extent)
}

/// Whether the log may start behind this file: it is not part of it any more.
fn is_settled(store: &Found, id: FileId) -> bool {
    id < store.manifest.log_floor || store.manifest.files.iter().any(|f| f.id == id)
}

impl Log {
    /// The file whose header names such a predecessor. Of several, the newest: the others were
    /// begun and given up before anything was appended. Numbers only grow along the log.
    fn following(&self, is_wanted: impl Fn(Option<LogEnd>) -> bool) -> Option<&LogFile> {
        let grows = |f: &LogFile, p: Option<LogEnd>| p.is_none_or(|p| p.file < f.file.id);
        let follows = |f: &&LogFile| {
            f.header.is_some_and(|h| is_wanted(h.predecessor) && grows(f, h.predecessor))
        };
        self.files.iter().rev().find(follows)
    }
}

/// Counts what lies behind the log's end, and takes it for cut where something is missing before.
fn drop_unreached(log: &Log, extent: &mut LogExtent, cut: &mut Option<(LogPosition, String)>) {
    let end = extent.files.last().map(|p| LogPosition { file: p.file.id, offset: p.len });
    for found in log.files.iter().filter(|f| end.is_none_or(|end| f.file.id > end.file)) {
        let id = found.file.id;
        let bytes = dropped(found, FILE_HEADER_LEN as u64);
        extent.dropped_bytes += bytes;
        if cut.is_some() {
            continue;
        }
        if let Some(damage) = found.damage.clone().filter(|_| found.header.is_none() && bytes > 0) {
            *cut = Some((LogPosition { file: id, offset: 0 }, damage));
        } else if found.header.is_some() {
            let what = format!("the log does not lead from here to {}", file_names::data(id));
            *cut = Some((end.unwrap_or(LogPosition { file: id, offset: 0 }), what));
        }
    }
}

/// The last sequence in the part of a file that counts.
fn last_in(found: &LogFile, len: u64) -> Result<Sequence> {
    if len == found.whole || found.last_sequence.is_none() {
        return Ok(found.last_sequence.unwrap_or_default());
    }
    let mut walk = FrameWalk::new(&found.file, len);
    let mut last = Sequence::ZERO;
    while let Step::Frame(_, frame) = walk.step()? {
        last = frame.last();
    }
    Ok(last)
}

fn dropped(found: &LogFile, from: u64) -> u64 {
    if found.has_more || found.whole > from { found.file.written().saturating_sub(from) } else { 0 }
}

fn check_floor(
    store: &Found,
    extent: &LogExtent,
    cut: Option<&(LogPosition, String)>,
) -> Result<()> {
    let Some(floor) = extent.floor else { return Ok(()) };
    let path = |file| store.path(&file_names::data(file));
    if let Some((at, what)) = cut
        && *at < floor
    {
        return Err(corrupt(&path(at.file), at.offset, what));
    }
    if floor.file < store.manifest.log_floor {
        return Ok(());
    }
    // The files up to the floor must be there, and as long as it says.
    match extent.files.iter().find(|part| part.file.id == floor.file) {
        Some(part) if part.len >= floor.offset => Ok(()),
        Some(part) => {
            Err(corrupt(&path(floor.file), part.len, "the log ends below its durable watermark"))
        }
        None => Err(corrupt(&path(floor.file), 0, "the log file is missing")),
    }
}

/// Opens a data file and reads its header; its written length is the file's, or the one given.
fn open_file(
    store: &Found,
    id: FileId,
    role: Role,
    len: Option<u64>,
) -> Result<(Arc<DataFile>, Result<DecodedHeader, crate::log::FormatError>)> {
    let name = file_names::data(id);
    let path = store.path(&name);
    let handle = store.options.disk.open(&path, OpenMode::Read).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => corrupt(&path, 0, "the file is missing"),
        _ => store.io("open", &name, e),
    })?;
    let found = handle.len().map_err(|e| store.io("measure", &name, e))?;
    if let Some(len) = len
        && found < len
    {
        return Err(corrupt(&path, found, format!("the file ends before byte {len}")));
    }
    let written = len.unwrap_or(found);
    let map_bytes = if store.options.read_mode == ReadMode::Map { written } else { 0 };
    let key = FileKey::new(store.store_id(), id);
    let file = DataFile::new(FileParts { id, role, key, path, handle, map_bytes, written })?;
    file.seal();
    let header_len = FILE_HEADER_LEN.min(usize::try_from(written).unwrap_or(usize::MAX));
    let header = file.with_bytes(0, header_len, |b| FileHeader::decode(b, store.store_id(), id))?;
    Ok((Arc::new(file), header))
}

/// A log file of which `len` bytes count so far, and that another process may make longer.
pub(super) fn open_growing(store: &Found, id: FileId, len: u64) -> Result<Arc<DataFile>> {
    let (file, _) = open_file(store, id, Role::Log, None)?;
    let handle = Arc::clone(file.handle());
    let map_bytes = if store.options.read_mode == ReadMode::Map { file.written() } else { 0 };
    let DataFile { id, role, key, ref path, .. } = *file;
    let path = path.clone();
    let written = len;
    DataFile::new(FileParts { id, role, key, path, handle, map_bytes, written }).map(Arc::new)
}

/// Opens the files the manifest lists, each up to the length that counts.
pub(super) fn open_listed(store: &Found) -> Result<Vec<Arc<DataFile>>> {
    let mut files = Vec::with_capacity(store.manifest.files.len());
    for listed in &store.manifest.files {
        let (file, header) = open_file(store, listed.id, listed.role, Some(listed.length))?;
        match header {
            Ok(DecodedHeader::Written(header)) if header.role == listed.role => {}
            Ok(_) => return Err(corrupt(&file.path, 0, "the header is not the one listed")),
            Err(e) => return Err(format_error(&file.path, &e)),
        }
        file.note_sequence(listed.max_sequence);
        files.push(file);
    }
    Ok(files)
}

/// The log files of a store that was closed, each up to the length that counts.
pub(super) fn exact(store: &Found, extent: &LogExtent) -> Result<Vec<Arc<DataFile>>> {
    extent.files.iter().map(|p| reopen(store, p.file.id, Role::Log, p.len)).collect()
}

/// The same file, counted only up to this length.
pub(super) fn reopen(store: &Found, id: FileId, role: Role, len: u64) -> Result<Arc<DataFile>> {
    open_file(store, id, role, Some(len)).map(|(file, _)| file)
}
