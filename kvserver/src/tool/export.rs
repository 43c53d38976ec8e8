//! A store as JSON lines.
//!
//! Knows what is written in which order. The lines themselves are in [`super::lines`].

use std::{
    fs::{File, OpenOptions},
    io::{BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use clap::Args;
use kvcore::{BytesKeyspace, ValueReader};
use serde_json::json;

use super::{
    Failure, base64,
    keys::Tag,
    lines::{Description, Line, PART_BYTES, WHOLE_BYTES_MAX, next_line},
    output::{BytesEntry, Progress, for_each, keyspace, open_to_read, stdout},
    values::Shown,
};

/// Writes JSON lines.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The directory of the store
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The file to write, which must not exist yet [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only this keyspace; may be given several times
    #[arg(long = "keyspace", value_name = "NAME")]
    keyspaces: Vec<String>,
    /// Go on where an export into the same file was interrupted
    ///
    /// The lines that are there are compared with what they would be now, so the store is read
    /// from its beginning. It must not have changed since, but for entries that have expired.
    #[arg(long, requires = "output")]
    resume: bool,
    /// Tell what was written in JSON, on standard error
    #[arg(long)]
    json: bool,
}

impl Export {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let store = open_to_read(&self.dir)?;
        let names = match self.keyspaces.is_empty() {
            true => store.keyspace_names(),
            false => self.keyspaces.clone(),
        };
        let keyspaces: Result<Vec<BytesKeyspace>, Failure> =
            names.iter().map(|name| keyspace(&store, name)).collect();
        let keyspaces = keyspaces?;
        let total: u64 = keyspaces.iter().map(|k| k.len()).sum();
        let mut export = Exporting {
            sink: Sink::open(self.output.as_deref(), self.resume)?,
            progress: Progress::of_entries("exported"),
            entries: 0,
            total,
        };
        for keyspace in &keyspaces {
            export.keyspace(keyspace)?;
        }
        export.sink.finish()?;
        let Exporting { sink, progress, entries, .. } = export;
        drop(progress);
        if self.json {
            eprintln!("{}", json!({ "entries": entries, "lines_kept": sink.kept }));
        } else {
            eprintln!("Exported {entries} entries of {} keyspaces.", keyspaces.len());
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What an export holds while it runs.
struct Exporting {
    sink: Sink,
    progress: Progress,
    entries: u64,
    total: u64,
}

impl Exporting {
    fn keyspace(&mut self, keyspace: &BytesKeyspace) -> Result<(), Failure> {
        let info = keyspace.info();
        let tag = Tag::parse(&info.key_tag);
        self.sink.line(&Description::new(&info, keyspace.last_id()?).line()?)?;
        let mut entry = |entry: &BytesEntry| {
            self.entry(&info.name, &info.codec, tag.as_ref(), entry)?;
            self.entries += 1;
            self.progress.show(self.entries, self.total);
            Ok(true)
        };
        for_each(keyspace, &[], &mut entry)?;
        if info.is_expired_by_owner {
            // Their owner has still to see them, so they are not gone.
            for expired in keyspace.expired(usize::MAX)? {
                entry(&expired)?;
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        name: &str,
        codec: &str,
        tag: Option<&Tag>,
        entry: &BytesEntry,
    ) -> Result<(), Failure> {
        let name = json!(name);
        let key = match tag.and_then(|tag| tag.to_json(entry.key())) {
            Some(key) => format!("\"key\":{key}"),
            None => format!("\"key_base64\":\"{}\"", base64::encode(entry.key())),
        };
        let expires = match entry.expires_at() {
            Some(at) => {
                format!(",\"expires_at_ms\":{}", at.duration_since(UNIX_EPOCH)?.as_millis())
            }
            None => String::new(),
        };
        let mut reader = entry.reader()?;
        let bytes = reader.len();
        if bytes > WHOLE_BYTES_MAX {
            let parts = bytes.div_ceil(PART_BYTES as u64);
            let size = format!("\"parts\":{parts},\"bytes\":{bytes}");
            self.sink.line(&format!("{{\"in\":{name},{key},{size}{expires}}}"))?;
            return self.parts(reader);
        }
        let mut value = Vec::new();
        reader.read_to_end(&mut value)?;
        let value = Shown::of(codec, &value).member();
        self.sink.line(&format!("{{\"in\":{name},{key},{value}{expires}}}"))
    }

    fn parts(&mut self, mut reader: ValueReader) -> Result<(), Failure> {
        let mut part = Vec::with_capacity(PART_BYTES);
        loop {
            part.clear();
            if reader.by_ref().take(PART_BYTES as u64).read_to_end(&mut part)? == 0 {
                return Ok(());
            }
            self.sink.line(&format!("{{\"part_base64\":\"{}\"}}", base64::encode(&part)))?;
        }
    }
}

/// Where lines go; those that are there already are compared instead.
struct Sink {
    there: Option<There>,
    out: Box<dyn Write>,
    kept: u64,
}

/// Lines of an earlier export.
struct There {
    lines: BufReader<File>,
    line: Vec<u8>,
    /// Bytes of the lines looked at.
    bytes: u64,
    file: File,
}

impl Sink {
    fn open(path: Option<&Path>, resume: bool) -> Result<Sink, Failure> {
        let Some(path) = path else {
            return Ok(Sink { there: None, out: Box::new(stdout()), kept: 0 });
        };
        let named = |e| format!("cannot write {}: {e}", path.display());
        if !resume || !path.exists() {
            let file = OpenOptions::new().write(true).create_new(true).open(path).map_err(named)?;
            return Ok(Sink { there: None, out: Box::new(BufWriter::new(file)), kept: 0 });
        }
        let file = OpenOptions::new().append(true).open(path).map_err(named)?;
        let lines = BufReader::new(File::open(path).map_err(named)?);
        let out = Box::new(BufWriter::new(file.try_clone()?));
        let there = There { lines, line: Vec::new(), bytes: 0, file };
        Ok(Sink { there: Some(there), out, kept: 0 })
    }

    fn line(&mut self, line: &str) -> Result<(), Failure> {
        if let Some(there) = &mut self.there {
            if there.has(line, &mut self.kept)? {
                return Ok(());
            }
            self.there = None;
        }
        Ok(writeln!(self.out, "{line}")?)
    }

    fn finish(&mut self) -> Result<(), Failure> {
        if let Some(mut there) = self.there.take()
            && there.next()?
            && !there.is_expired(&mut self.kept)?
        {
            return Err(differs(self.kept + 1));
        }
        Ok(self.out.flush()?)
    }
}

impl There {
    /// The line is there next, perhaps behind entries that have expired since. At the end of what
    /// is there a line that was not finished goes.
    fn has(&mut self, line: &str, kept: &mut u64) -> Result<bool, Failure> {
        while self.next()? {
            if self.line.strip_suffix(b"\n") == Some(line.as_bytes()) {
                *kept += 1;
                return Ok(true);
            }
            if !self.is_expired(kept)? {
                return Err(differs(*kept + 1));
            }
        }
        self.file.set_len(self.bytes)?;
        Ok(false)
    }

    /// Goes to the next whole line, if there is one.
    fn next(&mut self) -> Result<bool, Failure> {
        let is_whole = next_line(&mut self.lines, &mut self.line)? && self.line.ends_with(b"\n");
        if is_whole {
            self.bytes += self.line.len() as u64;
        }
        Ok(is_whole)
    }

    /// The line is an entry whose time has come; if so, goes to the end of its parts.
    fn is_expired(&mut self, kept: &mut u64) -> Result<bool, Failure> {
        let Ok(line) = serde_json::from_slice::<Line<'_>>(&self.line) else { return Ok(false) };
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        if line.expires_at_ms.is_none_or(|at| u128::from(at) > now_ms) {
            return Ok(false);
        }
        *kept += 1;
        for _ in 0..line.parts.unwrap_or(0) {
            if !self.next()? {
                break;
            }
            *kept += 1;
        }
        Ok(true)
    }
}

fn differs(line: u64) -> Failure {
    let what = "the file is of another export, or the store has changed since";
    format!("line {line} is not what it would be now: {what}").into()
}
