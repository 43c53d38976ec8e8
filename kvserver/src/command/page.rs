//! `docs/commands.md`, written from the command table, the parameters and the differences.
//!
//! Compiled for tests only: one of them fails when the file is not what the tables say. To bring
//! it up to date:
//!
//! ```sh
//! KVSERVER_WRITE_DOCS=1 cargo test -p kvserver --lib commands_page
//! ```

mod differences;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::introspection::flag_names;
use super::keys::Span;
use super::syntax;
use super::table::{Entry, table};
use super::{Command, Group, KeyFlags, KeySpec};
use crate::parameters;
use differences::{ABSENT, BY_COMMAND, GENERAL};

const TITLE: &str = "\
# Commands

What kvserver answers to, where it differs from Redis 7.2 and why, what of Redis is not there, and \
what `CONFIG` knows. This page is written from the tables the server works with \
(`kvserver/src/command/page.rs`); a test fails when it is out of date.

";

const ABOUT_COMMANDS: &str = "
## Commands by group

*Arity* counts the arguments with the name; −3 is “three or more”. *Flags* are those of \
`COMMAND INFO`. *Keys* says which arguments are keys, counted from the name, which is 0, and in \
parentheses what is done with them. *Since* is the version of Redis that had the command first.
";

const ABOUT_PARAMETERS: &str = "
## Parameters

What `CONFIG GET` and `CONFIG SET` know. Those *remembered, without effect* are there because \
clients and test suites set them: they are checked as Redis checks them, and mean nothing here. \
Where no default is given it comes from the command line or is empty. `--set NAME=VALUE` sets any \
of them at the start.

";

const GROUPS: [Group; 12] = [
    Group::String,
    Group::Bitmap,
    Group::HyperLogLog,
    Group::Hash,
    Group::List,
    Group::Set,
    Group::SortedSet,
    Group::Generic,
    Group::PubSub,
    Group::Transactions,
    Group::Connection,
    Group::Server,
];

/// The whole page.
fn page() -> String {
    let mut text = TITLE.to_owned();
    text.push_str("## Differences\n\nThose of single commands stand with them, below.\n\n");
    for difference in GENERAL {
        writeln!(text, "- {difference}").expect("a string takes any text");
    }
    text.push_str(ABOUT_COMMANDS);
    GROUPS.into_iter().for_each(|group| push_group(&mut text, group));
    push_absent(&mut text);
    text.push_str(ABOUT_PARAMETERS);
    text.push_str(&parameters::page());
    text
}

/// The commands of a group with their subcommands, whatever group those are in.
fn entries_of(group: Group) -> Vec<&'static Entry> {
    let commands = table().entries().iter().filter(|entry| entry.command.group == group);
    commands.flat_map(Entry::with_subcommands).collect()
}

fn push_group(text: &mut String, group: Group) {
    let entries = entries_of(group);
    text.push_str(&format!("\n### {}\n\n", group.name()));
    text.push_str("| command | arity | flags | keys | since | complexity | what it does |\n");
    text.push_str("|---|---|---|---|---|---|---|\n");
    for entry in &entries {
        let command = entry.command;
        let cells = [
            call(&entry.full_name),
            command.arity.to_string().replace('-', "−"),
            flag_names(command).join(" "),
            keys_in_short(command),
            command.since.to_owned(),
            command.complexity.trim_end_matches('.').to_owned(),
            command.summary.to_owned(),
        ];
        text.push_str(&row(&cells));
    }
    let mut is_first = true;
    for entry in entries {
        for (_, difference) in BY_COMMAND.iter().filter(|(name, _)| *name == entry.full_name) {
            if std::mem::take(&mut is_first) {
                text.push_str("\nDifferences:\n\n");
            }
            text.push_str(&format!("- `{}`: {difference}\n", shown(&entry.full_name)));
        }
    }
}

/// A row of a table.
pub(crate) fn row(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// A command with what follows its name.
fn call(full_name: &str) -> String {
    format!("`{}`", format!("{} {}", shown(full_name), syntax::shown(full_name)).trim_end())
}

/// `config|get` as people write it.
fn shown(full_name: &str) -> String {
    full_name.to_ascii_uppercase().replace('|', " ")
}

fn keys_in_short(command: &Command) -> String {
    let mut keys: Vec<String> = command.keys.iter().map(spec_in_short).collect();
    if command.keys_of.is_some() {
        keys.push("by its options".to_owned());
    }
    keys.join("; ")
}

fn spec_in_short(spec: &KeySpec) -> String {
    let first = spec.first;
    let place = match spec.span {
        Span::Counted => format!("as many as {first} says, from {}", first + 1),
        Span::Range { last: 0, .. } => first.to_string(),
        Span::Range { last, step } => {
            let end = match last {
                -1 => "the end".to_owned(),
                last if last < 0 => format!("{} before the end", -1 - last),
                last => (i64::try_from(first).unwrap_or(0) + i64::from(last)).to_string(),
            };
            let every = if step == 1 { String::new() } else { format!(", every {step}nd") };
            format!("{first} to {end}{every}")
        }
    };
    format!("{place} ({})", uses(spec.flags))
}

fn uses(flags: KeyFlags) -> String {
    flags.names().collect::<Vec<_>>().join(" ")
}

fn push_absent(text: &mut String) {
    text.push_str("\n## Commands of Redis 7.2 that are not there\n\n");
    text.push_str("They are answered as unknown commands or subcommands.\n\n");
    text.push_str("| commands | why |\n|---|---|\n");
    for (names, why) in ABSENT {
        let missing: Vec<String> = names
            .split_whitespace()
            .filter(|name| !exists(name))
            .map(|name| format!("`{}`", shown(name)))
            .collect();
        if !missing.is_empty() {
            text.push_str(&row(&[missing.join(", "), (*why).to_owned()]));
        }
    }
}

/// True for the full name of a command or subcommand of the table.
fn exists(full_name: &str) -> bool {
    let (name, sub) = full_name.split_once('|').unwrap_or((full_name, ""));
    let found = table().find(name.as_bytes());
    found.is_some_and(|entry| sub.is_empty() || entry.subcommand(sub.as_bytes()).is_some())
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/commands.md")
}

#[test]
fn commands_page_says_what_the_tables_say() {
    let wanted = page();
    if std::env::var_os("KVSERVER_WRITE_DOCS").is_some() {
        std::fs::write(file(), &wanted).unwrap();
    }
    let written = std::fs::read_to_string(file()).unwrap_or_default();
    let stale = wanted.lines().zip(written.lines()).find(|(wanted, written)| wanted != written);
    assert!(
        wanted == written,
        "docs/commands.md is out of date ({stale:?}); this writes it again:\n\
         KVSERVER_WRITE_DOCS=1 cargo test -p kvserver --lib commands_page"
    );
}

#[test]
fn differences_are_told_of_commands_that_exist() {
    let unknown: Vec<&str> =
        BY_COMMAND.iter().map(|(name, _)| *name).filter(|name| !exists(name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn every_command_is_on_the_page_once() {
    let listed = GROUPS.into_iter().flat_map(entries_of);
    let names: BTreeSet<&str> = listed.clone().map(|entry| entry.full_name.as_str()).collect();
    assert_eq!((names.len(), listed.count()), (table().count(), table().count()));
}

#[test]
fn every_command_says_what_it_does_and_costs() {
    for entry in GROUPS.into_iter().flat_map(entries_of) {
        let (name, command) = (&entry.full_name, entry.command);
        assert!(command.summary.ends_with('.'), "{name}: {}", command.summary);
        assert!(!command.complexity.is_empty() && !command.since.is_empty(), "{name}");
    }
}
