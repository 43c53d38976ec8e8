//! JSON lines into a store.
//!
//! # Invariants
//!
//! I1. Lines are taken in order, and what they say is committed in order: after an error everything
//!     before the line that is told is in the store, and nothing from it on.
//! I2. Memory does not depend on the length of values, nor on the number of lines.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, UNIX_EPOCH},
};

use clap::Args;
use kvcore::{Batch, BytesKeyspace, Durability, Options, Put, Store};
use serde_json::json;

use super::{
    Failure, base64,
    keys::Tag,
    lines::{Description, Line, PART_BYTES, next_line},
    output::Progress,
};

/// Reads JSON lines.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The directory of the store; it is made if it does not exist
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The file to read [default: standard input]
    #[arg(long, short, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Take entries from this line on, after an import that stopped there
    #[arg(long, value_name = "N", default_value_t = 1)]
    from_line: u64,
    /// Tell what was done in JSON
    #[arg(long)]
    json: bool,
}

impl Import {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let (input, total): (Box<dyn BufRead>, u64) = match &self.input {
            None => (Box::new(io::stdin().lock()), 0),
            Some(path) => {
                let named = |e: io::Error| format!("cannot read {}: {e}", path.display());
                let file = File::open(path).map_err(named)?;
                let len = file.metadata().map_err(named)?.len();
                (Box::new(BufReader::new(file)), len)
            }
        };
        let store = Options::new().durability(Durability::Buffered).open(&self.dir)?;
        let mut importing = Importing::new(&store, Lines::new(input, total));
        let read = importing.read(self.from_line);
        let Importing { entries, applied, .. } = importing;
        // What came before a bad line counts, durably.
        store.close()?;
        if let Err(e) = read {
            let next = applied + 1;
            return Err(format!(
                "{e}\nEverything before line {next} is in the store ({entries} entries of this \
                 run), nothing from there on. Mend the line and go on with --from-line {next}."
            )
            .into());
        }
        match self.json {
            true => println!("{}", json!({ "entries": entries, "lines": applied })),
            false => println!("Imported {entries} entries."),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The lines, and how far they are read.
pub(super) struct Lines<R> {
    input: R,
    line: Vec<u8>,
    /// Of the line at hand, from 1.
    number: u64,
    bytes: u64,
    total: u64,
    progress: Progress,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R, total: u64) -> Lines<R> {
        let progress = Progress::of_bytes("imported");
        Lines { input, line: Vec::new(), number: 0, bytes: 0, total, progress }
    }

    /// Goes to the next line; false at the end.
    fn advance(&mut self) -> io::Result<bool> {
        self.number += 1;
        let is_there = next_line(&mut self.input, &mut self.line)?;
        self.bytes += self.line.len() as u64;
        self.progress.show(self.bytes, self.total);
        Ok(is_there)
    }
}

/// Entries per commit.
const COMMIT_ENTRIES: usize = 1_000;
/// Bytes of lines per commit, about.
const COMMIT_BYTES: usize = 1 << 20;

/// What an import holds while it runs.
pub(super) struct Importing<'s, R> {
    store: &'s Store,
    lines: Lines<R>,
    keyspaces: HashMap<String, (BytesKeyspace, Option<Tag>)>,
    batch: Batch,
    batch_bytes: usize,
    pub(super) entries: u64,
    /// All lines up to here are in the store.
    pub(super) applied: u64,
    /// The last large value that was left out, as its line came before the first that is wanted.
    left_out: u64,
}

impl<'s, R: BufRead> Importing<'s, R> {
    pub(super) fn new(store: &'s Store, lines: Lines<R>) -> Self {
        Importing {
            store,
            lines,
            keyspaces: HashMap::new(),
            batch: store.batch(),
            batch_bytes: 0,
            entries: 0,
            applied: 0,
            left_out: 0,
        }
    }

    /// Takes all lines, entries from line `from` on.
    pub(super) fn read(&mut self, from: u64) -> Result<(), Failure> {
        loop {
            let before = self.lines.number;
            let taken = match self.lines.advance() {
                Ok(false) => return self.commit(before),
                Ok(true) => self.line(from),
                Err(e) => Err(e.into()),
            };
            if let Err(e) = taken {
                let number = self.lines.number;
                self.commit(before)?;
                return Err(format!("line {number}: {e}").into());
            }
            if self.batch.len() >= COMMIT_ENTRIES || self.batch_bytes >= COMMIT_BYTES {
                self.commit(self.lines.number)?;
            }
        }
    }

    /// Puts what was collected into the store: all lines up to this one.
    fn commit(&mut self, through: u64) -> Result<(), Failure> {
        let batch = std::mem::replace(&mut self.batch, self.store.batch());
        let entries = u64::try_from(batch.len())?;
        batch.commit()?;
        self.batch_bytes = 0;
        self.entries += entries;
        self.applied = through;
        Ok(())
    }

    fn line(&mut self, from: u64) -> Result<(), Failure> {
        let bytes = std::mem::take(&mut self.lines.line);
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let is_wanted = self.lines.number >= from;
        let line: Line<'_> = serde_json::from_slice(&bytes)?;
        match &line {
            Line { keyspace: Some(d), name: None, key: None, key_base64: None, .. } => {
                self.describe(d)
            }
            Line { keyspace: None, name: Some(_), parts: Some(parts), .. } if is_wanted => {
                self.large(&line, *parts)
            }
            Line { keyspace: None, name: Some(_), .. } if is_wanted => {
                self.batch_bytes += bytes.len();
                self.entry(&line)
            }
            Line { keyspace: None, name: Some(_), parts, .. } => {
                let number = self.lines.number;
                self.left_out = parts.map_or(self.left_out, |_| number);
                Ok(())
            }
            Line { part_base64: Some(_), .. } if !is_wanted => Ok(()),
            Line { part_base64: Some(_), .. } if self.left_out > 0 => {
                let began = self.left_out;
                Err(format!("it is a part of a value that begins at line {began}").into())
            }
            _ => Err("it is neither a keyspace nor an entry".into()),
        }
    }

    fn describe(&mut self, description: &Description) -> Result<(), Failure> {
        let info = description.info();
        let keyspace = self.store.register_raw_keyspace(&info)?;
        keyspace.skip_ids(description.last_id)?;
        self.keyspaces.insert(info.name, (keyspace, Tag::parse(&info.key_tag)));
        Ok(())
    }

    fn entry(&mut self, line: &Line<'_>) -> Result<(), Failure> {
        let (keyspace, key, put) = self.place(line)?;
        let info = keyspace.info();
        let wrong = || format!("it has no value as {} writes it", info.codec);
        let value: Vec<u8> = match (line.value, &line.value_base64) {
            (None, Some(text)) => base64::decode(text).ok_or_else(wrong)?,
            (Some(value), None) if info.codec == "json/1" => value.get().into(),
            (Some(value), None) if info.codec == "utf8" => {
                serde_json::from_str::<String>(value.get()).map_err(|_| wrong())?.into()
            }
            _ => return Err(wrong().into()),
        };
        self.batch.put_with(&keyspace, &key, &value, put)?;
        Ok(())
    }

    /// An entry whose value follows in parts; its line is only applied with all of them (I1).
    fn large(&mut self, line: &Line<'_>, parts: u64) -> Result<(), Failure> {
        let (keyspace, key, put) = self.place(line)?;
        let bytes = line.bytes.ok_or("it does not tell the bytes of its value")?;
        self.commit(self.lines.number - 1)?;
        let mut source = Parts { lines: &mut self.lines, left: parts, bytes, at: 0, part: vec![] };
        match keyspace.put_reader_with(&key, &mut source, put) {
            Ok(_) => {
                self.entries += 1;
                self.applied = self.lines.number;
                Ok(())
            }
            Err(kvcore::Error::Source { source }) => Err(source.into()),
            Err(e) => Err(e.into()),
        }
    }

    /// Where an entry goes.
    fn place(&mut self, line: &Line<'_>) -> Result<(BytesKeyspace, Vec<u8>, Put), Failure> {
        let name = line.name.as_deref().unwrap_or_default();
        let (keyspace, tag) = self.find(name)?;
        let key = match (&line.key, &line.key_base64) {
            (Some(key), None) => tag.as_ref().and_then(|tag| tag.to_bytes(key)),
            (None, Some(text)) => base64::decode(text),
            _ => None,
        };
        let key = key.ok_or_else(|| format!("it has no key of type {}", keyspace.info().key_tag));
        let expires = line.expires_at_ms.map(Duration::from_millis);
        let at = expires.map(|since| UNIX_EPOCH.checked_add(since).ok_or("it expires too late"));
        let put = at.transpose()?.map_or_else(Put::default, Put::expires_at);
        Ok((keyspace, key?, put))
    }

    /// The keyspace of an entry: described before, or in the store already.
    fn find(&mut self, name: &str) -> Result<(BytesKeyspace, Option<Tag>), Failure> {
        if let Some(found) = self.keyspaces.get(name) {
            return Ok(found.clone());
        }
        let keyspace = self.store.raw_keyspace(name)?;
        let keyspace = keyspace.ok_or_else(|| format!("there is no keyspace {name:?}"))?;
        let tag = Tag::parse(&keyspace.info().key_tag);
        self.keyspaces.insert(name.to_owned(), (keyspace.clone(), tag.clone()));
        Ok((keyspace, tag))
    }
}

/// The value of a large entry, from the lines that follow its own.
struct Parts<'l, R> {
    lines: &'l mut Lines<R>,
    /// Lines to come.
    left: u64,
    /// Bytes to come.
    bytes: u64,
    part: Vec<u8>,
    /// What of the part is given out.
    at: usize,
}

impl<R: BufRead> Parts<'_, R> {
    fn next_part(&mut self) -> io::Result<()> {
        let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what);
        self.left -= 1;
        if !self.lines.advance()? {
            return Err(bad("the file ends within a value"));
        }
        let line: Line<'_> = serde_json::from_slice(&self.lines.line)?;
        let part = line.part_base64.as_deref().and_then(base64::decode);
        self.part = part.filter(|p| p.len() <= PART_BYTES).ok_or_else(|| {
            bad("a part of the value of the entry above is expected, as export writes it")
        })?;
        self.at = 0;
        let left = self.bytes.checked_sub(self.part.len() as u64);
        self.bytes = left.ok_or_else(|| bad("the parts are longer than their value"))?;
        if self.left == 0 && self.bytes > 0 {
            return Err(bad("the parts are shorter than their value"));
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Parts<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.part.len() && self.left > 0 {
            self.next_part()?;
        }
        let mut rest = &self.part[self.at..];
        let read = rest.read(out)?;
        self.at += read;
        Ok(read)
    }
}
