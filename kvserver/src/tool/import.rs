//! JSON lines into a store.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufReader},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, UNIX_EPOCH},
};

use clap::Args;
use kvcore::{Batch, BytesKeyspace, Durability, KeyspaceInfo, Options, Put, Store};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json, value::RawValue};

use super::{Failure, base64, keys::Tag, output::Progress};

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

/// A line, whichever it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    keyspace: Option<Description>,
    #[serde(rename = "in")]
    name: Option<String>,
    key: Option<Value>,
    key_base64: Option<String>,
    #[serde(borrow, default, deserialize_with = "present")]
    value: Option<&'a RawValue>,
    value_base64: Option<String>,
    expires_at_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    name: String,
    key_tag: String,
    codec: String,
    #[serde(default)]
    schema_version: u32,
    #[serde(default = "yes")]
    ordered: bool,
    #[serde(default)]
    compressed: bool,
    #[serde(default)]
    expired_by_owner: bool,
    #[serde(default)]
    type_name: String,
}

/// A value that is there, `null` too.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

fn yes() -> bool {
    true
}

/// Entries per commit.
const COMMIT_ENTRIES: usize = 1_000;
/// Bytes of lines per commit, about.
const COMMIT_BYTES: usize = 1 << 20;

/// What an import holds while it runs.
struct Importing {
    store: Store,
    keyspaces: HashMap<String, (BytesKeyspace, Option<Tag>)>,
    batch: Batch,
    batch_bytes: usize,
    entries: u64,
    /// All lines up to here are in the store.
    applied: u64,
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
        let batch = store.batch();
        let mut importing = Importing {
            store,
            keyspaces: HashMap::new(),
            batch,
            batch_bytes: 0,
            entries: 0,
            applied: 0,
        };
        let read = importing.read(input, total, self.from_line);
        // What came before a bad line counts, durably.
        let (entries, applied) = (importing.entries, importing.applied);
        importing.store.close()?;
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

impl Importing {
    fn read(&mut self, mut input: impl BufRead, total: u64, from: u64) -> Result<(), Failure> {
        let mut progress = Progress::new();
        let (mut line, mut number, mut bytes) = (Vec::new(), 0, 0);
        loop {
            line.clear();
            number += 1;
            let read = input.read_until(b'\n', &mut line);
            let taken = match read {
                Ok(0) => {
                    self.commit(number - 1)?;
                    return Ok(());
                }
                Ok(len) => {
                    bytes += u64::try_from(len)?;
                    self.line(&line, number >= from)
                }
                Err(e) => Err(e.into()),
            };
            if let Err(e) = taken {
                self.commit(number - 1)?;
                return Err(format!("line {number}: {e}").into());
            }
            if self.batch.len() >= COMMIT_ENTRIES || self.batch_bytes >= COMMIT_BYTES {
                self.commit(number)?;
            }
            progress.show(bytes, total, "imported");
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

    fn line(&mut self, bytes: &[u8], is_wanted: bool) -> Result<(), Failure> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let line: Line<'_> = serde_json::from_slice(bytes)?;
        match line {
            Line { keyspace: Some(d), name: None, key: None, key_base64: None, .. } => {
                let info = KeyspaceInfo {
                    name: d.name.clone(),
                    key_tag: d.key_tag,
                    codec: d.codec,
                    schema_version: d.schema_version,
                    is_ordered: d.ordered,
                    is_compressed: d.compressed,
                    is_expired_by_owner: d.expired_by_owner,
                    type_name: d.type_name,
                };
                let keyspace = self.store.register_raw_keyspace(&info)?;
                self.keyspaces.insert(d.name, (keyspace, Tag::parse(&info.key_tag)));
                Ok(())
            }
            Line { keyspace: None, name: Some(_), .. } if is_wanted => {
                self.batch_bytes += bytes.len();
                self.entry(&line)
            }
            Line { keyspace: None, name: Some(_), .. } => Ok(()),
            _ => Err("it is neither a keyspace nor an entry".into()),
        }
    }

    fn entry(&mut self, line: &Line<'_>) -> Result<(), Failure> {
        let name = line.name.as_deref().unwrap_or_default();
        let (keyspace, tag) = self.find(name)?;
        let info = keyspace.info();
        let key = match (&line.key, &line.key_base64) {
            (Some(key), None) => tag.as_ref().and_then(|tag| tag.to_bytes(key)),
            (None, Some(text)) => base64::decode(text),
            _ => None,
        };
        let key = key.ok_or_else(|| format!("it has no key of type {}", info.key_tag))?;
        let wrong = || format!("it has no value as {} writes it", info.codec);
        let value: Vec<u8> = match (line.value, &line.value_base64) {
            (None, Some(text)) => base64::decode(text).ok_or_else(wrong)?,
            (Some(value), None) if info.codec == "json/1" => value.get().into(),
            (Some(value), None) if info.codec == "utf8" => {
                serde_json::from_str::<String>(value.get()).map_err(|_| wrong())?.into()
            }
            _ => return Err(wrong().into()),
        };
        let expires = line.expires_at_ms.map(Duration::from_millis);
        let at = expires.map(|since| UNIX_EPOCH.checked_add(since).ok_or("it expires too late"));
        let put = at.transpose()?.map_or_else(Put::default, Put::expires_at);
        self.batch.put_with(&keyspace, &key, &value, put)?;
        Ok(())
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
