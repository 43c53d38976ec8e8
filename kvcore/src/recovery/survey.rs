//! What is in a directory that may not open: every file that counts and how much of it, without
//! an opinion on what is damaged.
//!
//! For verify and salvage, which go on where opening refuses. Changes nothing.

use super::{Found, read_manifest, scan::read_hint};
use crate::{
    disk::{FileKind, OpenMode},
    error::{Error, Result},
    ids::FileId,
    log::{
        DataFile, DecodedHeader, FILE_HEADER_LEN, FileHeader, FileKey, FileParts, FormatError,
        HintReader, LogEnd, LogPosition, Manifest, Role, StoreId,
        file_names::{self, Name},
    },
    options::Options,
    verify::Damage,
};
use std::{collections::HashMap, path::Path, sync::Arc};

/// A store as it was found.
pub(crate) struct Survey {
    pub(crate) store: Found,
    pub(crate) names: Vec<Name>,
    /// The newest manifest can be read: it says what counts.
    pub(crate) is_current: bool,
    /// Data files that count, by number.
    pub(crate) parts: Vec<FoundFile>,
    /// What did not fit so far.
    pub(crate) damage: Vec<Damage>,
}

/// A data file that counts.
pub(crate) struct FoundFile {
    pub(crate) file: Arc<DataFile>,
    pub(crate) header: Option<FileHeader>,
    /// What is wrong with the header.
    pub(crate) damage: Option<String>,
    /// The manifest lists it: everything up to `len` was durable.
    pub(crate) is_listed: bool,
    /// Its length is known; else it counts as far as it is whole.
    pub(crate) is_exact: bool,
    pub(crate) len: u64,
}

impl FoundFile {
    pub(crate) fn place(&self, offset: u64) -> LogPosition {
        LogPosition { file: self.file.id, offset }
    }
}

/// Looks at a directory and at the heads of its files.
pub(crate) fn survey(dir: &Path, options: &Options) -> Result<Survey> {
    let mut damage = Vec::new();
    let names = names(dir, options, &mut damage)?;
    let manifests = names.iter().rev().filter_map(|n| match n {
        Name::Manifest(number) => Some(*number),
        _ => None,
    });
    let mut found = None;
    for number in manifests {
        match read_manifest(dir, options, number) {
            Ok(manifest) => {
                found = Some(manifest);
                break;
            }
            Err(e) => damage.push(Damage::of(e)?),
        }
    }
    let is_current = found.is_some() && damage.iter().all(|d| !is_manifest(&d.file));
    if found.is_none() && damage.is_empty() {
        let path = dir.join(file_names::manifest(1));
        damage.push(Damage::new(&path, 0, 0, "there is no manifest"));
    }
    let manifest = match found {
        Some(manifest) => manifest,
        None => guess(dir, options, &names)?,
    };
    let store = Found { dir: dir.to_path_buf(), options: options.clone(), manifest };
    let mut survey = Survey { store, names, is_current, parts: Vec::new(), damage };
    survey.find_parts()?;
    Ok(survey)
}

fn is_manifest(path: &Path) -> bool {
    let name = path.file_name().and_then(file_names::parse);
    matches!(name, Some(Name::Manifest(_)))
}

/// Names that are a store's; of those, what is no file is damage.
fn names(dir: &Path, options: &Options, damage: &mut Vec<Damage>) -> Result<Vec<Name>> {
    let list = options.disk.list(dir);
    let list =
        list.map_err(|source| Error::Io { action: "list", path: dir.to_path_buf(), source })?;
    let mut names = Vec::new();
    for entry in list {
        match file_names::parse(&entry.name) {
            Some(name) if entry.kind == FileKind::File => names.push(name),
            Some(_) => {
                let what = format!("it is {}, where a file of the store is due", entry.kind);
                damage.push(Damage::new(&dir.join(&entry.name), 0, 0, what));
            }
            None => {}
        }
    }
    names.sort_by_cached_key(|name| name.rank());
    let is_part = |n: &Name| matches!(n, Name::Manifest(_) | Name::Data(_) | Name::Blob(_));
    if damage.is_empty() && !names.iter().any(is_part) {
        let what = "it holds no manifest, no data file and no blob".to_owned();
        return Err(Error::NotAStore { path: dir.to_path_buf(), what });
    }
    Ok(names)
}

/// A manifest for a store that has none left: its identity is the one most headers name.
fn guess(dir: &Path, options: &Options, names: &[Name]) -> Result<Manifest> {
    let mut votes: HashMap<[u8; 16], usize> = HashMap::new();
    for name in names {
        let Name::Data(id) = *name else { continue };
        let Ok(file) = options.disk.open(&dir.join(file_names::data(id)), OpenMode::Read) else {
            continue;
        };
        let mut head = [0; FILE_HEADER_LEN];
        if file.read_exact_at(&mut head, 0).is_ok()
            && let Ok(DecodedHeader::Written(header)) = FileHeader::decode_any(&head)
        {
            *votes.entry(header.store.0).or_default() += 1;
        }
    }
    let best = votes.into_iter().max_by_key(|(_, n)| *n).map(|(id, _)| id);
    let Some(store_id) = best else {
        let what = "no manifest and no file header can be read: nothing says whose bytes these are";
        return Err(Error::NotAStore { path: dir.to_path_buf(), what: what.to_owned() });
    };
    Ok(super::new_manifest(StoreId(store_id), [0; 16]))
}

impl Survey {
    fn find_parts(&mut self) -> Result<()> {
        let manifest = self.store.manifest.clone();
        for listed in &manifest.files {
            match self.open(listed.id, listed.role) {
                Ok((file, header)) => self.add_listed(file, header, listed.length),
                Err(e) => self.damage.push(Damage::of(e)?),
            }
        }
        for name in self.names.clone() {
            let Name::Data(id) = name else { continue };
            if manifest.files.iter().any(|f| f.id == id) {
                continue;
            }
            if id < manifest.log_floor && self.is_current {
                continue;
            }
            match self.open(id, Role::Log) {
                Ok((file, header)) => self.add_unlisted(file, header),
                Err(e) => self.damage.push(Damage::of(e)?),
            }
        }
        self.parts.sort_by_cached_key(|p| u64::from(p.file.id.0));
        self.settle_lengths();
        Ok(())
    }

    fn open(
        &self,
        id: FileId,
        role: Role,
    ) -> Result<(Arc<DataFile>, Result<DecodedHeader, FormatError>)> {
        let name = file_names::data(id);
        let path = self.store.path(&name);
        let io = |action| move |source| (action, source);
        let opened = self.store.options.disk.open(&path, OpenMode::Read).map_err(io("open"));
        let opened = opened.and_then(|handle| {
            let written = handle.len().map_err(io("measure"))?;
            Ok((handle, written))
        });
        let (handle, written) = opened.map_err(|(action, source)| {
            if source.kind() == std::io::ErrorKind::NotFound {
                return crate::log::corrupt(&path, 0, "the file is missing");
            }
            Error::Io { action, path: path.clone(), source }
        })?;
        let key = FileKey::new(self.store.store_id(), id);
        let parts = FileParts { id, role, key, path, handle, map_bytes: 0, written };
        let file = DataFile::new(parts)?;
        file.seal();
        let len = FILE_HEADER_LEN.min(usize::try_from(written).unwrap_or(usize::MAX));
        let header =
            file.with_bytes(0, len, |b| FileHeader::decode(b, self.store.store_id(), id))?;
        Ok((Arc::new(file), header))
    }

    fn add_listed(
        &mut self,
        file: Arc<DataFile>,
        header: Result<DecodedHeader, FormatError>,
        len: u64,
    ) {
        if file.written() < len {
            let (at, missing) = (file.written(), len - file.written());
            let what = format!("the file ends before byte {len}");
            self.damage.push(Damage::new(&file.path, at, missing, what));
        }
        let (header, damage) = match header {
            Ok(DecodedHeader::Written(header)) if header.role == file.role => (Some(header), None),
            Ok(_) => (None, Some("the header is not the one listed".to_owned())),
            Err(e) => (None, Some(e.to_string())),
        };
        self.parts.push(FoundFile { file, header, damage, is_listed: true, is_exact: true, len });
    }

    fn add_unlisted(&mut self, file: Arc<DataFile>, header: Result<DecodedHeader, FormatError>) {
        let len = file.written();
        let (header, damage) = match header {
            Ok(DecodedHeader::Unused) => return,
            Err(_) if len < FILE_HEADER_LEN as u64 => return,
            // With the manifest at hand a copy that is not listed was never published.
            Ok(DecodedHeader::Written(h)) if h.role == Role::Copy && self.is_current => return,
            Ok(DecodedHeader::Written(header)) => (Some(header), None),
            Err(e) => (None, Some(e.to_string())),
        };
        let is_exact = header.is_some_and(|h| h.role == Role::Copy);
        self.parts.push(FoundFile { file, header, damage, is_listed: false, is_exact, len });
    }

    /// Log files end where their successor, the clean end or their hint says.
    fn settle_lengths(&mut self) {
        let ends: Vec<LogEnd> = self
            .parts
            .iter()
            .rev()
            .filter_map(|p| p.header?.predecessor)
            .chain(self.store.manifest.clean_end)
            .collect();
        for part in self.parts.iter_mut().filter(|p| !p.is_exact) {
            let id = part.file.id;
            let hinted = read_hint(&self.store, id).and_then(|bytes| {
                let len = crate::log::hint::data_len_of(&bytes)?;
                HintReader::open(&bytes, self.store.store_id(), id, len).ok().map(|_| len)
            });
            let end = ends.iter().find(|end| end.file == id).map(|end| end.length).or(hinted);
            if let Some(len) = end {
                (part.len, part.is_exact) = (len, true);
            }
        }
    }

    /// Up to where the log is known to have been durable, apart from what its frames say.
    pub(crate) fn floor(&self) -> Option<LogPosition> {
        let clean = self.store.manifest.clean_end;
        let clean = clean.map(|end| LogPosition { file: end.file, offset: end.length });
        let headers = self.parts.iter().filter_map(|p| p.header?.watermark).max();
        let hinted = self.parts.iter().filter(|p| !p.is_listed).filter_map(|p| {
            let bytes = read_hint(&self.store, p.file.id)?;
            let len = crate::log::hint::data_len_of(&bytes)?;
            let hint = HintReader::open(&bytes, self.store.store_id(), p.file.id, len);
            hint.ok().map(|_| p.place(len))
        });
        headers.max(clean).max(hinted.max())
    }

    /// Log files that others name as their predecessor and that are not there.
    pub(crate) fn missing(&self) -> Vec<FileId> {
        let manifest = &self.store.manifest;
        let is_there = |id| self.parts.iter().any(|p| p.file.id == id);
        let is_settled = |id| id < manifest.log_floor || manifest.files.iter().any(|f| f.id == id);
        let named =
            self.parts.iter().filter(|p| !p.is_listed).filter_map(|p| p.header?.predecessor);
        let clean = manifest.clean_end.filter(|end| end.length > FILE_HEADER_LEN as u64);
        let mut missing: Vec<FileId> = named
            .chain(clean)
            .map(|end| end.file)
            .filter(|id| self.is_current && !is_there(*id) && !is_settled(*id))
            .collect();
        missing.sort_by_cached_key(|id| u64::from(id.0));
        missing.dedup();
        missing
    }
}
