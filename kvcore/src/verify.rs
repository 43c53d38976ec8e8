//! Looking at every byte of a store: is it what was written?
//!
//! Knows files and what is said of them. Changes nothing, takes no lock of the disk, and stops at
//! nothing: whatever is found is reported, and the search goes on behind it.
//!
//! # Invariants
//!
//! Y1. Nothing is written, created, renamed or removed.
//! Y2. A byte that counts is covered by a checksum that is computed here; what counts is said by
//!     the manifest and the headers, never guessed from names.
//! Y3. What recovery would cut off as a torn tail is no damage: nobody was promised it.

use crate::{
    engine::Engine,
    error::{Error, Result},
    log::{DataFile, FILE_HEADER_LEN, FileHeader, Manifest, file_names},
    options::Options,
    recovery::survey,
    store::Store,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

mod blobs;
mod closed;
mod hints;
mod sweep;

pub(crate) use blobs::{BlobRefs, check_blob};
pub(crate) use sweep::{Gap, sweep};

/// What was found damaged: bytes that are not what was written.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let dir = tempfile::tempdir().expect("a temporary directory");
/// # let store = kvcore::Store::open(dir.path())?;
/// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
/// # users.put("ada", &36)?;
///
/// # store.close()?;
/// # let data = std::fs::read_dir(dir.path()).expect("there").map(|e| e.expect("there").path());
/// # let data = data.filter(|p| p.extension().is_some_and(|e| e == "data")).min().expect("one");
/// # let mut bytes = std::fs::read(&data).expect("readable");
/// # bytes[20] ^= 1;
/// # std::fs::write(&data, bytes).expect("writable");
/// let verified = kvcore::verify(dir.path())?; // somebody has changed a byte
/// let damage = &verified.damage[0];
/// println!("{damage}"); // names the file and the byte
/// assert!(damage.file.exists() && !damage.what.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// Where the damage begins, as far as can be told.
    pub offset_bytes: u64,
    /// How many bytes are concerned: up to the next that are sound. 0 if that means nothing.
    pub bytes: u64,
    /// What does not fit.
    pub what: String,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at byte {}: {}", self.file.display(), self.offset_bytes, self.what)
    }
}

impl Damage {
    pub(crate) fn new(file: &Path, offset_bytes: u64, bytes: u64, what: impl ToString) -> Damage {
        Damage { file: file.to_path_buf(), offset_bytes, bytes, what: what.to_string() }
    }

    /// What an error says, if it is about bytes; others end the search.
    pub(crate) fn of(error: Error) -> Result<Damage> {
        match error {
            Error::Corrupt { file, offset_bytes, what } => {
                Ok(Damage { file, offset_bytes, bytes: 0, what })
            }
            Error::NewerFormat { path, found, supported } => {
                let what = format!("format {found}, this build reads up to {supported}");
                Ok(Damage::new(&path, 0, 0, what))
            }
            // An unreadable sector is what people look for with this.
            Error::Io { action, path, source } => {
                Ok(Damage::new(&path, 0, 0, format!("cannot {action} it: {source}")))
            }
            other => Err(other),
        }
    }
}

/// What a look at every byte found. Sound if `damage` is empty.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let dir = tempfile::tempdir().expect("a temporary directory");
/// # let store = kvcore::Store::open(dir.path())?;
/// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
/// # users.put("ada", &36)?;
///
/// let verified = store.verify()?;
/// println!("{} records in {} files", verified.records, verified.files);
/// assert!(verified.damage.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// Files that count and were read: manifest, data files, hints, blobs.
    pub files: u64,
    /// Bytes read in them.
    pub bytes: u64,
    /// Records whose checksum fits.
    pub records: u64,
    /// What is damaged, in the order in which it was found.
    pub damage: Vec<Damage>,
    /// Where the log ends in bytes that were never known to be durable: recovery cuts there.
    pub torn_tail: Option<(PathBuf, u64)>,
}

impl Verified {
    /// Nothing is damaged.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// # users.put("ada", &36)?;
    ///
    /// assert!(store.verify()?.is_sound());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damage.is_empty()
    }
}

/// How far a look at every byte has come.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let dir = tempfile::tempdir().expect("a temporary directory");
/// # let store = kvcore::Store::open(dir.path())?;
/// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
/// # users.put("ada", &36)?;
///
/// use kvcore::VerifyProgress;
/// let bar = |p: VerifyProgress| eprintln!("{} of {} bytes", p.bytes_done, p.bytes_total);
/// assert!(store.verify_with(bar)?.is_sound());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyProgress {
    /// Bytes read so far.
    pub bytes_done: u64,
    /// Bytes in all, as far as known.
    pub bytes_total: u64,
    /// Damages found so far.
    pub damages: u64,
}

/// Looks at every byte of a store that is closed, or that refuses to open. Changes nothing.
///
/// Reports all damage it finds. A store that is open for writing meanwhile may show damage that
/// is none, since its end is moving: use [`Store::verify`] there.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let dir = tempfile::tempdir().expect("a temporary directory");
/// let store = kvcore::Store::open(dir.path())?;
/// let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
/// users.put("ada", &36)?;
/// store.close()?;
/// let verified = kvcore::verify(dir.path())?;
/// assert!(verified.is_sound(), "{:?}", verified.damage);
/// assert_eq!(verified.records, 1);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`Error::Io`] if the directory cannot be listed, [`Error::NotAStore`] if nothing in it is a
/// store's. Damage is no error.
pub fn verify(dir: impl AsRef<Path>) -> Result<Verified> {
    Options::new().verify(dir, |_| {})
}

impl Options {
    /// The same as [`verify`](crate::verify()) on the disk of these options, telling how far it is.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// # users.put("ada", &36)?;
    ///
    /// # store.close()?;
    /// use kvcore::{Options, ReadMode};
    /// // Unreadable sectors are reported, where a map would end the process.
    /// let options = Options::new().read_mode(ReadMode::Pread);
    /// let verified = options.verify(dir.path(), |p| eprintln!("{} bytes", p.bytes_done))?;
    /// assert!(verified.is_sound());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`verify`](crate::verify()).
    pub fn verify(
        &self,
        dir: impl AsRef<Path>,
        mut progress: impl FnMut(VerifyProgress),
    ) -> Result<Verified> {
        let found = survey(dir.as_ref(), self)?;
        let mut check = Check::new(&mut progress);
        check.survey(found, self)?;
        Ok(check.verified)
    }
}

impl Store {
    /// Looks at every byte of every live file while the store is in use. Changes nothing, and
    /// neither readers, writers nor merges wait for it.
    ///
    /// Looks at what is in the files when it starts. What it reads comes through the page cache,
    /// so a sector that has gone bad under a cached page may go unnoticed.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// let verified = store.verify()?;
    /// assert!(verified.is_sound(), "{:?}", verified.damage);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Closed`]. Damage is no error.
    pub fn verify(&self) -> Result<Verified> {
        self.verify_with(|_| {})
    }

    /// The same, telling how far it is.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// # users.put("ada", &36)?;
    ///
    /// let mut told = 0;
    /// let verified = store.verify_with(|progress| told = progress.bytes_done)?;
    /// assert!(verified.is_sound() && told <= verified.bytes);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Store::verify`].
    pub fn verify_with(&self, mut progress: impl FnMut(VerifyProgress)) -> Result<Verified> {
        let engine = self.engine();
        if engine.is_closed() {
            return Err(Error::Closed);
        }
        let mut check = Check::new(&mut progress);
        check.live(engine)?;
        Ok(check.verified)
    }
}

/// The work in progress.
struct Check<'a> {
    verified: Verified,
    refs: BlobRefs,
    total: u64,
    told: u64,
    progress: &'a mut dyn FnMut(VerifyProgress),
}

/// Progress is told when at least this many bytes have come by.
const TELL_BYTES: u64 = 4 << 20;

impl<'a> Check<'a> {
    fn new(progress: &'a mut dyn FnMut(VerifyProgress)) -> Check<'a> {
        let verified = Verified::default();
        Check { verified, refs: BlobRefs::default(), total: 0, told: 0, progress }
    }

    fn damage(&mut self, damage: Damage) {
        if !self.verified.damage.contains(&damage) {
            self.verified.damage.push(damage);
        }
    }

    fn note(&mut self, result: Result<()>) -> Result<()> {
        if let Err(e) = result {
            self.damage(Damage::of(e)?);
        }
        Ok(())
    }

    fn read(&mut self, bytes: u64) {
        self.verified.bytes += bytes;
        if self.verified.bytes - self.told >= TELL_BYTES {
            self.tell();
        }
    }

    fn tell(&mut self) {
        self.told = self.verified.bytes;
        let damages = u64::try_from(self.verified.damage.len()).unwrap_or(u64::MAX);
        let (bytes_done, bytes_total) = (self.told, self.total.max(self.told));
        (self.progress)(VerifyProgress { bytes_done, bytes_total, damages });
    }

    /// The header of a file that is in use.
    fn header(&mut self, file: &DataFile, manifest: &Manifest) -> Result<()> {
        let header = file.with_bytes(0, FILE_HEADER_LEN, |bytes| {
            FileHeader::decode(bytes, &manifest.store_id, file.id)
        });
        match header {
            Err(e) => self.note(Err(e)),
            Ok(Err(e)) => {
                self.damage(Damage::new(&file.path, 0, FILE_HEADER_LEN as u64, e));
                Ok(())
            }
            Ok(Ok(_)) => Ok(()),
        }
    }

    /// The frames of one file up to `end`, all of which count. True if they are sound.
    fn frames(&mut self, file: &DataFile, end: u64) -> Result<bool> {
        let before = self.verified.damage.len();
        let mut gaps = Vec::new();
        let swept = sweep(
            file,
            end,
            |_, frame| {
                self.verified.records += u64::from(frame.count);
                frame.members().for_each(|m| self.refs.add(&m));
                self.read(frame.len as u64);
            },
            |gap| gaps.push(gap),
        );
        for gap in gaps {
            self.damage(gap.damage(&file.path));
        }
        self.note(swept)?;
        Ok(self.verified.damage.len() == before)
    }

    /// Everything an open store is made of.
    fn live(&mut self, engine: &Engine) -> Result<()> {
        let mut files: Vec<(Arc<DataFile>, u64)> =
            engine.files.load().iter().map(|f| (Arc::clone(f), f.written())).collect();
        files.sort_by_cached_key(|(f, _)| u64::from(f.id.0));
        self.total = files.iter().map(|(_, len)| len).sum::<u64>() + engine.blobs.live().1;
        let manifest = engine.manifest.lock().clone();
        self.live_manifest(engine, &manifest)?;
        for (file, len) in files {
            let file = file.unmapped(len)?;
            self.verified.files += 1;
            self.header(&file, &manifest)?;
            if self.frames(&file, len)? && file.is_sealed() {
                let checked = self.hint(&*engine.disk, &file, &manifest.store_id);
                self.note(checked)?;
            }
        }
        for (id, len, checksum) in self.refs.all() {
            if engine.blobs.is_live(id) {
                let path = engine.dir.join(file_names::blob(id));
                let checked =
                    check_blob(&*engine.disk, &path, &manifest.store_id, (id, len, checksum));
                if checked.is_err() {
                    // The writer that a read-only store follows may have removed it.
                    let _ = engine.refresh();
                }
                // It may have been superseded, and removed, since.
                if checked.is_ok() || engine.blobs.is_live(id) {
                    self.verified.files += 1;
                    self.note(checked)?;
                    self.read(len);
                }
            }
        }
        self.tell();
        Ok(())
    }

    fn live_manifest(&mut self, engine: &Engine, manifest: &Manifest) -> Result<()> {
        let read = crate::recovery::read_manifest(&engine.dir, &engine.options, manifest.number);
        match read {
            Ok(read) if read == *manifest => self.verified.files += 1,
            // Replaced meanwhile, which read nothing but whole ones.
            _ if engine.manifest.lock().number != manifest.number => {}
            Ok(_) => {
                let path = engine.dir.join(file_names::manifest(manifest.number));
                self.damage(Damage::new(&path, 0, 0, "it is not the manifest that was written"));
            }
            Err(e) => self.note(Err(e))?,
        }
        Ok(())
    }
}
