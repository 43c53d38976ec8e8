//! A store as JSON lines.
//!
//! A line `{"keyspace": {…}}` describes a keyspace; `{"in": name, "key": …, "value": …}` is an
//! entry of it, with `value_base64` where the codec does not describe itself, `key_base64` where a
//! key's tag is not known, and `expires_at_ms` where it expires.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::UNIX_EPOCH,
};

use clap::Args;
use kvcore::{BytesKeyspace, KeyspaceInfo};
use serde_json::json;

use super::{
    Failure, base64,
    keys::Tag,
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
    /// Go on where an export into the same file was interrupted; the store must not have changed
    #[arg(long, requires = "output")]
    resume: bool,
    /// Tell what was written in JSON, on standard error
    #[arg(long)]
    json: bool,
}

/// Where lines go; those that are there already are compared instead.
struct Sink {
    there: Option<BufReader<File>>,
    out: Box<dyn Write>,
    kept: u64,
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
        let mut sink = Sink::open(self.output.as_deref(), self.resume)?;
        let mut progress = Progress::new();
        let mut entries = 0;
        for keyspace in &keyspaces {
            let info = keyspace.info();
            let tag = Tag::parse(&info.key_tag);
            sink.line(&describe(&info))?;
            for_each(keyspace, &[], |entry| {
                sink.line(&line(keyspace, &info, tag.as_ref(), entry)?)?;
                entries += 1;
                progress.show(entries, total, "exported");
                Ok(true)
            })?;
        }
        sink.finish()?;
        drop(progress);
        let kept = sink.kept;
        if self.json {
            eprintln!("{}", json!({ "entries": entries, "lines_kept": kept }));
        } else {
            eprintln!("Exported {entries} entries of {} keyspaces.", keyspaces.len());
        }
        Ok(ExitCode::SUCCESS)
    }
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
        // A line that was not finished goes.
        let mut reader = BufReader::new(File::open(path).map_err(named)?);
        let (mut whole, mut line) = (0, Vec::new());
        loop {
            line.clear();
            let len = reader.read_until(b'\n', &mut line)?;
            if len == 0 || line.last() != Some(&b'\n') {
                break;
            }
            whole += u64::try_from(len)?;
        }
        let file = OpenOptions::new().append(true).open(path).map_err(named)?;
        file.set_len(whole)?;
        let there = BufReader::new(File::open(path).map_err(named)?);
        Ok(Sink { there: Some(there), out: Box::new(BufWriter::new(file)), kept: 0 })
    }

    fn line(&mut self, line: &str) -> Result<(), Failure> {
        if let Some(there) = &mut self.there {
            let mut found = String::new();
            if there.read_line(&mut found)? > 0 {
                self.kept += 1;
                if found.strip_suffix('\n') == Some(line) {
                    return Ok(());
                }
                let at = self.kept;
                let what = "the file is of another export, or the store has changed since";
                return Err(format!("line {at} is not what it would be now: {what}").into());
            }
            self.there = None;
        }
        Ok(writeln!(self.out, "{line}")?)
    }

    fn finish(&mut self) -> Result<(), Failure> {
        Ok(self.out.flush()?)
    }
}

fn describe(info: &KeyspaceInfo) -> String {
    let keyspace = json!({
        "name": info.name, "key_tag": info.key_tag, "codec": info.codec,
        "schema_version": info.schema_version, "ordered": info.is_ordered,
        "compressed": info.is_compressed, "expired_by_owner": info.is_expired_by_owner,
        "type_name": info.type_name,
    });
    json!({ "keyspace": keyspace }).to_string()
}

fn line(
    keyspace: &BytesKeyspace,
    info: &KeyspaceInfo,
    tag: Option<&Tag>,
    entry: &BytesEntry,
) -> Result<String, Failure> {
    let name = json!(info.name);
    let key = match tag.and_then(|tag| tag.to_json(entry.key())) {
        Some(key) => format!("\"key\":{key}"),
        None => format!("\"key_base64\":\"{}\"", base64::encode(entry.key())),
    };
    let value = entry.value_bytes()?;
    let value = Shown::of(&info.codec, &value).member();
    let expires = match keyspace.expires_at(entry.key())? {
        Some(at) => format!(",\"expires_at_ms\":{}", at.duration_since(UNIX_EPOCH)?.as_millis()),
        None => String::new(),
    };
    Ok(format!("{{\"in\":{name},{key},{value}{expires}}}"))
}
