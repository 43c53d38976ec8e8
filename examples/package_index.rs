//! A package index: serde structs made of a real file, queried by prefix, and reopened.
//!
//! `cargo run --example package_index [FILE [DIRECTORY]]`. The file is a Debian `Packages` or
//! `/var/lib/dpkg/status`; by default this workspace's own `Cargo.lock`, which lists packages
//! too. A directory must be new or empty; without one a temporary one is used.
//!
//! Two keyspaces hold the index: packages by name, and who depends on whom, as tuples. Each
//! answer is compared with the same question put to the parsed file.

use kv_examples::StoreDir;
use kvcore::{Durability, Keyspace, Options, Schema, Store};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf, time::Instant};

/// One version of a package.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Package {
    version: String,
    /// What it needs, sorted, each once.
    depends: Vec<String>,
    /// Size when installed, where the file tells.
    installed_kib: Option<u64>,
    /// First line of the description, or where the package comes from.
    about: String,
}

/// By name; several versions of a package may be there.
const PACKAGES: Schema<String, Vec<Package>> = Schema::new("packages").version(1);
/// (needed, needing): who depends on a package is a prefix of one component.
const DEPENDENTS: Schema<(String, String), ()> = Schema::new("dependents").version(1);

type Index = BTreeMap<String, Vec<Package>>;

/// Packages per commit while loading.
const BATCH_PACKAGES: usize = 500;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args_os().nth(1).map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock")),
        PathBuf::from,
    );
    let dir = StoreDir::from_argument(2)?;
    let bytes = std::fs::read(&file).map_err(|e| format!("{}: {e}", file.display()))?;
    let parsed = parse(&String::from_utf8_lossy(&bytes));
    if parsed.is_empty() {
        return Err(format!("{} lists no packages", file.display()).into());
    }

    let store = Options::new().durability(Durability::Buffered).open(dir.path())?;
    load(&store, &parsed)?;
    query(&store, &parsed)?;
    store.close()?;

    let store = Store::open(dir.path())?;
    println!("reopened with {} keys in {:?}", store.recovery().keys, store.recovery().took);
    query(&store, &parsed)?;
    store.close()?;
    println!("everything is as promised");
    Ok(())
}

/// Writes the index in batches, and syncs once at the end: a load that is interrupted is redone.
fn load(store: &Store, parsed: &Index) -> kvcore::Result<()> {
    let started = Instant::now();
    let (packages, dependents) = (store.keyspace(PACKAGES)?, store.keyspace(DEPENDENTS)?);
    let names: Vec<_> = parsed.iter().collect();
    for chunk in names.chunks(BATCH_PACKAGES) {
        let mut batch = store.batch();
        for (name, versions) in chunk {
            batch.put(&packages, name.as_str(), *versions)?;
            for needed in versions.iter().flat_map(|v| &v.depends) {
                batch.put(&dependents, (needed.as_str(), name.as_str()), &())?;
            }
        }
        batch.commit()?;
    }
    store.sync()?;
    println!("loaded {} packages in {:?}", packages.len(), started.elapsed());
    Ok(())
}

fn query(store: &Store, parsed: &Index) -> kvcore::Result<()> {
    let (packages, dependents) = (store.keyspace(PACKAGES)?, store.keyspace(DEPENDENTS)?);
    assert_eq!(packages.len(), parsed.len() as u64);
    for (name, versions) in parsed {
        assert_eq!(packages.get(name)?.as_ref(), Some(versions), "{name}");
    }
    by_prefix(&packages, parsed)?;
    most_needed(&packages, &dependents, parsed)
}

/// The packages whose name begins like the one in the middle of the list.
fn by_prefix(packages: &Keyspace<String, Vec<Package>>, parsed: &Index) -> kvcore::Result<()> {
    let middle = packages.nth(packages.len() / 2)?.map(kvcore::Entry::into_key);
    let prefix: String = middle.unwrap_or_default().chars().take(3).collect();
    let mut found = Vec::new();
    for entry in packages.prefix(prefix.as_str()) {
        let entry = entry?;
        let versions: Vec<String> = entry.value()?.into_iter().map(|p| p.version).collect();
        println!("  {} {}", entry.key(), versions.join(", "));
        found.push(entry.into_key());
    }
    let wanted: Vec<_> = parsed.keys().filter(|name| name.starts_with(&prefix)).collect();
    assert_eq!(found.iter().collect::<Vec<_>>(), wanted);
    println!("{} names begin with {prefix:?}", found.len());
    Ok(())
}

/// The package that most others need, and one of its dependents.
fn most_needed(
    packages: &Keyspace<String, Vec<Package>>,
    dependents: &Keyspace<(String, String), ()>,
    parsed: &Index,
) -> kvcore::Result<()> {
    let mut needed_by: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, versions) in parsed {
        for needed in versions.iter().flat_map(|v| &v.depends) {
            needed_by.entry(needed).or_default().push(name);
        }
    }
    needed_by.values_mut().for_each(Vec::dedup);
    let pairs: usize = needed_by.values().map(Vec::len).sum();
    assert_eq!(dependents.len(), pairs as u64);
    let Some((most, wanted)) = needed_by.iter().max_by_key(|(_, names)| names.len()) else {
        return Ok(());
    };
    let found: kvcore::Result<Vec<String>> =
        dependents.prefix((*most,)).map(|entry| entry.map(|e| e.into_key().1)).collect();
    assert_eq!(&found?, wanted);
    let there = if packages.contains(*most)? { "listed too" } else { "not listed itself" };
    println!("{} packages need {most} ({there}), {} first", wanted.len(), wanted[0]);
    Ok(())
}

fn parse(text: &str) -> Index {
    let mut index = Index::new();
    let is_lock = text.lines().any(|line| line == "[[package]]");
    let parse_one = if is_lock { parse_lock_entry } else { parse_debian_stanza };
    let separator = if is_lock { "[[package]]\n" } else { "\n\n" };
    for part in text.split(separator) {
        if let Some((name, mut package)) = parse_one(part) {
            package.depends.sort_unstable();
            package.depends.dedup();
            index.entry(name).or_default().push(package);
        }
    }
    index
}

/// What follows one `[[package]]` of a `Cargo.lock`.
fn parse_lock_entry(part: &str) -> Option<(String, Package)> {
    let (mut name, mut package) = (None, Package::default());
    for line in part.lines() {
        if let Some((key, value)) = line.split_once(" = ") {
            let value = value.trim_matches('"').to_owned();
            match key {
                "name" => name = Some(value),
                "version" => package.version = value,
                "source" => package.about = value,
                _ => {}
            }
        } else if let Some(dependency) = line.strip_prefix(" \"") {
            // "name" or "name version"
            let needed = dependency.split(['"', ' ']).next().unwrap_or_default();
            package.depends.push(needed.to_owned());
        }
    }
    // The head of the file has a version of its own, but no name.
    Some((name?, package))
}

/// One stanza of a `Packages` or `status` file.
fn parse_debian_stanza(part: &str) -> Option<(String, Package)> {
    let (mut name, mut package) = (None, Package::default());
    // Lines that begin with a space continue the field before them; the first line is enough.
    for line in part.lines().filter(|line| !line.starts_with([' ', '\t'])) {
        let Some((field, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match field {
            "Package" => name = Some(value.to_owned()),
            "Version" => package.version = value.to_owned(),
            "Installed-Size" => package.installed_kib = value.parse().ok(),
            "Description" => package.about = value.to_owned(),
            "Depends" | "Pre-Depends" => {
                // "libc6 (>= 2.34), python3:any | python3-minimal"
                let words = value.split([',', '|']).filter_map(|d| d.split_whitespace().next());
                let needed = words.map(|d| d.split(':').next().unwrap_or(d).to_owned());
                package.depends.extend(needed);
            }
            _ => {}
        }
    }
    Some((name?, package))
}
