//! Opening a store: which files count, where the log ends, what the keydir holds.
//!
//! Decides everything before it changes anything: a store that cannot be opened is left as it was.
//!
//! # Invariants
//!
//! R1. Which files are live is read from the manifest and the headers, never guessed from names.
//! R2. Damage below the durable floor refuses to open; at or above it, the log is cut there and
//!     everything behind is dropped, and reported.
//! R3. What lies above the floor is copied into new synced files before it is served.
//! R4. Every step can be interrupted and repeated with the same result: nothing is removed before
//!     the manifest that does without it is durable.
//! R5. Log files are joined by the predecessors their headers name; what is not reached from the
//!     front is not part of the log.

use crate::{
    clock::ClampedClock,
    disk::{DiskLock, FileKind},
    engine::{Access, BlobTable, Engine, LogEndState, Recovered, Tasks, retained_above},
    error::{Error, Result},
    ids::{FileId, Sequence},
    log::{
        DataFile, Files, Manifest, StoreId, corrupt,
        file_names::{self, Name},
    },
    options::Options,
    stats::Recovery,
};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

mod copy;
mod fill;
mod load;
mod read_only;
mod scan;
mod survey;

pub(crate) use load::{for_each_entry, hint_of};
pub(crate) use read_only::{open_damaged, open_log_file, open_read_only, patiently, read_content};
pub(crate) use survey::{FoundFile, Survey, survey};

/// The store's directory as it was found: names that parse, everything else left alone.
struct Directory {
    path: PathBuf,
    names: Vec<Name>,
    /// There is something that is not ours.
    foreign: Option<String>,
}

/// Names that a fresh directory may hold without being somebody else's.
const HARMLESS: [&str; 1] = ["lost+found"];

/// Opens or creates the store in `dir`.
pub(crate) fn open(dir: &Path, options: Options, tasks: Tasks) -> Result<(Engine, Recovery)> {
    let started = Instant::now();
    options.check()?;
    create_directory(dir, &options)?;
    // Looked at before anything is written into it, so a foreign directory stays as it is.
    Directory::read(dir, &options)?.check_kind()?;
    let lock = lock(dir, &options)?;
    let directory = Directory::read(dir, &options)?;
    let manifest = match directory.newest_manifest() {
        Some(number) => read_manifest(dir, &options, number)?,
        None => create(dir, &options)?,
    };
    let store = Found { dir: dir.to_path_buf(), options, manifest };
    let (engine, mut recovery) = store.recover(&directory, lock, tasks)?;
    recovery.took = started.elapsed();
    crate::trace::opened(dir, &recovery);
    Ok((engine, recovery))
}

/// A store whose manifest has been read.
pub(crate) struct Found {
    dir: PathBuf,
    options: Options,
    manifest: Manifest,
}

impl Found {
    fn recover(
        mut self,
        directory: &Directory,
        lock: Box<dyn DiskLock>,
        tasks: Tasks,
    ) -> Result<(Engine, Recovery)> {
        let mut recovery = Recovery::default();
        let mut next_file = self.next_file(directory)?;
        let log = scan::scan(&self, directory)?;
        let floor = scan::durable_floor(&self.manifest, &log);
        let end = scan::find_end(&self, &log, floor)?;
        recovery.dropped_bytes = end.dropped_bytes;
        recovery.cut_at.clone_from(&end.cut_at);
        let listed = scan::open_listed(&self)?;
        let mut live = listed;
        self.remove_reserve(directory);
        if end.is_clean(self.manifest.clean_end) {
            live.extend(scan::exact(&self, &end)?);
            self.confirm_manifest(directory)?;
        } else if !log.files.is_empty() {
            live.extend(copy::settle(&mut self, &end, &mut next_file, &mut recovery)?);
        } else {
            self.confirm_manifest(directory)?;
        }
        let keyspaces = load::keyspaces(&self.manifest);
        let blobs = BlobTable::default();
        let loaded = load::load(&self, &live, &keyspaces, &blobs, load::Damaged::IsAnError)?;
        recovery.keys = loaded.keys;
        recovery.files_from_hints = loaded.files_from_hints;
        recovery.files_scanned = live.len() as u64 - loaded.files_from_hints;
        self.check_blobs(directory, &blobs)?;
        let (floor, budget) = (self.manifest.feed_floor, self.options.feed_retention_bytes);
        blobs.keep_above(retained_above(live.iter(), &blobs, floor, budget));
        self.remove_leftovers(directory, &live, &blobs);
        let clean_end = self.manifest.clean_end;
        let last_sequence = end.last_sequence.max(loaded.last_sequence);
        let clock = ClampedClock::new(
            Arc::clone(&self.options.clock),
            self.manifest.highest_clock_ms.max(loaded.highest_clock_ms),
        );
        let files = Files::default();
        files.change(&live, &[]);
        let recovered = Recovered {
            dir: self.dir,
            options: self.options,
            clock,
            lock: Some(lock),
            access: Access::ReadWrite,
            files,
            blobs,
            keyspaces,
            end: LogEndState { last_file: clean_end.map(|e| (e.file, e.length)), last_sequence },
            next_file,
            manifest: self.manifest,
        };
        Ok((Engine::new(recovered, tasks), recovery))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn io(&self, action: &'static str, name: &str, source: io::Error) -> Error {
        Error::Io { action, path: self.path(name), source }
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) fn manifest_mut(&mut self) -> &mut Manifest {
        &mut self.manifest
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(crate) fn store_id(&self) -> &StoreId {
        &self.manifest.store_id
    }

    /// Above every number that any file, listed, left over or temporary, ever had.
    fn next_file(&self, directory: &Directory) -> Result<FileId> {
        let used = directory.names.iter().filter_map(|name| name.file_id()).max();
        match used.map(|id| id.0.checked_add(1)) {
            None => Ok(self.manifest.next_file),
            Some(None) => Err(Error::Exhausted { what: "file numbers" }),
            Some(Some(next)) => Ok(self.manifest.next_file.max(FileId(next))),
        }
    }

    /// Writes the manifest again if it may not be durable: the process before this one may have
    /// ended, or been told of a failure, while it replaced the one that is still there.
    fn confirm_manifest(&mut self, directory: &Directory) -> Result<()> {
        let current = self.manifest.number;
        let is_older = |n: &Name| matches!(n, Name::Manifest(number) if *number < current);
        if !directory.names.iter().any(is_older) {
            return Ok(());
        }
        self.manifest.number += 1;
        crate::engine::write_manifest(&*self.options.disk, &self.dir, &self.manifest)
            .map_err(crate::engine::PublishError::into_error)
    }

    fn check_blobs(&self, directory: &Directory, blobs: &BlobTable) -> Result<()> {
        for id in blobs.live_ids() {
            if !directory.names.contains(&Name::Blob(id)) {
                let name = file_names::blob(id);
                return Err(corrupt(&self.path(&name), 0, "a value refers to it, it is missing"));
            }
        }
        Ok(())
    }

    /// Gives up the space that the process before kept for a full disk: this may be one.
    fn remove_reserve(&self, directory: &Directory) {
        for name in directory.names.iter().filter(|n| matches!(n, Name::ReserveTmp(_))) {
            let _ = self.options.disk.unlink(&self.path(&name.to_string()));
        }
    }

    /// Removes what no manifest and no record refers to. Errors only leave clutter behind.
    fn remove_leftovers(&self, directory: &Directory, live: &[Arc<DataFile>], blobs: &BlobTable) {
        let is_live = |id: FileId| live.iter().any(|f| f.id == id);
        for name in &directory.names {
            let gone = match *name {
                Name::Lock => false,
                Name::Manifest(number) => number < self.manifest.number,
                Name::Data(id) | Name::Hint(id) => !is_live(id),
                Name::Blob(id) => !blobs.holds(id),
                temporary => temporary.is_temporary(),
            };
            if gone {
                let _ = self.options.disk.unlink(&self.path(&name.to_string()));
            }
        }
    }
}

/// What a directory holds: names that are a store's, and one that is not.
pub(crate) struct Names {
    pub(crate) names: Vec<Name>,
    pub(crate) foreign: Option<String>,
}

/// Looks at a directory that may hold something else.
pub(crate) fn names_and_others(dir: &Path, options: &Options) -> Result<Names> {
    let Directory { names, foreign, .. } = Directory::read(dir, options)?;
    Ok(Names { names, foreign })
}

/// The names in a store's directory that are the store's, sorted.
pub(crate) fn names(dir: &Path, options: &Options) -> Result<Vec<Name>> {
    Directory::read(dir, options).map(|directory| directory.names)
}

impl Directory {
    fn read(path: &Path, options: &Options) -> Result<Directory> {
        let entries = options.disk.list(path).map_err(|source| Error::Io {
            action: "list",
            path: path.to_path_buf(),
            source,
        })?;
        let mut directory =
            Directory { path: path.to_path_buf(), names: Vec::new(), foreign: None };
        for entry in entries {
            match file_names::parse(&entry.name) {
                Some(name) if entry.kind == FileKind::File => directory.names.push(name),
                Some(name) => {
                    return Err(Error::NotAStore {
                        path: path.join(name.to_string()),
                        what: format!("it is {}, where a file of the store is due", entry.kind),
                    });
                }
                None => {
                    let name = entry.name.to_string_lossy();
                    if !name.starts_with('.') && !HARMLESS.contains(&name.as_ref()) {
                        directory.foreign = Some(name.into_owned());
                    }
                }
            }
        }
        directory.names.sort_by_cached_key(|name| name.rank());
        Ok(directory)
    }

    fn newest_manifest(&self) -> Option<u64> {
        let numbers = self.names.iter().filter_map(|name| match name {
            Name::Manifest(number) => Some(*number),
            _ => None,
        });
        numbers.max()
    }

    /// A store, or a place where one may be created.
    fn check_kind(&self) -> Result<()> {
        if self.newest_manifest().is_some() {
            return Ok(());
        }
        let data = self.names.iter().find(|n| matches!(n, Name::Data(_) | Name::Blob(_)));
        let what = match (data, &self.foreign) {
            (Some(name), _) => format!("it holds {name} but no manifest"),
            (None, Some(name)) => {
                format!(
                    "it holds other files ({name}), and stores are created in empty directories"
                )
            }
            (None, None) => return Ok(()),
        };
        Err(Error::NotAStore { path: self.path.clone(), what })
    }
}

fn create_directory(dir: &Path, options: &Options) -> Result<()> {
    let io = |action, source| Error::Io { action, path: dir.to_path_buf(), source };
    match options.disk.metadata(dir) {
        Ok(found) if matches!(found.kind, FileKind::Directory | FileKind::Symlink) => Ok(()),
        Ok(found) => Err(Error::NotAStore {
            path: dir.to_path_buf(),
            what: format!("it is {}, not a directory", found.kind),
        }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            options.disk.create_dir(dir).map_err(|e| io("create the directory", e))
        }
        Err(e) => Err(io("look at", e)),
    }
}

/// Makes the name of a new store's directory durable, whoever created it: an earlier attempt may
/// have ended before it came to this. A parent that may not be read belongs to somebody who gave
/// us this directory, and is theirs to sync.
pub(crate) fn sync_parent(dir: &Path, options: &Options) -> Result<()> {
    let parent = match dir.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Ok(()),
    };
    match options.disk.sync_dir(parent) {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        synced => synced.map_err(|source| Error::Io {
            action: "sync the parent of",
            path: dir.to_path_buf(),
            source,
        }),
    }
}

/// How often a locked store is tried again while waiting for it.
const LOCK_RETRY: Duration = Duration::from_millis(10);

pub(crate) fn lock(dir: &Path, options: &Options) -> Result<Box<dyn DiskLock>> {
    let path = dir.join(file_names::lock());
    let started = Instant::now();
    loop {
        match options.disk.lock(&path) {
            Ok(lock) => return Ok(lock),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                let waited = started.elapsed();
                if waited >= options.lock_timeout {
                    return Err(Error::Locked { path, waited });
                }
                std::thread::park_timeout(LOCK_RETRY);
            }
            Err(source) => return Err(Error::Io { action: "lock", path, source }),
        }
    }
}

pub(crate) fn read_manifest(dir: &Path, options: &Options, number: u64) -> Result<Manifest> {
    read_manifest_at(&dir.join(file_names::manifest(number)), options, number)
}

/// The same under another name.
pub(crate) fn read_manifest_at(path: &Path, options: &Options, number: u64) -> Result<Manifest> {
    let io = |action, source| Error::Io { action, path: path.to_path_buf(), source };
    let open = options.disk.open(path, crate::disk::OpenMode::Read);
    let file = open.map_err(|e| io("open", e))?;
    let len = file.len().map_err(|e| io("measure", e))?;
    let len = usize::try_from(len)
        .ok()
        .filter(|len| *len <= MANIFEST_BYTES_MAX)
        .ok_or_else(|| corrupt(path, len, "the manifest is impossibly long"))?;
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, 0).map_err(|e| io("read", e))?;
    let manifest = Manifest::decode(&bytes).map_err(|e| format_error(path, &e))?;
    if manifest.number != number {
        let what = format!("it says to be manifest {}", manifest.number);
        return Err(corrupt(path, 0, what));
    }
    Ok(manifest)
}

/// More than a million keyspaces; a length beyond is damage.
const MANIFEST_BYTES_MAX: usize = 256 << 20;

/// The error for bytes that are not the header, hint or manifest they should be.
pub(crate) fn format_error(path: &Path, e: &crate::log::FormatError) -> Error {
    if e.is_newer() {
        return Error::NewerFormat {
            path: path.to_path_buf(),
            found: e.to_string(),
            supported: crate::log::preamble::FORMAT_VERSION.to_string(),
        };
    }
    corrupt(path, 0, e)
}

/// A new, empty store: its first manifest.
fn create(dir: &Path, options: &Options) -> Result<Manifest> {
    sync_parent(dir, options)?;
    let random = |bytes: &mut [u8]| {
        getrandom::fill(bytes).map_err(|e| Error::Io {
            action: "draw an identity for",
            path: dir.to_path_buf(),
            source: io::Error::other(e),
        })
    };
    let (mut store_id, mut hash_seed) = ([0; 16], [0; 16]);
    random(&mut store_id)?;
    random(&mut hash_seed)?;
    let manifest = new_manifest(StoreId(store_id), hash_seed);
    crate::engine::write_manifest(&*options.disk, dir, &manifest)
        .map_err(crate::engine::PublishError::into_error)?;
    Ok(manifest)
}

/// The first manifest of a store: no files, no keyspaces.
fn new_manifest(store_id: StoreId, hash_seed: [u8; 16]) -> Manifest {
    Manifest {
        number: 1,
        store_id,
        hash_seed,
        generations: Vec::new(),
        log_floor: FileId(1),
        feed_floor: Sequence::ZERO,
        next_file: FileId(1),
        next_keyspace: 1,
        files: Vec::new(),
        keyspaces: Vec::new(),
        clean_end: None,
        highest_clock_ms: 0,
        read_only_features: 0,
    }
}
