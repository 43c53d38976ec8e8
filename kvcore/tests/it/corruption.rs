//! Every byte of small stores damaged, one at a time: each key reads its value, or an error names
//! the file, or the reported torn tail covers it. Anything else is a wrong answer.
//!
//! `KVCORE_CORRUPTION_BITS=8` flips every bit of every byte instead of one.

pub(crate) mod sample;

use std::path::{Path, PathBuf};

use kvcore::Error;

use self::sample::{Sample, Seen};

/// A finding that the rules do not allow.
type Verdict = Result<(), String>;

/// What was done to a copy of a store.
struct Damage {
    what: String,
    /// The files an error may name.
    files: Vec<PathBuf>,
    /// The end of an unclean log is gone: what nothing else tells of may go unnoticed.
    loses_tail: bool,
}

impl Damage {
    /// Damage of whole files or large parts of them.
    fn of(sample: &Sample, what: String, paths: &[&PathBuf]) -> Damage {
        let files = paths.iter().flat_map(|path| sample.with_neighbours(path)).collect();
        let loses_tail = paths.iter().any(|path| sample.tail.as_ref() == Some(path));
        Damage { what, files, loses_tail }
    }
}

/// Counts cases and collects the ones that went wrong.
#[derive(Default)]
struct Cases {
    tried: u64,
    refused: u64,
    cut: u64,
    unnoticed: u64,
    partly: u64,
    whole: u64,
    wrong: Vec<String>,
}

impl Cases {
    /// Opens a damaged copy of a sample and judges what it gives.
    fn judge(&mut self, sample: &Sample, disk: &kvcore::disk::SimDisk, damage: &Damage) {
        self.tried += 1;
        let look = std::panic::AssertUnwindSafe(|| sample.look(disk));
        let looked = std::panic::catch_unwind(look);
        let verdict = match looked {
            Err(_) => Err("it panicked".to_owned()),
            Ok(Err(e)) => {
                self.refused += 1;
                names_a_file(&e, damage)
            }
            Ok(Ok(seen)) => self.judge_content(sample, &seen, damage),
        };
        if let Err(why) = verdict {
            self.wrong.push(format!("{}: {why}", damage.what));
        }
    }

    fn judge_content(&mut self, sample: &Sample, seen: &Seen, damage: &Damage) -> Verdict {
        for e in &seen.errors {
            names_a_file(e, damage)?;
        }
        let state = sample.state_like(seen);
        match (state, &seen.cut_at) {
            (None, _) => Err(format!("no state of the store reads like this: {seen:?}")),
            (Some(at), _) if at == sample.states.len() - 1 => {
                if seen.errors.is_empty() {
                    self.whole += 1
                } else {
                    self.partly += 1
                }
                Ok(())
            }
            (Some(_), None) if damage.loses_tail => {
                self.unnoticed += 1;
                Ok(())
            }
            (Some(at), _) if at < sample.durable && !damage.loses_tail => {
                Err(format!("state {at} came back, {} was durable", sample.durable))
            }
            (Some(_), Some(_)) if seen.dropped_bytes > 0 || damage.loses_tail => {
                self.cut += 1;
                Ok(())
            }
            (Some(at), cut) => Err(format!(
                "state {at} of {} without a report: {cut:?}, {} bytes",
                sample.states.len() - 1,
                seen.dropped_bytes
            )),
        }
    }

    fn finish(self, name: &str) {
        let Cases { tried, refused, cut, unnoticed, partly, whole, wrong } = self;
        println!(
            "{name}: {tried} cases: {refused} refused at open, {cut} cut and reported, \
             {unnoticed} lost the unsynced end, {partly} with errors at reads, {whole} without \
             effect, {} wrong",
            wrong.len()
        );
        let shown = wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
        assert!(wrong.is_empty() && tried > 0, "{} wrong:\n{shown}", wrong.len());
    }
}

/// Errors say which file is damaged, and where.
fn names_a_file(e: &Error, damage: &Damage) -> Verdict {
    match e {
        Error::Corrupt { .. } => {}
        Error::NotAStore { .. } if damage.what.contains("missing") => return Ok(()),
        other => return Err(format!("an error that tells no place: {other:?}")),
    }
    let text = e.to_string();
    let name = |file: &PathBuf| file.file_name().map(|name| name.to_string_lossy().into_owned());
    let is_meant = damage.files.iter().filter_map(name).any(|name| text.contains(&name));
    if is_meant || damage.files.is_empty() {
        return Ok(());
    }
    Err(format!("the error names another file: {text}"))
}

fn bits_per_byte() -> u8 {
    std::env::var("KVCORE_CORRUPTION_BITS").map_or(1, |bits| bits.parse().expect("1 to 8"))
}

fn flip_everything(sample: &Sample, bits: u8, name: &str) {
    let mut cases = Cases::default();
    for path in sample.disk.paths() {
        let len = sample.disk.read_file(&path).expect("listed").len();
        for byte in 0..len {
            let first = byte.to_le_bytes()[0] % 8;
            for bit in (0..bits).map(|n| (first + n) % 8) {
                let disk = sample.disk.clean_image();
                disk.flip_bit(&path, byte, bit).expect("inside the file");
                let what = format!("{} byte {byte} bit {bit}", path.display());
                let files = vec![path.clone()];
                cases.judge(sample, &disk, &Damage { what, files, loses_tail: false });
            }
        }
    }
    cases.finish(name);
}

#[test]
fn every_flipped_byte_of_a_closed_store_is_an_error_or_without_effect() {
    flip_everything(&Sample::closed(), bits_per_byte(), "flips, closed");
}

#[test]
fn every_flipped_byte_of_an_unclean_store_is_an_error_or_reported() {
    flip_everything(&Sample::unclean(), bits_per_byte(), "flips, unclean");
}

#[test]
fn every_flipped_bit_of_the_smallest_stores_is_an_error_or_reported() {
    flip_everything(&Sample::smallest_closed(), 8, "bits, smallest closed");
    flip_everything(&Sample::smallest_unclean(), 8, "bits, smallest unclean");
}

/// Cut to every length, except those that only cut unused space off.
fn truncate_everything(sample: &Sample, name: &str) {
    let mut cases = Cases::default();
    for path in sample.disk.paths() {
        let len = sample.disk.read_file(&path).expect("listed").len();
        for to in 0..len {
            let disk = sample.disk.clean_image();
            disk.truncate(&path, to).expect("listed");
            let what = format!("{} cut from {len} to {to} bytes", path.display());
            cases.judge(sample, &disk, &Damage::of(sample, what, &[&path]));
        }
    }
    cases.finish(name);
}

#[test]
fn every_truncation_of_a_closed_store_is_an_error_or_without_effect() {
    truncate_everything(&Sample::closed(), "truncations, closed");
}

#[test]
fn every_truncation_of_an_unclean_store_is_an_error_or_reported_or_an_unsynced_end() {
    truncate_everything(&Sample::unclean(), "truncations, unclean");
}

#[test]
fn missing_files_are_errors_or_not_needed() {
    let mut cases = Cases::default();
    for sample in [Sample::closed(), Sample::unclean_synced()] {
        for path in sample.disk.paths() {
            let disk = sample.disk.clean_image();
            kvcore::disk::Disk::unlink(&disk, &path).expect("listed");
            let what = format!("{} is missing", path.display());
            cases.judge(&sample, &disk, &Damage::of(&sample, what, &[&path]));
        }
    }
    cases.finish("missing files");
}

#[test]
fn swapped_files_are_errors_or_not_needed() {
    let mut cases = Cases::default();
    for sample in [Sample::closed(), Sample::unclean_synced()] {
        let paths = sample.disk.paths();
        for (i, a) in paths.iter().enumerate() {
            for b in &paths[i + 1..] {
                let disk = sample.disk.clean_image();
                let read = |path: &Path| sample.disk.read_file(path).expect("listed");
                disk.write_file(a, &read(b)).expect("the directory is there");
                disk.write_file(b, &read(a)).expect("the directory is there");
                let what = format!("{} and {} swapped", a.display(), b.display());
                cases.judge(&sample, &disk, &Damage::of(&sample, what, &[a, b]));
            }
        }
    }
    cases.finish("swapped files");
}

#[test]
fn copied_files_of_the_same_and_of_other_stores_are_errors_or_not_needed() {
    let mut cases = Cases::default();
    let sample = Sample::closed();
    let other = Sample::closed();
    for path in sample.disk.paths() {
        for from in other.disk.paths() {
            if path.extension() != from.extension() {
                continue;
            }
            for source in [&sample, &other] {
                let disk = sample.disk.clean_image();
                let bytes = source.disk.read_file(&from).expect("both stores are made alike");
                disk.write_file(&path, &bytes).expect("the directory is there");
                let what = format!("{} overwritten by {}", path.display(), from.display());
                // A whole manifest of another store makes every other file the wrong one.
                cases.judge(&sample, &disk, &Damage { what, files: Vec::new(), loses_tail: false });
            }
        }
    }
    cases.finish("copied files");
}

#[test]
fn zeroed_sectors_are_errors_or_reported() {
    const SECTOR_LEN: usize = 64;
    let mut cases = Cases::default();
    for sample in [Sample::closed(), Sample::unclean()] {
        for path in sample.disk.paths() {
            let bytes = sample.disk.read_file(&path).expect("listed");
            for at in (0..bytes.len()).step_by(SECTOR_LEN) {
                let mut bytes = bytes.clone();
                let end = (at + SECTOR_LEN).min(bytes.len());
                bytes[at..end].fill(0);
                let disk = sample.disk.clean_image();
                disk.write_file(&path, &bytes).expect("the directory is there");
                let what = format!("{} zeroed from {at} to {end}", path.display());
                cases.judge(&sample, &disk, &Damage::of(&sample, what, &[&path]));
            }
        }
    }
    cases.finish("zeroed sectors");
}
