//! Looking into a store: figures, keys, values.

use std::{io::Write, process::ExitCode};

use clap::Args;
use kvcore::{BytesKeyspace, KeyspaceInfo, Store};
use serde_json::{Value, json};

use super::{
    At, Failure,
    keys::{Tag, bytes_json},
    output::{BytesEntry, for_each, keyspace, open_to_read, size, stdout},
    values::{Shown, printable},
};

/// Lists keys.
#[derive(Debug, Args)]
pub(crate) struct Keys {
    #[command(flatten)]
    at: At,
    /// The keyspace; without one, the keyspaces are listed
    #[arg(value_name = "KEYSPACE")]
    keyspace: Option<String>,
    #[command(flatten)]
    which: Which,
}

/// Shows one value.
#[derive(Debug, Args)]
pub(crate) struct Get {
    #[command(flatten)]
    at: At,
    /// The keyspace
    #[arg(value_name = "KEYSPACE")]
    keyspace: String,
    /// The key: text and numbers as they are, bytes as text or base64:…, tuples like '["a",1]'
    #[arg(value_name = "KEY", allow_hyphen_values = true)]
    key: String,
}

/// Lists keys and values.
#[derive(Debug, Args)]
pub(crate) struct Scan {
    #[command(flatten)]
    at: At,
    /// The keyspace
    #[arg(value_name = "KEYSPACE")]
    keyspace: String,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Args)]
struct Which {
    /// Only keys that begin like this; of tuples a JSON array of their first parts
    #[arg(long, value_name = "PREFIX", default_value = "", hide_default_value = true)]
    prefix: String,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = u64::MAX, hide_default_value = true)]
    limit: u64,
}

/// A stored key as JSON: by its tag, or else its bytes.
pub(super) fn key_json(tag: Option<&Tag>, key: &[u8]) -> Value {
    tag.and_then(|tag| tag.to_json(key)).unwrap_or_else(|| bytes_json(key))
}

fn human_key(tag: Option<&Tag>, key: &[u8]) -> String {
    match key_json(tag, key) {
        Value::String(text) => printable(&text),
        Value::Object(object) if object.contains_key("base64") => match std::str::from_utf8(key) {
            Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
            _ => format!("base64:{}", super::base64::encode(key)),
        },
        other => other.to_string(),
    }
}

fn info_json(info: &KeyspaceInfo, keys: u64) -> Value {
    json!({
        "name": info.name, "keys": keys, "key_tag": info.key_tag, "codec": info.codec,
        "schema_version": info.schema_version, "ordered": info.is_ordered,
        "compressed": info.is_compressed, "expired_by_owner": info.is_expired_by_owner,
        "type_name": info.type_name,
    })
}

impl Keys {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let store = open_to_read(&self.at.dir)?;
        match &self.keyspace {
            None => list_keyspaces(&store, self.at.json)?,
            Some(name) => {
                let keyspace = keyspace(&store, name)?;
                let tag = Tag::parse(&keyspace.info().key_tag);
                list(&keyspace, &self.which, |entry| {
                    Ok(match self.at.json {
                        true => key_json(tag.as_ref(), entry.key()).to_string(),
                        false => human_key(tag.as_ref(), entry.key()),
                    })
                })?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list_keyspaces(store: &Store, json: bool) -> Result<(), Failure> {
    let mut out = stdout();
    for name in store.keyspace_names() {
        let keyspace = keyspace(store, &name)?;
        let info = keyspace.info();
        if json {
            writeln!(out, "{}", info_json(&info, keyspace.len()))?;
        } else {
            let KeyspaceInfo { name, key_tag, codec, .. } = &info;
            writeln!(out, "{name}: {} keys of type {key_tag}, values {codec}", keyspace.len())?;
        }
    }
    Ok(out.flush()?)
}

/// Prints a line per entry.
fn list(
    keyspace: &BytesKeyspace,
    which: &Which,
    line: impl Fn(&BytesEntry) -> Result<String, Failure>,
) -> Result<(), Failure> {
    let tag = Tag::parse(&keyspace.info().key_tag).unwrap_or(Tag::Bytes);
    let prefix = if which.prefix.is_empty() { Vec::new() } else { tag.prefix(&which.prefix)? };
    let mut out = stdout();
    let mut left = which.limit;
    if left > 0 {
        for_each(keyspace, &prefix, |entry| {
            writeln!(out, "{}", line(entry)?)?;
            left -= 1;
            Ok(left > 0)
        })?;
    }
    Ok(out.flush()?)
}

impl Get {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let store = open_to_read(&self.at.dir)?;
        let keyspace = keyspace(&store, &self.keyspace)?;
        let info = keyspace.info();
        let tag = Tag::parse(&info.key_tag).unwrap_or(Tag::Bytes);
        let key = tag.argument(&self.key)?;
        let mut out = stdout();
        let Some(value) = keyspace.get_bytes(&key)? else {
            if self.at.json {
                writeln!(out, "null")?;
                out.flush()?;
            } else {
                eprintln!("kvserver: there is no such key");
            }
            return Ok(ExitCode::FAILURE);
        };
        let shown = Shown::of(&info.codec, &value);
        match self.at.json {
            true => writeln!(out, "{{\"key\":{},{}}}", key_json(Some(&tag), &key), shown.member())?,
            false => writeln!(out, "{}", shown.human())?,
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Scan {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let store = open_to_read(&self.at.dir)?;
        let keyspace = keyspace(&store, &self.keyspace)?;
        let info = keyspace.info();
        let tag = Tag::parse(&info.key_tag);
        list(&keyspace, &self.which, |entry| {
            let value = entry.value_bytes()?;
            let shown = Shown::of(&info.codec, &value);
            Ok(match self.at.json {
                true => {
                    let key = key_json(tag.as_ref(), entry.key());
                    format!("{{\"key\":{key},{}}}", shown.member())
                }
                false => format!("{}\t{}", human_key(tag.as_ref(), entry.key()), shown.human()),
            })
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Figures of a store.
pub(super) fn stats(at: &At) -> Result<ExitCode, Failure> {
    let store = open_to_read(&at.dir)?;
    let stats = store.stats();
    let infos: Result<Vec<_>, Failure> = store
        .keyspace_names()
        .iter()
        .map(|name| keyspace(&store, name).map(|k| (k.info(), k.len())))
        .collect();
    let infos = infos?;
    let mut out = stdout();
    if at.json {
        let keyspaces: Vec<Value> = infos.iter().map(|(i, keys)| info_json(i, *keys)).collect();
        let files: Vec<Value> = stats
            .files
            .iter()
            .map(|f| {
                json!({ "id": f.id, "bytes": f.bytes, "live_bytes": f.live_bytes,
                        "dead_bytes": f.dead_bytes })
            })
            .collect();
        let all = json!({
            "keys": stats.keys, "live_bytes": stats.live_bytes, "dead_bytes": stats.dead_bytes,
            "blobs": stats.blobs, "blob_bytes": stats.blob_bytes,
            "keydir_bytes": stats.keydir_bytes, "sequence": store.tip_sequence().get(),
            "keyspaces": keyspaces, "files": files,
        });
        writeln!(out, "{all}")?;
    } else {
        writeln!(out, "Keys:         {}", stats.keys)?;
        writeln!(out, "Live data:    {}", size(stats.live_bytes + stats.blob_bytes))?;
        writeln!(out, "Reclaimable:  up to {} (by `kvserver merge`)", size(stats.dead_bytes))?;
        let (files, blobs) = (stats.files.len(), stats.blobs);
        writeln!(out, "Files:        {files} data files, {blobs} large values of their own")?;
        writeln!(out, "Memory:       {} for the keys, when open", size(stats.keydir_bytes))?;
        writeln!(out, "Last commit:  {}", store.tip_sequence())?;
        for (info, keys) in &infos {
            let (name, tag, codec) = (&info.name, &info.key_tag, &info.codec);
            writeln!(out, "Keyspace {name}: {keys} keys of type {tag}, values {codec}")?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
