//! What the documents name is there: tests that prove a claim, files, and headings.
//!
//! A test is named by a link to its file whose text is its name in backticks:
//! `` [`name_of_the_test`](../kvcore/tests/it/file.rs) ``.

use super::root;
use std::path::{Path, PathBuf};

/// Documents whose claims are proved by tests they name, and how many they name at least.
const PROVED: [(&str, usize); 4] = [
    ("README.md", 10),
    ("docs/complaints.md", 50),
    ("docs/features.md", 40),
    ("docs/hostile-input.md", 20),
];

/// Every document whose links must lead somewhere.
const LINKED: [&str; 10] = [
    "README.md",
    "CHANGELOG.md",
    "benches/README.md",
    "docs/architecture.md",
    "docs/commands.md",
    "docs/complaints.md",
    "docs/features.md",
    "docs/format.md",
    "docs/hostile-input.md",
    "docs/performance.md",
];

/// `[text](target)`.
#[derive(Debug)]
struct Link {
    text: String,
    target: String,
}

fn links(document: &str) -> Vec<Link> {
    let text = std::fs::read_to_string(root().join(document)).unwrap();
    let mut links = Vec::new();
    for (at, _) in text.match_indices("](") {
        let Some((target, _)) = text[at + 2..].split_once(')') else { continue };
        let Some((_, label)) = text[..at].rsplit_once('[') else { continue };
        links.push(Link { text: label.to_owned(), target: target.to_owned() });
    }
    links
}

/// Where a link inside the repository leads; none for addresses of the web.
fn file_of(document: &str, target: &str) -> Option<PathBuf> {
    if target.contains("://") {
        return None;
    }
    let (path, _) = target.split_once('#').unwrap_or((target, ""));
    let below = Path::new(document).parent().unwrap_or(Path::new(""));
    Some(if path.is_empty() { root().join(document) } else { root().join(below).join(path) })
}

#[test]
fn every_link_leads_somewhere() {
    for document in LINKED {
        for Link { text, target } in links(document) {
            let Some(file) = file_of(document, &target) else { continue };
            assert!(file.exists(), "{document} links {text} to {target}, which is not there");
            if let Some((_, heading)) = target.split_once('#') {
                let found = std::fs::read_to_string(&file).unwrap();
                let is_there = found.lines().any(|l| l.starts_with('#') && anchor(l) == heading);
                assert!(is_there, "{document} links {text} to {target}: no such heading");
            }
        }
    }
}

/// The address of a heading, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = words.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_test_that_is_said_to_prove_something_exists() {
    for (document, least) in PROVED {
        let mut proofs = 0;
        for Link { text, target } in links(document) {
            let name = text.strip_prefix('`').and_then(|t| t.strip_suffix('`'));
            let (Some(name), true) = (name, target.ends_with(".rs")) else { continue };
            let file = file_of(document, &target).expect("a file");
            let source = std::fs::read_to_string(&file)
                .unwrap_or_else(|e| panic!("{document} names {target}: {e}"));
            assert!(is_test(&source, name), "{document}: there is no test {name} in {target}");
            proofs += 1;
        }
        assert!(proofs >= least, "{document} names {proofs} tests");
    }
}

/// Whether the source has a test of this name: an attribute with `test` above the function.
fn is_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let signatures = [format!("fn {name}("), format!("async fn {name}(")];
    lines.iter().enumerate().any(|(at, line)| {
        let above = lines[..at].iter().rev();
        let mut attributes = above.take_while(|l| l.starts_with("#[") || l.starts_with("//"));
        signatures.iter().any(|s| line.starts_with(s.as_str()))
            && attributes.any(|a| a.starts_with("#[test") || a.starts_with("#[tokio::test"))
    })
}

#[test]
fn tests_are_told_from_other_functions() {
    let source = "#[test]\nfn a_test() {}\nfn no_test() {}\n#[tokio::test]\nasync fn c() {}\n";
    assert!(is_test(source, "a_test") && is_test(source, "c"));
    assert!(!is_test(source, "no_test") && !is_test(source, "a"));
    assert_eq!(anchor("## Tuning & sizing, a_b"), "tuning--sizing-a_b");
}
