//! A look at every byte of a store that is not open.

use super::{Check, Damage, Gap, check_blob, sweep};
use crate::{
    error::Result,
    ids::Sequence,
    log::{FILE_HEADER_LEN, LogPosition, file_names},
    options::Options,
    recovery::{FoundFile, Survey},
};
use std::cell::RefCell;

/// What stands in a log that is not known to have been durable there.
struct Doubt {
    at: LogPosition,
    damage: Damage,
}

impl Check<'_> {
    /// Goes through everything that was found.
    pub(super) fn survey(&mut self, found: Survey, options: &Options) -> Result<()> {
        self.total = found.parts.iter().map(|p| p.len).sum();
        for damage in &found.damage {
            self.damage(damage.clone());
        }
        self.verified.files += u64::from(found.is_current);
        let mut floor = found.floor();
        let mut doubts = Vec::new();
        for part in &found.parts {
            self.part(&found, part, &mut floor, &mut doubts)?;
        }
        for id in found.missing() {
            let path = found.store.path(&file_names::data(id));
            let damage = Damage::new(&path, 0, 0, "the log file is missing");
            doubts.push(Doubt { at: LogPosition { file: id, offset: 0 }, damage });
        }
        self.settle(&found, floor, doubts);
        self.all_blobs(&found, options)?;
        self.tell();
        Ok(())
    }

    fn part(
        &mut self,
        found: &Survey,
        part: &FoundFile,
        floor: &mut Option<LogPosition>,
        doubts: &mut Vec<Doubt>,
    ) -> Result<()> {
        self.verified.files += 1;
        let path = &part.file.path;
        let doubts_before = doubts.len();
        let mut doubt = |offset, damage| doubts.push(Doubt { at: part.place(offset), damage });
        if let Some(what) = &part.damage {
            let what = format!("file header: {what}");
            doubt(0, Damage::new(path, 0, FILE_HEADER_LEN as u64, what));
        }
        let mut expected = part.header.filter(|_| !part.is_listed).map(|h| h.first_sequence);
        let mut whole = FILE_HEADER_LEN as u64;
        let gaps: RefCell<Vec<Gap>> = RefCell::default();
        let swept = sweep(
            &part.file,
            part.len,
            |at, frame| {
                if expected.is_some_and(|e| e != frame.first) && gaps.borrow().is_empty() {
                    let what = format!("a frame of sequence {} is out of place", frame.first);
                    doubt(at, Damage::new(path, at, frame.len as u64, what));
                }
                expected = expected.map(|_| Sequence(frame.last().0.saturating_add(1)));
                whole = at + frame.len as u64;
                let durable = frame.watermark_distance.map(|d| at.saturating_sub(u64::from(d)));
                if let Some(offset) = durable.filter(|_| !part.is_listed) {
                    *floor = (*floor).max(Some(part.place(offset)));
                }
                self.verified.records += u64::from(frame.count);
                frame.members().for_each(|m| self.refs.add(&m));
                self.read(frame.len as u64);
            },
            |gap| gaps.borrow_mut().push(gap),
        );
        self.note(swept)?;
        for gap in gaps.take().iter().filter(|gap| part.is_exact || !gap.is_end) {
            doubt(gap.from, gap.damage(path));
        }
        if part.is_exact && part.file.written() < part.len && !part.is_listed {
            let what = format!("the file ends before byte {}", part.len);
            let at = part.file.written();
            doubt(at, Damage::new(path, at, part.len - at, what));
        }
        if doubts.len() == doubts_before {
            self.part_hint(found, part, if part.is_exact { part.len } else { whole })?;
        }
        Ok(())
    }

    fn part_hint(&mut self, found: &Survey, part: &FoundFile, len: u64) -> Result<()> {
        let disk = &*found.store.options().disk;
        let file = part.file.unmapped(len)?;
        let checked = self.hint(disk, &file, found.store.store_id());
        self.note(checked)
    }

    /// Below the floor it is damage; at or above it the log is cut there (Y3).
    fn settle(&mut self, found: &Survey, floor: Option<LogPosition>, mut doubts: Vec<Doubt>) {
        doubts.sort_by_key(|d| d.at);
        // The log must reach its floor, unless what was there has been copied: then it is listed up
        // to where that begins, and where it once ended says nothing.
        let log_floor = found.store.manifest().log_floor;
        if let Some(floor) = floor.filter(|floor| found.is_current && floor.file >= log_floor)
            && let Some(part) = found.parts.iter().find(|p| p.file.id == floor.file)
            && part.len < floor.offset
        {
            let what = "the log ends below its durable watermark";
            self.damage(Damage::new(&part.file.path, part.len, 0, what));
        }
        for Doubt { at, damage } in doubts {
            let listed = found.parts.iter().any(|p| p.file.id == at.file && p.is_listed);
            if listed || !found.is_current || floor.is_some_and(|floor| at < floor) {
                self.damage(damage);
            } else if self.verified.torn_tail.is_none() {
                self.verified.torn_tail = Some((damage.file, at.offset));
            }
        }
    }

    fn all_blobs(&mut self, found: &Survey, options: &Options) -> Result<()> {
        let store = found.store.store_id();
        let mut missing = Vec::new();
        for (id, len, checksum) in self.refs.all() {
            let path = found.store.path(&file_names::blob(id));
            if !found.names.contains(&file_names::Name::Blob(id)) {
                missing.push((id, path, len));
                continue;
            }
            self.verified.files += 1;
            let checked = check_blob(&*options.disk, &path, store, (id, len, checksum));
            self.note(checked)?;
            self.read(len);
        }
        if missing.is_empty() {
            return Ok(());
        }
        // Most are missing because what referred to them is dead: ask the log once more.
        for part in &found.parts {
            sweep(
                &part.file,
                part.len,
                |_, f| {
                    f.members().for_each(|m| self.refs.supersede(&m));
                },
                |_| {},
            )?;
        }
        let is_known = |id| {
            let mut known = found.store.manifest().keyspaces.iter();
            !found.is_current || known.any(|k| k.id == id && !k.dropped)
        };
        for (id, path, len) in missing {
            if self.refs.is_needed(id, is_known) {
                self.damage(Damage::new(&path, 0, len, "a value refers to it, it is missing"));
            }
        }
        Ok(())
    }
}
