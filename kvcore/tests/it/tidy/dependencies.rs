//! What a build of kvcore needs: Rust, and nothing else.

use super::root;
use std::collections::{BTreeMap, BTreeSet};

/// Crates that run a C compiler, look for libraries, or need `libclang`.
const FOREIGN: [&str; 5] = ["bindgen", "cc", "clang-sys", "cmake", "pkg-config"];

/// Names of packages and what they depend on, from the lock file.
fn locked() -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let mut packages: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in text.split("[[package]]").skip(1) {
        let name = package.split("name = \"").nth(1).and_then(|t| t.split('"').next()).unwrap();
        let list = package.split("dependencies = [").nth(1).and_then(|t| t.split(']').next());
        let names = list.unwrap_or_default().split('"').skip(1).step_by(2);
        // `name` or `name version`.
        let names = names.map(|n| n.split(' ').next().unwrap_or_default().to_owned());
        packages.entry(name.to_owned()).or_default().extend(names);
    }
    packages
}

/// What kvcore's manifest names below `[dependencies]`, optional ones included.
fn direct() -> Vec<String> {
    let text = std::fs::read_to_string(root().join("kvcore/Cargo.toml")).unwrap();
    let section = text.split("[dependencies]\n").nth(1).unwrap();
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    let names =
        lines.filter(|line| !line.starts_with('#')).filter_map(|l| l.split(['.', ' ']).next());
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[test]
fn kvcore_builds_with_rust_alone() {
    let (packages, mut needed) = (locked(), direct());
    assert!(needed.len() > 8, "{needed:?}");
    let mut seen = BTreeSet::new();
    while let Some(name) = needed.pop() {
        if seen.insert(name.clone()) {
            needed.extend(packages.get(&name).cloned().unwrap_or_default());
        }
    }
    assert!(seen.contains("libc") || seen.contains("rustix"), "the search finds what is there");
    let foreign: Vec<_> = FOREIGN.iter().filter(|name| seen.contains(**name)).collect();
    assert!(foreign.is_empty(), "kvcore needs {foreign:?}");
}
