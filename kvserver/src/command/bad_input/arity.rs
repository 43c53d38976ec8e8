//! Too few words, and too many.

use super::{Entry, table};
use crate::command::testing::Fixture;

/// Numbers of words that are tried.
const WORDS_MAX: usize = 12;

fn check(fixture: &mut Fixture, entry: &'static Entry, names: &[&[u8]]) -> usize {
    let mut refused = 0;
    // Who refuses an EXEC ends the transaction, too.
    let is_exec = entry.full_name == "exec";
    let code = if is_exec { "EXECABORT Transaction discarded because of:" } else { "ERR" };
    let name = &entry.full_name;
    let expected = format!("-{code} wrong number of arguments for '{name}' command\r\n");
    for count in names.len()..WORDS_MAX {
        if entry.command.accepts(count) {
            continue;
        }
        let mut words = names.to_vec();
        words.resize(count, b"1");
        let reply = fixture.call(&words);
        assert_eq!(String::from_utf8_lossy(&reply), expected, "{} with {count}", entry.full_name);
        refused += 1;
    }
    refused
}

fn all(mut f: impl FnMut(&'static Entry, &[&[u8]])) {
    for entry in table().entries() {
        f(entry, &[entry.command.name.as_bytes()]);
        for sub in &entry.subcommands {
            f(sub, &[entry.command.name.as_bytes(), sub.command.name.as_bytes()]);
        }
    }
}

#[test]
fn every_command_refuses_a_wrong_number_of_arguments_by_its_name() {
    let (mut fixture, mut refused) = (Fixture::new(), 0);
    all(|entry, names| refused += check(&mut fixture, entry, names));
    assert!(refused > table().count(), "{refused}");
}

#[test]
fn a_wrong_number_of_arguments_inside_multi_spoils_it() {
    let mut refused = 0;
    all(|entry, names| {
        if names.len() == 1 && !entry.command.accepts(1) && entry.subcommands.is_empty() {
            let mut fixture = Fixture::new();
            fixture.check(&[("MULTI", "+OK")]);
            assert!(fixture.call(names).starts_with(b"-ERR wrong number"), "{}", entry.full_name);
            fixture
                .check(&[("EXEC", "-EXECABORT Transaction discarded because of previous errors.")]);
            refused += 1;
        }
    });
    assert!(refused > 100, "{refused}");
}

#[test]
fn every_name_that_can_be_wrong_is_listed() {
    let reply = Fixture::new().run("COMMAND LIST");
    let mut missing = Vec::new();
    all(|entry, _| {
        if !reply.contains(&format!("\r\n{}\r\n", entry.full_name)) {
            missing.push(entry.full_name.as_str());
        }
    });
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn words_that_are_no_command_are_unknown_whatever_they_are() {
    let mut fixture = Fixture::new();
    for name in [&b""[..], b"\0", b"get\0", b"get ", b"\xff\xfe", b"-ERR", &[b'x'; 100_000]] {
        let reply = fixture.call(&[name, b"\r\n+OK\r\n"]);
        let text = String::from_utf8_lossy(&reply);
        assert!(text.starts_with("-ERR unknown command '"), "{text}");
        assert!(text.len() < 1_000 && text.matches("\r\n").count() == 1, "{text}");
    }
}
