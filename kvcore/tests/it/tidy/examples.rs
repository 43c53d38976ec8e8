//! Everything public has an example that runs as a documentation test.
//!
//! Knows how `rustfmt` lays out items and documentation. Relies on the lint `unreachable_pub`:
//! what says `pub` can be reached.

use super::{core, source::Source};

/// What needs no example of its own, and why.
///
/// With `::` at the end: the methods of a trait that users implement, or let a macro implement.
const EXEMPT: [(&str, &str); 17] = [
    ("AsKey::", "implemented by `key_newtype!`, which has an example"),
    ("Clock::", "implemented, not called: the trait has an example that does"),
    ("Codec::", "implemented, not called: the trait has an example that does"),
    ("Disk::", "the seam to the file system: `Disk` and `SimDisk` show how it is used"),
    ("DiskFile::", "the seam to the file system: `DiskFile` shows how it is used"),
    ("Key::", "implemented by `key_newtype!`, which has an example"),
    ("KeyPrefix::", "implemented for strings and tuples, which the trait's example uses"),
    ("KeyRange::", "implemented for the ranges of std, which the trait's example uses"),
    ("DirEntry", "what `Disk::list` gives: see the example of `Disk`"),
    ("FileKind", "what `Disk::list` gives: see the example of `Disk`"),
    ("Mapping", "for `Disk`s only; a store takes slices of it, users cannot"),
    ("Mapping::", "for `Disk`s only; a store takes slices of it, users cannot"),
    ("Metadata", "two fields, for `Disk`s only"),
    ("OpenMode", "for `Disk`s only: see `SimDisk::plant_special`"),
    ("Reserve", "for `Disk`s only: what `DiskFile::reserve` answers"),
    ("Source", "cannot be named outside the crate; it seals `Read`"),
    ("Source::", "cannot be named outside the crate; it seals `Read`"),
];

/// Something public, and whether its documentation holds an example that runs.
#[derive(Debug, PartialEq, Eq)]
struct Item {
    /// `Type::method`, or the name alone.
    name: String,
    line: usize,
    has_example: bool,
}

fn is_exempt(name: &str) -> bool {
    EXEMPT.iter().any(|(exempt, _)| covers(exempt, name))
}

fn covers(exempt: &str, name: &str) -> bool {
    exempt == name || (exempt.ends_with("::") && name.starts_with(exempt))
}

#[test]
fn every_public_item_has_an_example_that_runs() {
    let (mut missing, mut seen) = (Vec::new(), 0);
    // Doors for fuzzers are hidden from the documentation.
    for source in core().into_iter().filter(|s| s.path != "kvcore/src/fuzzing.rs") {
        for item in items(&source) {
            seen += 1;
            if !item.has_example && !is_exempt(&item.name) {
                missing.push(format!("{}:{} {}", source.path, item.line, item.name));
            }
        }
    }
    assert!(seen > 300, "found {seen} items");
    assert!(missing.is_empty(), "without an example: {missing:#?}");
}

#[test]
fn no_exemption_is_out_of_date() {
    let all: Vec<Item> = core().iter().flat_map(items).collect();
    for (exempt, why) in EXEMPT {
        let lacks = |item: &Item| covers(exempt, &item.name) && !item.has_example;
        assert!(all.iter().any(lacks), "{exempt} is not there, or has an example: {why}");
    }
}

/// The public items of a file.
fn items(source: &Source) -> Vec<Item> {
    let text = source.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let (mut items, mut owner, mut in_trait) = (Vec::new(), None, false);
    let mut docs = Docs::default();
    for (at, line) in text.lines().enumerate() {
        if docs.take(line) {
            continue;
        }
        if line == "}" {
            (owner, in_trait) = (None, false);
        } else if line.starts_with("impl") {
            owner = implemented(line);
        }
        if let Some(name) = public_name(line, in_trait || docs.is_exported) {
            let name = match (&owner, line.starts_with("    ")) {
                (Some(owner), true) => format!("{owner}::{name}"),
                _ => name.to_owned(),
            };
            // What is inside an `impl Trait for Type` is documented with the trait.
            if !docs.is_hidden && (!line.starts_with("    ") || owner.is_some()) {
                items.push(Item { name, line: at + 1, has_example: docs.has_example });
            }
        }
        if let Some(name) = line.strip_prefix("pub trait ") {
            (owner, in_trait) = (Some(word(name).to_owned()), true);
        }
        docs = Docs::default();
    }
    items
}

/// What stands above an item.
#[derive(Debug, Default)]
struct Docs {
    has_example: bool,
    is_in_code: bool,
    is_in_attribute: bool,
    is_exported: bool,
    is_hidden: bool,
}

impl Docs {
    /// True if the line is documentation or an attribute.
    fn take(&mut self, line: &str) -> bool {
        let line = line.trim_start();
        if let Some(doc) = line.strip_prefix("///") {
            if let Some(kind) = doc.trim_start().strip_prefix("```") {
                self.is_in_code = !self.is_in_code;
                self.has_example |= self.is_in_code && matches!(kind, "" | "rust");
            }
            return true;
        }
        self.is_exported |= line == "#[macro_export]";
        self.is_hidden |= line == "#[doc(hidden)]";
        let is_attribute = self.is_in_attribute || line.starts_with("#[");
        self.is_in_attribute = is_attribute && !line.ends_with(']');
        is_attribute
    }
}

/// The name that a line makes public.
fn public_name(line: &str, is_public_already: bool) -> Option<&str> {
    let item = line.trim_start();
    let item = match item.strip_prefix("pub ") {
        Some(item) => item,
        None if is_public_already => item,
        None => return None,
    };
    let is_constant = item.starts_with("const ") && !item.starts_with("const fn ");
    let item = if is_constant { item } else { item.strip_prefix("const ").unwrap_or(item) };
    let kinds = ["fn ", "struct ", "enum ", "trait ", "type ", "const ", "macro_rules! "];
    let kind = kinds.iter().find(|kind| item.starts_with(*kind))?;
    // An associated type or constant of a trait belongs to its implementors.
    let is_associated = line.starts_with("    ") && !line.trim_start().starts_with("pub ");
    (!is_associated || *kind == "fn ").then(|| word(&item[kind.len()..]))
}

/// The type of an inherent `impl`.
fn implemented(line: &str) -> Option<String> {
    let (mut bare, mut depth) = (String::new(), 0_u32);
    for c in line.chars() {
        match c {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            _ if depth == 0 => bare.push(c),
            _ => {}
        }
    }
    let header = bare.strip_prefix("impl")?.trim_start();
    (!header.contains(" for ")).then(|| word(header).to_owned())
}

fn word(text: &str) -> &str {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
}

#[test]
fn items_are_found_with_their_owners_and_examples() {
    let text = r#"
/// One.
///
/// ```
/// let fence = 1;
/// ```
#[derive(
    Debug,
)]
pub struct Shown<'a, K>(&'a K);

impl<'a, K: Into<u8>> Shown<'a, K> {
    /// ```text
    /// not run
    /// ```
    pub const fn told(&self) {}
    fn hidden(&self) {}
}

impl<K> Drop for Shown<'_, K> {
    fn drop(&mut self) {}
}

/// ```
/// ```
pub trait Face {
    /// A type.
    type Of;
    /// A method.
    fn see(&self);
}

/// A macro.
#[macro_export]
macro_rules! made {}
"#;
    let found = items(&Source::new("x.rs".into(), text.into()));
    let found: Vec<_> = found.iter().map(|i| (i.name.as_str(), i.has_example)).collect();
    let all = [
        ("Shown", true),
        ("Shown::told", false),
        ("Face", true),
        ("Face::see", false),
        ("made", false),
    ];
    assert_eq!(found, all);
}
