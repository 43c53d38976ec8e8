//! A read-only store follows what another process writes.
//!
//! # Invariants
//!
//! W1. Frames are applied in the order of the log and each as a whole, up to the durable floor.
//! W2. When the set of files has changed (a merge, a recovery), or a keyspace has gone, everything
//!     is loaded anew and takes the old place keyspace by keyspace; handles stay valid, but of
//!     keyspaces that were dropped or migrated, which keep what they had.
//! W3. Nothing is written.

use super::{Access, Engine, When, append::Appended, prepared::PreparedBatch, wake};
use crate::{
    error::{Error, Result},
    ids::{FileId, Sequence},
    index::{Applying, Index},
    log::{
        DataFile, DecodedHeader, FILE_HEADER_LEN, FileHeader, FilesOnce, FrameView, FrameWalk,
        LogPosition, Manifest, Step, UNORDERED,
        file_names::{self, Name},
    },
    options::Durability,
    recovery,
};
use std::sync::Arc;

/// A log file behind the position, and how far it could be read.
struct Ahead {
    file: Arc<DataFile>,
    /// A view up to the file's physical end.
    whole: DataFile,
    header: FileHeader,
    from: u64,
}

impl Engine {
    pub(crate) fn is_read_only(&self) -> bool {
        self.access == Access::ReadOnly
    }

    pub(crate) fn check_writable(&self) -> Result<()> {
        if self.is_read_only() { Err(Error::ReadOnly) } else { Ok(()) }
    }

    /// Takes in what has become durable since. No-op on a store open for writing.
    pub(crate) fn refresh(&self) -> Result<()> {
        self.check_open()?;
        if !self.is_read_only() {
            return Ok(());
        }
        let result = {
            let _one_at_a_time = self.merge.lock();
            recovery::patiently(|| self.refresh_once()).map(|()| self.work_off_applied())
        };
        wake(self.watching.take_put_off());
        result
    }

    fn refresh_once(&self) -> Result<()> {
        let names = recovery::names(&self.dir, &self.options)?;
        let newest = names.iter().rev().find_map(|n| match n {
            Name::Manifest(number) => Some(*number),
            _ => None,
        });
        let newest = newest.ok_or_else(|| Error::NotAStore {
            path: self.dir.clone(),
            what: "its manifest is gone".to_owned(),
        })?;
        let current = self.manifest.lock().clone();
        if newest != current.number {
            let next = recovery::read_manifest(&self.dir, &self.options, newest)?;
            if next.store_id != current.store_id {
                let what = "another store has taken its place".to_owned();
                return Err(Error::NotAStore { path: self.dir.clone(), what });
            }
            let lists = |m: &Manifest| {
                let files: Vec<_> = m.files.iter().map(|f| (f.id, f.length)).collect();
                (m.log_floor, files)
            };
            if lists(&next) != lists(&current) || self.has_lost_keyspaces(&next) {
                return self.reload();
            }
            self.adopt(next);
        }
        self.follow_log(&names)
    }

    /// A keyspace was dropped, or another has taken its name.
    fn has_lost_keyspaces(&self, next: &Manifest) -> bool {
        let is_there = |name: &String, core: &Arc<super::KeyspaceCore>| {
            next.keyspaces.iter().any(|m| !m.dropped && m.name == *name && m.id == core.id())
        };
        self.keyspaces.read().iter().any(|(name, core)| !is_there(name, core))
    }

    /// The same files: keyspaces may have come, and the log may have been closed.
    fn adopt(&self, next: Manifest) {
        let mut registry = self.keyspaces.write();
        for meta in next.keyspaces.iter().filter(|meta| !meta.dropped) {
            if !registry.contains_key(&meta.name) {
                let ordered = meta.options & UNORDERED == 0;
                let index = Arc::new(Index::new(meta.id, ordered, self.hash_key));
                let core = Arc::new(super::KeyspaceCore::new(meta.clone(), index));
                registry.insert(meta.name.clone(), core);
            }
        }
        self.feeds.raise(next.feed_floor);
        *self.manifest.lock() = next;
    }

    /// Loads everything anew (W2).
    fn reload(&self) -> Result<()> {
        let content = recovery::read_content(&self.dir, &self.options)?;
        let old: Vec<FileId> = self.files.load().iter().map(|f| f.id).collect();
        let is_new = |f: &&Arc<DataFile>| !old.contains(&f.id);
        let new: Vec<_> = content.live.iter().filter(is_new).cloned().collect();
        // Before files of merged records come in; see `feed/cursor.rs`.
        self.feeds.raise(content.manifest.feed_floor);
        // Old and new entries find their files while they change places.
        self.files.change(&new, &[]);
        let mut registry = self.keyspaces.write();
        let mut gone = Vec::new();
        registry.retain(|name, core| {
            let stays = content.keyspaces.get(name).is_some_and(|new| new.id() == core.id());
            gone.extend((!stays).then_some(core.id()));
            stays
        });
        for (name, core) in content.keyspaces {
            match registry.get(&name) {
                Some(old) => old.index.trade_places(&core.index),
                None => drop(registry.insert(name, core)),
            }
        }
        drop(registry);
        self.blobs.replace(&content.blobs);
        let all: Vec<FileId> = self.files.load().iter().map(|f| f.id).collect();
        self.files.change(&content.live, &all);
        *self.manifest.lock() = content.manifest;
        let mut views = self.views.lock();
        let before = views.tip();
        let tip = before.max(content.last_sequence);
        views.advance(tip);
        let missed = (tip > before).then_some(Sequence(before.0 + 1));
        let mut wakers = missed.map_or_else(Vec::new, |first| self.watching.lag_all(first));
        drop(views);
        wakers.extend(gone.into_iter().flat_map(|id| self.watching.end_keyspace(id)));
        self.watching.put_off(wakers);
        self.sync.advance(content.position, content.last_sequence);
        Ok(())
    }

    /// Applies the frames between the position and the floor.
    fn follow_log(&self, names: &[Name]) -> Result<()> {
        let manifest = self.manifest.lock().clone();
        let ahead = self.ahead(names, &manifest)?;
        let mut floor = self.sync.durable_position();
        if let Some(end) = manifest.clean_end {
            floor = floor.max(Some(LogPosition { file: end.file, offset: end.length }));
        }
        // From the last to the first: see `recovery::read_only`.
        for found in ahead.iter().rev() {
            floor = floor.max(found.header.watermark).max(found.watermark()?);
        }
        let Some(floor) = floor else { return Ok(()) };
        for (i, found) in ahead.iter().enumerate() {
            let next = ahead.get(i + 1).and_then(|next| next.header.predecessor);
            let end = next.map_or(u64::MAX, |end| end.length);
            let end = if found.file.id == floor.file { floor.offset.min(end) } else { end };
            if found.file.id <= floor.file {
                self.apply_through(found, end)?;
            }
        }
        let reached = self.sync.durable_position();
        let is_ahead = ahead.iter().any(|f| f.file.id == floor.file);
        if is_ahead && reached < Some(floor) {
            let path = self.dir.join(file_names::data(floor.file));
            let what = "the log ends below its durable watermark";
            return Err(crate::log::corrupt(&path, reached.map_or(0, |p| p.offset), what));
        }
        Ok(())
    }

    /// The log from the position on, file by file.
    fn ahead(&self, names: &[Name], manifest: &Manifest) -> Result<Vec<Ahead>> {
        let position = self.sync.durable_position();
        let is_listed = |id: FileId| manifest.files.iter().any(|f| f.id == id);
        let is_settled = |id: FileId| id < manifest.log_floor || is_listed(id);
        let mut ahead: Vec<Ahead> = Vec::new();
        let mut candidates = Vec::new();
        for name in names {
            let Name::Data(id) = *name else { continue };
            if !is_settled(id) && position.is_none_or(|p| id >= p.file) {
                candidates.extend(self.look_ahead(id, manifest)?);
            }
        }
        let current = position.filter(|p| !is_settled(p.file));
        let start = current.and_then(|p| {
            let at = candidates.iter().position(|c| c.file.id == p.file)?;
            Some((at, p.offset))
        });
        if let Some((at, offset)) = start {
            let mut first = candidates.swap_remove(at);
            first.from = offset;
            ahead.push(first);
        }
        loop {
            let before = ahead.last().map(|a| a.file.id);
            let follows = |c: &&Ahead| match (before, c.header.predecessor) {
                (Some(before), Some(p)) => p.file == before,
                (Some(_), None) => false,
                (None, Some(p)) => is_settled(p.file) || position.is_some_and(|q| q.file == p.file),
                (None, None) => true,
            };
            let next = candidates.iter().filter(follows).map(|c| c.file.id).max();
            let Some(at) = candidates.iter().position(|c| Some(c.file.id) == next) else {
                return Ok(ahead);
            };
            ahead.push(candidates.swap_remove(at));
        }
    }

    /// A log file, if it has been begun.
    fn look_ahead(&self, id: FileId, manifest: &Manifest) -> Result<Option<Ahead>> {
        let known = self.files.load().get(id).cloned();
        let file = match known {
            Some(file) => file,
            None => recovery::open_log_file(&self.dir, &self.options, manifest, id)?,
        };
        let len = file.handle().len().map_err(|e| self.io("measure", &file_names::data(id), e))?;
        if len < FILE_HEADER_LEN as u64 {
            return Ok(None);
        }
        let whole = file.unmapped(len)?;
        let header =
            whole.with_bytes(0, FILE_HEADER_LEN, |b| FileHeader::decode(b, &self.store_id, id))?;
        match header {
            Ok(DecodedHeader::Written(header)) if header.role == crate::log::Role::Log => {
                Ok(Some(Ahead { file, whole, header, from: FILE_HEADER_LEN as u64 }))
            }
            Ok(_) => Ok(None),
            Err(e) => Err(whole.corrupt(0, e)),
        }
    }

    /// Applies the frames of one file before `end` (W1).
    fn apply_through(&self, found: &Ahead, end: u64) -> Result<()> {
        if self.files.load().get(found.file.id).is_none() {
            self.files.change(&[Arc::clone(&found.file)], &[]);
        }
        let mut walk = FrameWalk::new(&found.whole, end);
        walk.seek(found.from);
        loop {
            match walk.step()? {
                Step::Frame(at, frame) => {
                    if frame.first <= self.tip() {
                        let what = format!("a frame of sequence {} is out of place", frame.first);
                        return Err(found.file.corrupt(at, what));
                    }
                    self.apply_frame(&found.file, at, &frame)?;
                }
                Step::End(at) if at >= end || end == u64::MAX => return Ok(()),
                Step::End(at) => return Err(found.file.corrupt(at, "zeros below the floor")),
                Step::Damaged(at, e) => return Err(found.file.corrupt(at, e)),
            }
        }
    }

    /// What a commit does, of one that is in the log already.
    fn apply_frame(&self, file: &Arc<DataFile>, offset: u64, frame: &FrameView<'_>) -> Result<()> {
        let mut batch = PreparedBatch::default();
        let all = self.all_keyspaces();
        let newest = frame.members().filter_map(|m| m.record.keyspace()).max();
        self.manifest.lock().check_known(newest.unwrap_or_default(), &self.dir)?;
        for member in frame.members() {
            let id = member.record.keyspace();
            match all.iter().find(|k| Some(k.id()) == id) {
                Some(keyspace) => batch.push(&keyspace.index, &member.record)?,
                None => batch.push_bare(&member.record),
            }
        }
        let end = offset + frame.len as u64;
        let at = Appended { file, offset, first: frame.first, last: frame.last() };
        file.grow(end);
        file.note_sequence(at.last);
        let table = FilesOnce::default();
        let mut views = self.views.lock();
        batch.indexes.iter().for_each(|index| views.touch(index));
        let telling = self.start_telling(&batch.encoder, &at, &batch.indexes);
        let files = &self.files;
        let cx = Applying { files, table: &table, views: &views, file, blobs: &self.blobs };
        batch.apply(&cx, &at);
        views.advance(at.last);
        drop(views);
        let mut wakers = Vec::new();
        if let Some(telling) = telling {
            telling.tell(When::Now(Durability::Buffered), &mut wakers);
        }
        self.watching.put_off(wakers);
        self.sync.advance(Some(LogPosition { file: file.id, offset: end }), at.last);
        Ok(())
    }

    /// Range deletes that were applied are worked off here: there is no other thread to do it.
    fn work_off_applied(&self) {
        const STEP: usize = 1_024;
        let mut guard = self.write_lock();
        for keyspace in self.all_keyspaces() {
            while keyspace.index.has_pending() {
                drop(guard.work_off(&keyspace.index, STEP));
            }
        }
    }
}

impl Ahead {
    /// The highest watermark in its frames from the position on, as far as they are whole.
    fn watermark(&self) -> Result<Option<LogPosition>> {
        let mut walk = FrameWalk::new(&self.whole, self.whole.written());
        walk.seek(self.from);
        let mut highest = None;
        let mut last = Sequence::ZERO;
        while let Step::Frame(at, frame) = walk.step()? {
            if frame.first <= last {
                break;
            }
            last = frame.last();
            let offset = frame.watermark_distance.and_then(|d| at.checked_sub(u64::from(d)));
            let file = self.file.id;
            highest = highest.max(offset.map(|offset| LogPosition { file, offset }));
        }
        Ok(highest)
    }
}
