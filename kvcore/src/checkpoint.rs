//! Copies of an open store that cost next to nothing: hard links of files that never change.
//!
//! Knows which files make up a state of the store. Does not know what is in them.
//!
//! # Invariants
//!
//! H1. The active file is sealed first, so a linked file never changes afterwards; what lies
//!     behind the lengths that the checkpoint's manifest lists does not count.
//! H2. The manifest comes last: before it is durable the directory is what it was, or no store.
//! H3. Files that a checkpoint no longer needs go only when its new manifest is durable.
//! H4. The merge lock and a view are held throughout, so nothing that is listed is unlinked before
//!     it is linked.
//! H5. A directory is only changed if it is empty, or a checkpoint of this store that nobody has
//!     written to since, or what one that came to no end has left (`checkpoint/unfinished.rs U2`).

use crate::{
    disk::{Disk, DiskLock, FileKind, OpenMode},
    engine::{Engine, Hinted, PublishError, write_manifest},
    error::{Error, Result},
    ids::{FileId, Sequence},
    log::{LogEnd, Manifest, file_names::Name},
    merge::listed,
    recovery,
    store::Store,
    view::View,
};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

mod unfinished;

/// How files come into a checkpoint.
///
/// ```
/// use kvcore::CheckpointFiles;
/// assert_eq!(CheckpointFiles::default(), CheckpointFiles::Link);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckpointFiles {
    /// By hard links where the file system can, and copied where it cannot.
    #[default]
    Link,
    /// Always copied: the checkpoint shares no sector with the store.
    Copy,
}

/// What a checkpoint holds, and what it took.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let dir = tempfile::tempdir().expect("a temporary directory");
/// # let store = kvcore::Store::open(dir.path().join("data"))?;
/// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
/// users.put("ada", &36)?;
/// let backup = dir.path().join("backup");
/// let first = store.checkpoint(&backup)?;
/// users.put("bob", &41)?;
/// let second = store.checkpoint(&backup)?; // brings only what is new
/// assert!(second.files_kept > 0 && second.sequence > first.sequence);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checkpointed {
    /// The state: everything up to this commit, and nothing behind it.
    pub sequence: Sequence,
    /// Files that were linked.
    pub files_linked: u64,
    /// Files that were copied.
    pub files_copied: u64,
    /// Files that were there already, from an earlier checkpoint.
    pub files_kept: u64,
    /// Files of an earlier checkpoint that were removed.
    pub files_removed: u64,
    /// Bytes of all files of the checkpoint that count.
    pub bytes: u64,
    /// Of those, bytes that were copied.
    pub bytes_copied: u64,
}

impl Store {
    /// Makes `dir` a store that holds everything committed so far: a backup that shares its files
    /// with this one, by hard links.
    ///
    /// Readers and writers go on meanwhile, merge waits. Takes time in proportion to the number
    /// of files, plus one sync; where the file system cannot link (another one, or one without
    /// links) files are copied. Into the directory of an earlier checkpoint of this store only
    /// what is new is brought, and what is no longer needed is removed afterwards.
    ///
    /// Restoring is opening the directory, or a copy of it; nothing that is done to one store
    /// changes the other. A checkpoint keeps the store's identity, and its sequences up to
    /// [`Checkpointed::sequence`]: files are bound to it by their checksums. Opening it for writing
    /// begins a lineage of its own, with a new generation at its first commit, and it can then no
    /// longer be brought up to date from the first store. Opening it read-only does neither.
    ///
    /// Hard links protect from everything but a medium that goes bad: for that, copy the
    /// directory elsewhere.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let (data, backup) = (dir.path().join("data"), dir.path().join("backup"));
    /// use kvcore::{Keyspace, Store};
    /// let store = Store::open(&data)?;
    /// let users: Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// store.checkpoint(&backup)?;
    /// users.put("ada", &37)?; // not in the checkpoint
    /// let restored = Store::open(&backup)?;
    /// let users: Keyspace<String, u64> = restored.keyspace("users")?;
    /// assert_eq!(users.get("ada")?, Some(36));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NotAStore`] if `dir` holds anything else than such a checkpoint, or than what one
    /// of this store has left that came to no end; [`Error::Locked`] if it is open; [`Error::Io`]
    /// if it cannot be written, for want of space or rights; [`Error::ReadOnly`],
    /// [`Error::Nested`], [`Error::Poisoned`], [`Error::Closed`]. What had been brought is removed,
    /// and an earlier checkpoint stays as it was.
    pub fn checkpoint(&self, dir: impl AsRef<Path>) -> Result<Checkpointed> {
        self.checkpoint_with(dir, CheckpointFiles::Link)
    }

    /// The same, by copying if asked for.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// use kvcore::{CheckpointFiles, Keyspace, Store};
    /// let store = Store::open(dir.path().join("data"))?;
    /// let users: Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// let made = store.checkpoint_with(dir.path().join("backup"), CheckpointFiles::Copy)?;
    /// assert_eq!(made.files_linked, 0); // shares nothing with the store
    /// assert_eq!(made.sequence, store.tip_sequence());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Store::checkpoint`].
    pub fn checkpoint_with(
        &self,
        dir: impl AsRef<Path>,
        files: CheckpointFiles,
    ) -> Result<Checkpointed> {
        let engine = self.engine();
        engine.check_open()?;
        engine.check_writable()?;
        engine.check_nested()?;
        let _no_merge = engine.merge.lock();
        let target = Target::prepare(engine, dir.as_ref(), files)?;
        // Hints are for the next open's sake only.
        let state = engine.freeze()?;
        let _ = engine.write_missing_hints(Hinted::All);
        target.bring(state)
    }
}

/// A state of the store: every file it is made of, sealed and durable.
struct Frozen {
    manifest: Manifest,
    sequence: Sequence,
    /// Each with the bytes of it that count.
    blobs: Vec<(FileId, u64)>,
    /// Keeps blobs that are superseded meanwhile.
    _view: View,
}

impl Engine {
    /// Seals the log, makes it durable and describes the state. The merge lock is held.
    fn freeze(&self) -> Result<Frozen> {
        let frozen = {
            let mut guard = self.write()?;
            guard.seal()?;
            let end = guard.end();
            let view = self.views.open(self.clock.now_ms());
            let mut manifest = self.manifest.lock().clone();
            manifest.files = self.files.load().iter().map(listed).collect();
            manifest.files.sort_by_cached_key(|f| u64::from(f.id.0));
            manifest.next_file = self.next_file();
            // Everything is listed with its length; the log goes on behind all of it.
            manifest.log_floor = manifest.next_file;
            manifest.highest_clock_ms = manifest.highest_clock_ms.max(self.clock.now_ms());
            let sequence = end.last_sequence;
            let last = |(file, length)| LogEnd { file, length, last_sequence: sequence };
            manifest.clean_end = end.last_file.map(last).or(manifest.clean_end);
            Frozen { manifest, sequence, blobs: self.blobs.live_files(), _view: view }
        };
        self.sync_all()?;
        // Durable from here.
        Ok(frozen)
    }
}

/// The directory of a checkpoint while it is made.
struct Target<'a> {
    engine: &'a Engine,
    disk: &'a dyn Disk,
    dir: PathBuf,
    files: CheckpointFiles,
    /// What it holds: names of ours.
    names: Vec<Name>,
    /// The checkpoint that is there.
    old: Option<Manifest>,
    /// What was brought, to be removed if it comes to nothing.
    brought: Vec<PathBuf>,
    /// What tells that it was brought, while there is no manifest.
    marker: Option<PathBuf>,
    done: Checkpointed,
    _lock: Box<dyn DiskLock>,
}

impl<'a> Target<'a> {
    fn prepare(engine: &'a Engine, dir: &Path, files: CheckpointFiles) -> Result<Target<'a>> {
        let disk = &*engine.disk;
        let io = |action| move |source| Error::Io { action, path: dir.to_path_buf(), source };
        let not_ours = |what: String| Error::NotAStore { path: dir.to_path_buf(), what };
        match disk.metadata(dir) {
            Ok(found) if found.kind == FileKind::Directory => {}
            Ok(found) => return Err(not_ours(format!("it is {}, not a directory", found.kind))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                disk.create_dir(dir).map_err(io("create the directory"))?;
            }
            Err(e) => return Err(io("look at")(e)),
        }
        // Before anything is written there, so that a foreign directory stays as it is.
        let found = recovery::names_and_others(dir, &engine.options)?;
        let old = check_old(engine, dir, &found.names, found.foreign)?;
        recovery::sync_parent(dir, &engine.options)?;
        let lock = recovery::lock(dir, &engine.options)?;
        Ok(Target {
            engine,
            disk,
            dir: dir.to_path_buf(),
            files,
            names: found.names,
            old,
            brought: Vec::new(),
            marker: None,
            done: Checkpointed::default(),
            _lock: lock,
        })
    }

    /// Brings what is missing, publishes it, and removes what is no longer needed.
    fn bring(mut self, state: Frozen) -> Result<Checkpointed> {
        let mut manifest = state.manifest;
        let old_number = self.raise_floor(manifest.log_floor)?;
        manifest.number = manifest.number.max(old_number).saturating_add(1);
        if self.old.is_none() {
            self.mark(&mut manifest)?;
        }
        let lengths: BTreeMap<FileId, u64> =
            manifest.files.iter().map(|f| (f.id, f.length)).collect();
        self.done.sequence = state.sequence;
        self.done.bytes =
            lengths.values().sum::<u64>() + state.blobs.iter().map(|(_, len)| len).sum::<u64>();
        let mut wanted: Vec<Name> = lengths.keys().map(|id| Name::Data(*id)).collect();
        wanted.extend(state.blobs.iter().map(|(id, _)| Name::Blob(*id)));
        let brought = self
            .bring_all(&wanted, &lengths)
            .and_then(|()| self.bring_hints(&lengths, &mut wanted))
            .and_then(|()| {
                let io = |e| self.io("sync the directory", &self.dir, e);
                self.disk.sync_dir(&self.dir).map_err(io)
            });
        if let Err(e) = brought {
            self.give_up();
            return Err(e);
        }
        if let Err(e) = write_manifest(self.disk, &self.dir, &manifest) {
            // If it may count after all, what it lists must stay.
            if e.is_before() {
                self.give_up();
            }
            return Err(e.into_error());
        }
        // Durable from here.
        self.remove_old(&wanted, manifest.number);
        Ok(self.done)
    }

    /// Log files above an earlier checkpoint's floor would count for it as soon as they are there:
    /// its floor is raised first, which changes nothing else, as all it has is listed (H2).
    fn raise_floor(&mut self, log_floor: FileId) -> Result<u64> {
        let Some(old) = &mut self.old else { return Ok(0) };
        if old.log_floor < log_floor {
            old.number = old.number.saturating_add(1);
            (old.log_floor, old.next_file) = (log_floor, log_floor.max(old.next_file));
            let number = old.number;
            write_manifest(self.disk, &self.dir, old).map_err(PublishError::into_error)?;
            self.names.push(Name::Manifest(number));
        }
        Ok(old.number)
    }

    fn bring_all(&mut self, wanted: &[Name], lengths: &BTreeMap<FileId, u64>) -> Result<()> {
        for name in wanted {
            let len = match name {
                Name::Data(id) => lengths.get(id).copied(),
                _ => None,
            };
            self.bring_file(*name, len)?;
        }
        Ok(())
    }

    /// Hints are a convenience: one that is not there yet is not waited for.
    fn bring_hints(
        &mut self,
        lengths: &BTreeMap<FileId, u64>,
        wanted: &mut Vec<Name>,
    ) -> Result<()> {
        for id in lengths.keys() {
            let name = Name::Hint(*id);
            match self.disk.metadata(&self.engine.dir.join(name.to_string())) {
                Ok(_) => {
                    self.bring_file(name, None)?;
                    wanted.push(name);
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(self.io("look at", &self.engine.dir, e)),
            }
        }
        Ok(())
    }

    /// Brings one file, unless it is there: its first `len` bytes, or all of it.
    fn bring_file(&mut self, name: Name, len: Option<u64>) -> Result<()> {
        let from = self.engine.dir.join(name.to_string());
        let to = self.dir.join(name.to_string());
        if self.is_there(name, len) {
            self.done.files_kept += 1;
            return Ok(());
        }
        if self.names.contains(&name) {
            self.disk.unlink(&to).map_err(|e| self.io("remove the leftover", &to, e))?;
        }
        if self.files == CheckpointFiles::Link && self.disk.link(&from, &to).is_ok() {
            self.brought.push(to);
            self.done.files_linked += 1;
            return Ok(());
        }
        // Another file system, or one without links. If something else is wrong, copying says so.
        let copied = self.copy(&from, &to, name, len)?;
        self.done.files_copied += 1;
        self.done.bytes_copied += copied;
        Ok(())
    }

    /// The checkpoint that is there has this file: what has the number has the bytes, since files
    /// never change and numbers are never used twice within a lineage.
    fn is_there(&self, name: Name, len: Option<u64>) -> bool {
        let Some(old) = &self.old else { return false };
        let is_listed =
            |f: &crate::log::ListedFile| Name::Data(f.id) == name && len == Some(f.length);
        if len.is_some() && !old.files.iter().any(is_listed) {
            return false;
        }
        let (from, to) = (self.engine.dir.join(name.to_string()), self.dir.join(name.to_string()));
        self.has_same_ends(&from, &to, len).unwrap_or(false)
    }

    /// Compares lengths, heads and tails: headers name the moment a file was begun, blobs and
    /// hints end in checksums of all of them.
    fn has_same_ends(&self, from: &Path, to: &Path, len: Option<u64>) -> io::Result<bool> {
        let from = self.disk.open(from, OpenMode::Read)?;
        let to = self.disk.open(to, OpenMode::Read)?;
        let (from_len, to_len) = (from.len()?, to.len()?);
        let len = match len {
            Some(len) if from_len >= len && to_len >= len => len,
            None if from_len == to_len => from_len,
            _ => return Ok(false),
        };
        let part = len.min(COMPARED_BYTES);
        let mut buffers = [vec![0; COMPARED_BYTES_LEN], vec![0; COMPARED_BYTES_LEN]];
        let part_len = usize::try_from(part).unwrap_or(COMPARED_BYTES_LEN);
        for at in [0, len - part] {
            let [a, b] = &mut buffers;
            from.read_exact_at(&mut a[..part_len], at)?;
            to.read_exact_at(&mut b[..part_len], at)?;
            if a[..part_len] != b[..part_len] {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Copies under a temporary name, syncs and renames: a name stands for a whole file.
    fn copy(&mut self, from: &Path, to: &Path, name: Name, len: Option<u64>) -> Result<u64> {
        let temporary = name.temporary().expect("data files, hints and blobs have one");
        let temporary = self.dir.join(temporary.to_string());
        let _ = self.disk.unlink(&temporary);
        self.brought.push(temporary.clone());
        let source = self.disk.open(from, OpenMode::Read);
        let source = source.map_err(|e| self.io("open", from, e))?;
        let len = match len {
            Some(len) => len,
            None => source.len().map_err(|e| self.io("measure", from, e))?,
        };
        let write = |e| self.io("write", to, e);
        let target = self.disk.create_new(&temporary).map_err(write)?;
        let mut buffer = vec![0; COPY_BYTES];
        let mut at = 0;
        while at < len {
            let n = usize::try_from(len - at).unwrap_or(usize::MAX).min(buffer.len());
            let part = &mut buffer[..n];
            source.read_exact_at(part, at).map_err(|e| self.io("read", from, e))?;
            target.write_all_at(part, at).map_err(write)?;
            at += n as u64;
        }
        target.sync_data().map_err(write)?;
        self.disk.rename(&temporary, to).map_err(write)?;
        self.brought.push(to.to_path_buf());
        Ok(len)
    }

    /// Removes what the new manifest does without. What stays behind by an error is removed by
    /// the next checkpoint or open.
    fn remove_old(&mut self, wanted: &[Name], number: u64) {
        for name in &self.names {
            let is_needed = match *name {
                Name::Lock => true,
                Name::Manifest(n) => n == number,
                name => wanted.contains(&name),
            };
            if !is_needed && self.disk.unlink(&self.dir.join(name.to_string())).is_ok() {
                let is_file = !matches!(name, Name::Manifest(_)) && !name.is_temporary();
                self.done.files_removed += u64::from(is_file);
            }
        }
    }

    fn io(&self, action: &'static str, path: &Path, source: io::Error) -> Error {
        Error::Io { action, path: path.to_path_buf(), source }
    }
}

/// Bytes compared at either end of a file that is there already.
const COMPARED_BYTES_LEN: usize = 4 << 10;
const COMPARED_BYTES: u64 = 4 << 10;

/// Bytes copied at a time.
const COPY_BYTES: usize = 1 << 20;

/// The checkpoint that is there, if there is one; an error if there is anything else (H5).
fn check_old(
    engine: &Engine,
    dir: &Path,
    names: &[Name],
    foreign: Option<String>,
) -> Result<Option<Manifest>> {
    let not_ours = |what: String| Error::NotAStore { path: dir.to_path_buf(), what };
    let newest = names.iter().rev().find_map(|n| match n {
        Name::Manifest(number) => Some(*number),
        _ => None,
    });
    let Some(number) = newest else {
        let is_unfinished = foreign.is_none() && unfinished::is_leftover(engine, dir, names);
        let data = names.iter().find(|n| !matches!(n, Name::Lock)).map(ToString::to_string);
        let data = data.filter(|_| !is_unfinished);
        let Some(found) = data.or(foreign) else { return Ok(None) };
        let what = "checkpoints go into empty directories or over earlier ones";
        return Err(not_ours(format!("it holds {found} but no manifest; {what}")));
    };
    let old = recovery::read_manifest(dir, &engine.options, number)?;
    let ours = engine.manifest.lock();
    if old.store_id != ours.store_id {
        return Err(not_ours(format!("store {} is there, another one", old.store_id)));
    }
    // A generation we do not know was begun there; more history than ours, and we are the copy.
    let is_ours = old.generations.last().is_none_or(|last| {
        let at = ours.generations.iter().position(|g| g == last);
        let next = at.and_then(|at| ours.generations.get(at + 1));
        at.is_some() && next.is_none_or(|next| old.last_sequence_known() < next.first_sequence)
    });
    if !is_ours {
        let what = "it has been written to since it was made, and is a store of its own now";
        return Err(not_ours(what.to_owned()));
    }
    Ok(Some(old))
}
