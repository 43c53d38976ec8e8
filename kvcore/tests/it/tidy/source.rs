//! A Rust file taken apart as far as the rules need: code without comments, and string literals.
//!
//! Knows comments, strings and characters of the language. Does not know its grammar.

use std::path::{Path, PathBuf};

/// One file of the workspace.
#[derive(Debug)]
pub(super) struct Source {
    /// From the workspace's root, with `/`.
    pub(super) path: String,
    pub(super) text: String,
    /// Without comments, and without what stands in strings; ends where unit tests begin.
    pub(super) code: String,
    /// What stands in the strings of `code`.
    pub(super) strings: Vec<String>,
}

impl Source {
    pub(super) fn new(path: String, text: String) -> Source {
        let before_tests = match text.find("#[cfg(test)]\nmod tests {") {
            Some(at) if !is_test_path(&path) => &text[..at],
            _ => &text,
        };
        let (code, strings) = split(before_tests);
        Source { path, code, strings, text }
    }

    /// It holds nothing but tests and what they need.
    pub(super) fn is_test(&self) -> bool {
        is_test_path(&self.path)
    }

    /// Its code has this word, whole.
    pub(super) fn has_word(&self, word: &str) -> bool {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        self.code.match_indices(word).any(|(at, _)| {
            let before = self.code[..at].chars().next_back();
            let after = self.code[at + word.len()..].chars().next();
            !before.is_some_and(is_part) && !after.is_some_and(is_part)
        })
    }
}

fn is_test_path(path: &str) -> bool {
    const ONLY_TESTS: [&str; 4] =
        ["codec/samples.rs", "keydir/measured.rs", "command/testing.rs", "command/differential.rs"];
    path.contains("/tests/")
        || path.ends_with("/tests.rs")
        || ONLY_TESTS.iter().any(|p| path.ends_with(p))
}

/// Every Rust file below a directory of the workspace; none if there is no such directory.
pub(super) fn sources(root: &Path, below: &str) -> Vec<Source> {
    let mut files = Vec::new();
    collect(&root.join(below), &mut files);
    files.sort();
    files
        .into_iter()
        .map(|file| {
            let path = file.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            Source::new(path, std::fs::read_to_string(&file).unwrap())
        })
        .collect()
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            collect(&path, files);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            files.push(path);
        }
    }
}

fn split(text: &str) -> (String, Vec<String>) {
    let (mut code, mut strings) = (String::new(), Vec::new());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        } else if rest.starts_with("/*") {
            rest = &rest[comment_len(rest)..];
        } else if let Some((open, close)) = string_start(rest, code.chars().next_back()) {
            let body = &rest[open..];
            let len = if close == "\"" { plain_len(body) } else { body.find(&close).unwrap() };
            strings.push(body[..len].to_owned());
            code.push_str("\"\"");
            rest = &body[len + close.len()..];
        } else if let Some(len) = character_len(rest) {
            code.push_str("' '");
            rest = &rest[len..];
        } else {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    (code, strings)
}

/// The length of a block comment, the ones inside it included.
fn comment_len(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text[at..];
        let step = rest.chars().next().map_or(1, char::len_utf8);
        (depth, at) = match rest {
            _ if rest.starts_with("/*") => (depth + 1, at + 2),
            _ if rest.starts_with("*/") => (depth - 1, at + 2),
            _ => (depth, at + step),
        };
        if depth == 0 {
            break;
        }
    }
    at
}

/// What opens a string here, in bytes, and what will close it.
fn string_start(text: &str, before: Option<char>) -> Option<(usize, String)> {
    if text.starts_with('"') {
        return Some((1, "\"".to_owned()));
    }
    let raw = text.strip_prefix('r')?;
    let hashes = raw.len() - raw.trim_start_matches('#').len();
    // `r` at the end of a name opens nothing; behind a `b` or `c` of its own it may.
    let in_name = before.is_some_and(|c| (c.is_alphanumeric() || c == '_') && !"bc".contains(c));
    let opens = raw[hashes..].starts_with('"') && !in_name;
    opens.then(|| (hashes + 2, format!("\"{}", "#".repeat(hashes))))
}

/// The length of a string's inside up to the quote that closes it.
fn plain_len(body: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in body.char_indices() {
        match c {
            '"' if !is_escaped => return at,
            _ => is_escaped = c == '\\' && !is_escaped,
        }
    }
    body.len()
}

/// The length of a character literal; `None` for a lifetime or anything else.
fn character_len(text: &str) -> Option<usize> {
    let body = text.strip_prefix('\'')?;
    if let Some(escaped) = body.strip_prefix('\\') {
        let first = escaped.chars().next()?.len_utf8();
        return escaped[first..].find('\'').map(|end| 1 + 1 + first + end + 1);
    }
    let first = body.chars().next()?.len_utf8();
    body[first..].starts_with('\'').then_some(1 + first + 1)
}

#[test]
fn comments_strings_and_characters_are_told_from_code() {
    let text = r##"
        // todo in a comment "with quotes
        let a = "unsafe \" // no comment"; /* unsafe /* nested */ */
        let b = r#"raw " unsafe"#; let c = '"'; let d = '\''; fn e<'a>() {}
        let f = br"bytes"; unsafety();
    "##;
    let source = Source::new("x.rs".into(), text.into());
    assert_eq!(source.strings, [r#"unsafe \" // no comment"#, "raw \" unsafe", "bytes"]);
    assert!(!source.has_word("unsafe"), "{}", source.code);
    assert!(source.has_word("unsafety") && source.code.contains("fn e<'a>() {}"));
}

#[test]
fn unit_tests_are_not_part_of_the_code() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
    assert!(!Source::new("src/a.rs".into(), text.into()).code.contains("std::fs"));
    assert!(Source::new("src/a/tests.rs".into(), text.into()).code.contains("std::fs"));
}
