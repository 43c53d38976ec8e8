//! Opening without a lock and without writing, beside whoever writes.
//!
//! What is served ends at the durable floor. Files may come, grow and vanish meanwhile: what looks
//! damaged or missing is looked at again, and believed only when it stays so.
//!
//! # Invariants
//!
//! O1. Nothing is written, created, renamed or removed, and no lock is taken.
//! O2. Log files are read from the last to the first, so that what one says of its predecessors
//!     was true before they were read.
//! O3. Nothing is passed by of a keyspace that was registered after the manifest was read.

use super::{
    Directory, Found, load, read_manifest,
    scan::{self, LogExtent, Part},
};
use crate::{
    clock::ClampedClock,
    engine::{Access, BlobTable, Engine, KeyspaceCore, LogEndState, Recovered, Tasks},
    error::{Error, Result},
    ids::{KeyspaceId, Sequence},
    log::{DataFile, FILE_HEADER_LEN, Files, LogPosition, Manifest, Role},
    options::Options,
    stats::Recovery,
};
use std::{
    collections::HashMap,
    io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// Everything that is served, as loaded.
pub(crate) struct Content {
    pub(crate) manifest: Manifest,
    pub(crate) live: Vec<Arc<DataFile>>,
    pub(crate) keyspaces: HashMap<String, Arc<KeyspaceCore>>,
    pub(crate) blobs: BlobTable,
    /// The log is served up to here.
    pub(crate) position: Option<LogPosition>,
    pub(crate) last_sequence: Sequence,
    highest_clock_ms: u64,
    recovery: Recovery,
}

/// Opens the store in `dir` for reading.
pub(crate) fn open_read_only(
    dir: &Path,
    options: Options,
    tasks: Tasks,
) -> Result<(Engine, Recovery)> {
    let started = Instant::now();
    options.check()?;
    let content = patiently(|| read_content(dir, &options))?;
    let (engine, mut recovery) = content.into_engine(dir, options, tasks);
    recovery.took = started.elapsed();
    crate::trace::opened(dir, &recovery);
    Ok((engine, recovery))
}

/// The same error as often as this in a row is believed: a writer that was interrupted between two
/// steps is back by then, on a busy machine too.
const SAME_ERROR_TIMES: usize = 25;
/// Between two looks at files that are being changed.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
const LOOKS_MAX: usize = 200;

/// Tries again for as long as what is wrong changes: a writer is at work.
pub(crate) fn patiently<T>(mut f: impl FnMut() -> Result<T>) -> Result<T> {
    let (mut last, mut times) = (String::new(), 0);
    for _ in 0..LOOKS_MAX {
        let error = match f() {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let may_pass = match &error {
            Error::Corrupt { .. } | Error::NotAStore { .. } => true,
            Error::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
            _ => false,
        };
        let text = error.to_string();
        times = if text == last { times + 1 } else { 1 };
        if !may_pass || times >= SAME_ERROR_TIMES {
            return Err(error);
        }
        last = text;
        std::thread::park_timeout(LOOK_AGAIN);
    }
    f()
}

/// One look at the store in `dir`.
pub(crate) fn read_content(dir: &Path, options: &Options) -> Result<Content> {
    let directory = Directory::read(dir, options)?;
    let Some(number) = directory.newest_manifest() else {
        directory.check_kind()?;
        let what = "it is empty, and a read-only open creates nothing".to_owned();
        return Err(Error::NotAStore { path: dir.to_path_buf(), what });
    };
    let manifest = read_manifest(dir, options, number)?;
    let store = Found { dir: dir.to_path_buf(), options: options.clone(), manifest };
    let log = scan::scan(&store, &directory)?;
    let floor = scan::durable_floor(&store.manifest, &log);
    let end = scan::find_end(&store, &log, floor)?;
    let mut live = scan::open_listed(&store)?;
    let is_clean = end.is_clean(store.manifest.clean_end);
    for part in &end.files {
        let len = if is_clean { part.len } else { durable_len(part, &end) };
        if len >= FILE_HEADER_LEN as u64 {
            live.push(scan::open_growing(&store, part.file.id, len)?);
        }
    }
    let clean = store.manifest.clean_end;
    let clean = clean.map(|end| LogPosition { file: end.file, offset: end.length });
    load_content(store, live, clean.max(floor), load::Damaged::IsAnError)
}

/// A read-only engine over all that can be read of what was found.
pub(crate) fn open_damaged(found: super::Survey) -> Result<(Engine, Recovery)> {
    let super::Survey { store, parts, .. } = found;
    let mut live = Vec::with_capacity(parts.len());
    for part in parts {
        let file = part.file.unmapped(part.len.min(part.file.written()))?;
        live.push(Arc::new(file));
    }
    let (dir, options) = (store.dir.clone(), store.options.clone());
    let content = load_content(store, live, None, load::Damaged::IsLeftOut)?;
    let (senders, _) = crate::engine::tasks();
    Ok(content.into_engine(&dir, options, senders))
}

/// Loads what was found into empty indexes.
pub(super) fn load_content(
    store: Found,
    live: Vec<Arc<DataFile>>,
    position: Option<LogPosition>,
    damaged: load::Damaged,
) -> Result<Content> {
    let keyspaces = load::keyspaces(&store.manifest);
    let blobs = BlobTable::default();
    let loaded = load::load(&store, &live, &keyspaces, &blobs, damaged)?;
    if damaged == load::Damaged::IsAnError {
        store.manifest.check_known(loaded.newest_unknown, &store.dir)?;
    }
    // Whose they are is not this process's to unlink.
    blobs.keep_above(Sequence(u64::MAX));
    let recovery = Recovery {
        keys: loaded.keys,
        files_from_hints: loaded.files_from_hints,
        files_scanned: live.len() as u64 - loaded.files_from_hints,
        ..Recovery::default()
    };
    Ok(Content {
        last_sequence: store.manifest.last_sequence_known().max(loaded.last_sequence),
        highest_clock_ms: store.manifest.highest_clock_ms.max(loaded.highest_clock_ms),
        manifest: store.manifest,
        live,
        keyspaces,
        blobs,
        position,
        recovery,
    })
}

impl Content {
    /// An engine that serves this and writes nothing.
    pub(super) fn into_engine(
        self,
        dir: &Path,
        options: Options,
        tasks: Tasks,
    ) -> (Engine, Recovery) {
        let files = Files::default();
        files.change(&self.live, &[]);
        let recovered = Recovered {
            dir: dir.to_path_buf(),
            clock: ClampedClock::new(Arc::clone(&options.clock), self.highest_clock_ms),
            options,
            access: Access::ReadOnly,
            lock: None,
            files,
            blobs: self.blobs,
            keyspaces: self.keyspaces,
            end: LogEndState {
                last_file: self.position.map(|p| (p.file, p.offset)),
                last_sequence: self.last_sequence,
            },
            next_file: self.manifest.next_file,
            manifest: self.manifest,
        };
        (Engine::new(recovered, tasks), self.recovery)
    }
}

impl Manifest {
    /// Refuses a record of a keyspace that this manifest cannot know of: it was registered since,
    /// which another look shows, or the record is damaged.
    pub(crate) fn check_known(&self, id: KeyspaceId, dir: &Path) -> Result<()> {
        if id.0 < self.next_keyspace.max(1) {
            return Ok(());
        }
        let path = dir.join(crate::log::file_names::manifest(self.number));
        let what = format!("there is a record of keyspace {}, which it does not know", id.0);
        Err(crate::log::corrupt(&path, 0, what))
    }
}

/// How much of a log file is below the floor.
fn durable_len(part: &Part, extent: &LogExtent) -> u64 {
    match extent.floor {
        Some(floor) if part.file.id < floor.file => part.len,
        Some(floor) if part.file.id == floor.file => floor.offset.min(part.len),
        _ => 0,
    }
}

/// A log file that has come to count, its header checked by whoever followed the log to it.
pub(crate) fn open_log_file(
    dir: &Path,
    options: &Options,
    manifest: &Manifest,
    id: crate::ids::FileId,
) -> Result<Arc<DataFile>> {
    let store =
        Found { dir: dir.to_path_buf(), options: options.clone(), manifest: manifest.clone() };
    let file = scan::open_growing(&store, id, FILE_HEADER_LEN as u64)?;
    debug_assert_eq!(file.role, Role::Log);
    Ok(file)
}
