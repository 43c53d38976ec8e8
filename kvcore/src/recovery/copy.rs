//! After an unclean end: what is not known to be durable is copied into new synced files, and one
//! manifest lists what counts.

use super::{
    Found,
    scan::{LogExtent, Part, reopen},
};
use crate::{
    disk::Reserve,
    engine::{PublishError, write_manifest},
    error::{Error, Result},
    ids::{FileId, Sequence},
    log::{
        BatchEncoder, DataFile, FILE_HEADER_LEN, FileHeader, FileKey, FrameView, FrameWalk,
        ListedFile, LogEnd, Role, Step, WATERMARK_IN_HEADER, file_names,
    },
    stats::Recovery,
};
use std::{path::PathBuf, sync::Arc};

/// Settles the log: afterwards every byte that is served is durable, and the log starts anew.
pub(super) fn settle(
    store: &mut Found,
    extent: &LogExtent,
    next_file: &mut FileId,
    recovery: &mut Recovery,
) -> Result<Vec<Arc<DataFile>>> {
    let mut files = Vec::new();
    let mut copier = Copier { store, next_file, done: Vec::new(), open: None };
    for part in &extent.files {
        let durable = durable_len(part, extent);
        if durable > FILE_HEADER_LEN as u64 {
            let file = reopen(copier.store, part.file.id, Role::Log, durable)?;
            // All of it was walked already, or its hint vouches for it.
            let known = (durable == part.len).then_some(part.last_sequence);
            files.push((file, durable, known));
        }
        copier.copy(part, durable.max(FILE_HEADER_LEN as u64))?;
    }
    let copies = copier.finish()?;
    recovery.copied_bytes = copies.iter().map(|(_, len)| *len).sum();
    let mut live = Vec::new();
    for (file, len, known) in files {
        let max_sequence = known.map_or_else(|| last_of(&file, len), Ok)?;
        file.note_sequence(max_sequence);
        list(store, &file, len);
        live.push(file);
    }
    for (id, len) in copies {
        let file = reopen(store, id, Role::Copy, len)?;
        let max_sequence = last_of(&file, len)?;
        file.note_sequence(max_sequence);
        list(store, &file, len);
        live.push(file);
    }
    publish(store, extent, *next_file)?;
    Ok(live)
}

/// How much of a log file is below the floor.
fn durable_len(part: &Part, extent: &LogExtent) -> u64 {
    match extent.floor {
        Some(floor) if part.file.id < floor.file => part.len,
        Some(floor) if part.file.id == floor.file => floor.offset.min(part.len),
        _ => 0,
    }
}

fn list(store: &mut Found, file: &DataFile, length: u64) {
    store.manifest.files.push(ListedFile {
        id: file.id,
        role: file.role,
        length,
        min_dead_sequence: None,
        max_sequence: file.max_sequence(),
    });
}

/// The one step that makes the new set count.
fn publish(store: &mut Found, extent: &LogExtent, next_file: FileId) -> Result<()> {
    let last_sequence = extent.last_sequence;
    let manifest = &mut store.manifest;
    manifest.number += 1;
    manifest.log_floor = next_file;
    manifest.next_file = next_file;
    manifest.clean_end = extent.files.last().map(|part| LogEnd {
        file: part.file.id,
        length: part.len,
        last_sequence,
    });
    // The manifest read at open may have been renamed without its directory being synced; the
    // sync that publishes the new one covers both.
    write_manifest(&*store.options.disk, &store.dir, &store.manifest)
        .map_err(PublishError::into_error)?;
    // Durable from here.
    Ok(())
}

fn last_of(file: &DataFile, len: u64) -> Result<Sequence> {
    let mut walk = FrameWalk::new(file, len);
    let mut last = Sequence::ZERO;
    loop {
        match walk.step()? {
            Step::Frame(_, frame) => last = frame.last(),
            Step::End(at) if at == len => return Ok(last),
            Step::End(at) => return Err(file.corrupt(at, "zeros below the durable floor")),
            Step::Damaged(at, e) => return Err(file.corrupt(at, e)),
        }
    }
}

/// Writes copies of frames into new files.
struct Copier<'a> {
    store: &'a mut Found,
    next_file: &'a mut FileId,
    done: Vec<(FileId, u64)>,
    open: Option<Copy>,
}

struct Copy {
    id: FileId,
    key: FileKey,
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Copier<'_> {
    /// Copies the frames of a log file from this offset on.
    fn copy(&mut self, part: &Part, from: u64) -> Result<()> {
        let mut walk = FrameWalk::new(&part.file, part.len);
        walk.seek(from);
        loop {
            match walk.step()? {
                Step::Frame(_, frame) => self.push(&frame)?,
                Step::End(_) => return Ok(()),
                Step::Damaged(at, e) => return Err(part.file.corrupt(at, e)),
            }
        }
    }

    fn push(&mut self, frame: &FrameView<'_>) -> Result<()> {
        let max = self.store.options.data_file_bytes_max;
        let full = |copy: &Copy| copy.bytes.len() as u64 + frame.len as u64 > max;
        if self.open.as_ref().is_some_and(full) {
            self.write_out()?;
        }
        let copy = match &mut self.open {
            Some(copy) => copy,
            None => {
                let copy = begin(self.store, self.next_file, frame.first)?;
                self.open.insert(copy)
            }
        };
        let mut batch = BatchEncoder::new();
        frame.members().for_each(|member| {
            batch.push(&member.record);
        });
        let at = copy.bytes.len() as u64;
        batch.seal(&mut copy.bytes, copy.key, at, frame.first, WATERMARK_IN_HEADER);
        Ok(())
    }

    /// Writes and syncs the copy that is being made.
    fn write_out(&mut self) -> Result<()> {
        let Some(copy) = self.open.take() else { return Ok(()) };
        let io = |action, source| Error::Io { action, path: copy.path.clone(), source };
        let disk = &self.store.options.disk;
        let file = disk.create_new(&copy.path).map_err(|e| io("create", e))?;
        let len = copy.bytes.len() as u64;
        let reserved = file.reserve(len).map_err(|e| io("reserve space in", e))?;
        debug_assert!(matches!(reserved, Reserve::Done | Reserve::Unsupported));
        file.write_all_at(&copy.bytes, 0).map_err(|e| io("write", e))?;
        file.sync_data().map_err(|e| io("sync", e))?;
        self.done.push((copy.id, len));
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<(FileId, u64)>> {
        self.write_out()?;
        if !self.done.is_empty() {
            let dir = &self.store.dir;
            let io = |source| Error::Io { action: "sync the directory", path: dir.clone(), source };
            self.store.options.disk.sync_dir(dir).map_err(io)?;
        }
        Ok(self.done)
    }
}

fn begin(store: &Found, next_file: &mut FileId, first_sequence: Sequence) -> Result<Copy> {
    let id = *next_file;
    let next = id.0.checked_add(1).ok_or(Error::Exhausted { what: "file numbers" })?;
    *next_file = FileId(next);
    let header = FileHeader {
        store: *store.store_id(),
        file: id,
        role: Role::Copy,
        predecessor: None,
        watermark: None,
        first_sequence,
        created_ms: store.options.clock.wall_ms(),
        read_only_features: 0,
    };
    let path = store.path(&file_names::data(id));
    Ok(Copy { id, key: FileKey::new(store.store_id(), id), path, bytes: header.encode().to_vec() })
}
