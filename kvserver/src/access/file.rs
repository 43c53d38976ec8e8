//! The file of users: read as a whole or not at all, and replaced as a whole.
//!
//! Knows lines and the disk. Does not know who is logged in.
//!
//! # Laws
//!
//! F1. What is read is checked line by line before anything is made of it; one wrong line, and
//!     nothing is.
//! F2. The file is replaced by a whole new one, synced before it takes its place: a crash or a full
//!     disk leaves the old one.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::words::has_spaces;
use super::{RuleError, SetError, merge_rules};

/// Digests of passwords are nobody else's business, unless the file was made so.
const MODE: u32 = 0o600;

/// A line that defines a user: its name and its rules.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Definition {
    pub(super) line: usize,
    pub(super) name: Vec<u8>,
    pub(super) rules: Vec<Vec<u8>>,
}

/// What is wrong with a file, in Redis' words, one sentence after the other.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    shown: String,
    text: String,
}

impl Complaints {
    pub(super) fn new(path: &Path) -> Self {
        Complaints { shown: path.display().to_string(), text: String::new() }
    }
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
    fn at(&mut self, line: usize, what: &str) {
        self.text.push_str(&format!("{}:{line}: {what}. ", self.shown));
    }
    pub(super) fn duplicate(&mut self, line: usize, name: &[u8]) {
        let name = String::from_utf8_lossy(name);
        self.text.push_str(&format!("WARNING: Duplicate user '{name}' found on line {line}. "));
    }
    /// Names of commands are told; other rules may hold a secret.
    pub(super) fn rule(&mut self, line: usize, error: &SetError) {
        match error {
            SetError::Rule { rule, error: error @ RuleError::UnknownName } => {
                let rule = String::from_utf8_lossy(rule);
                self.at(line, &format!("Error in applying operation '{rule}': {error}"));
            }
            SetError::Rule { error, .. } => self.at(line, &error.to_string()),
            SetError::Unmatched(_) | SetError::Name => {
                self.at(line, "Unmatched parenthesis in selector definition");
            }
        }
    }
    pub(super) fn into_text(self) -> String {
        self.text
            + "WARNING: ACL errors detected, no change to the previously active ACL rules was \
               performed"
    }
}

/// The definitions in the text of a file; what is wrong is complained of.
pub(super) fn parse(text: &[u8], complaints: &mut Complaints) -> Vec<Definition> {
    let mut definitions = Vec::new();
    for (line, text) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        let text = text.trim_ascii();
        let mut words = text.split(|byte| *byte == b' ');
        if text.is_empty() {
            continue;
        }
        let (Some(b"user"), Some(name)) = (words.next(), words.next()) else {
            complaints.at(line, "should start with user keyword followed by the username");
            continue;
        };
        if has_spaces(name) {
            let name = String::from_utf8_lossy(name);
            complaints.at(line, &format!("username '{name}' contains invalid characters"));
            continue;
        }
        let words: Vec<&[u8]> = words.collect();
        match merge_rules(&words) {
            Ok(rules) => definitions.push(Definition { line, name: name.to_vec(), rules }),
            Err(error) => complaints.rule(line, &error),
        }
    }
    definitions
}

/// Reads the file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| {
        let path = path.display();
        format!("Error loading ACLs, opening file '{path}': {error}")
    })
}

/// Replaces the file by these lines; they survive power loss when this returns.
pub(super) fn replace(path: &Path, lines: &[Vec<u8>]) -> io::Result<()> {
    let temporary = beside(path);
    let result = write_new(&temporary, path, lines).and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = result {
        // It may not have been made at all.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    // Durable from here.
    File::open(directory(path))?.sync_all()
}

fn write_new(temporary: &Path, path: &Path, lines: &[Vec<u8>]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(temporary)?;
    if let Ok(old) = fs::metadata(path) {
        file.set_permissions(Permissions::from_mode(old.permissions().mode()))?;
    }
    for line in lines {
        file.write_all(line)?;
        file.write_all(b"\n")?;
    }
    file.sync_all()
}

/// A name in the same directory that nobody has used.
fn beside(path: &Path) -> PathBuf {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new-{}-{number}-{}", std::process::id(), crate::shared::now_us()));
    path.with_file_name(name)
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
