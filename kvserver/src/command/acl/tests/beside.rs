//! The same random rules here and in the reference server: what they make is compared, and what it
//! allows.
//!
//! How rules about commands are shown is not: before 7.2 they were made up from what is allowed.

use crate::command::differential::Reference;
use crate::command::testing::Fixture;

const RULES: &[&str] = &[
    "on",
    "off",
    "nopass",
    "resetpass",
    ">secret",
    ">other",
    "<secret",
    "#ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    "!ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    "#BA",
    "~a*",
    "~b",
    "~[ab]?",
    "%R~c*",
    "%W~c*",
    "%RW~d",
    "%wr~e",
    "%R",
    "%RR~x",
    "%x~x",
    "~a b",
    "allkeys",
    "~*",
    "resetkeys",
    "resetkeys",
    "&a*",
    "&c",
    "allchannels",
    "resetchannels",
    "resetchannels",
    "+get",
    "-get",
    "+@read",
    "-@read",
    "+@write",
    "-@write",
    "+@string",
    "-@Fast",
    "+@dangerous",
    "+@pubsub",
    "+@all",
    "-@all",
    "allcommands",
    "nocommands",
    "+config|get",
    "-config|set",
    "+config",
    "-client",
    "+select|0",
    "+get|a",
    "-select",
    "+CLIENT|id",
    "+nosuch",
    "-@nosuch",
    "+config|get|x",
    "+get|a|b",
    "-get|a",
    "+get|",
    "clearselectors",
    "(+get ~b)",
    "( +@write %W~* )",
    "(+@all %R~* allchannels)",
    "(&c +publish +subscribe)",
    "(+foo)",
    "(~* ~a)",
    "()",
    "reset",
    "nosuch",
    "",
];

const REQUESTS: &[&str] = &[
    "get a",
    "get b",
    "get c",
    "set a x",
    "set c x",
    "set c x get",
    "mget a b c",
    "mset a 1 c 2 d 3",
    "del a c",
    "exists e c",
    "copy c d",
    "rename a b",
    "sort c by x* store d",
    "sort_ro a",
    "bitfield c get u4 0",
    "bitfield c set u4 0 1",
    "bitop and d a c",
    "zunionstore d 2 a c",
    "zunion 2 a zz",
    "sintercard 2 c c1",
    "sinterstore a b c",
    "lmpop 2 a b left",
    "blmpop 0 1 e left",
    "blpop a b 0",
    "brpoplpush c d 0",
    "object encoding a",
    "memory usage zz",
    "pfcount c",
    "pfmerge d c",
    "hset e f v",
    "hget e f",
    "lpush c v",
    "spop c",
    "zadd d 1 m",
    "getex c",
    "getdel c",
    "append c x",
    "setrange c 0 x",
    "touch zz",
    "type c",
    "watch c",
    "select 0",
    "select 1",
    "config get x",
    "config set x y",
    "config resetstat",
    "client id",
    "client list",
    "publish a1 x",
    "publish c x",
    "spublish d x",
    "subscribe a1 c",
    "psubscribe a*",
    "psubscribe a1",
    "ssubscribe c d",
    "unsubscribe zz",
    "auth x",
    "ping",
    "info",
    "keys *",
    "flushall",
    "multi",
    "exec",
    "acl whoami",
    "acl list",
];

/// The words of a reply to GETUSER but for what is not compared.
fn shown_of_user(reply: &[u8]) -> Vec<String> {
    let text = String::from_utf8(reply.to_vec()).unwrap();
    let mut shown = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        match line {
            "flags" => _ = lines.next(),
            "$16" => {
                lines.next();
                continue;
            }
            "commands" => _ = (lines.next(), lines.next()),
            _ => {}
        }
        shown.push(line.to_owned());
    }
    shown
}

/// The same of LIST.
fn shown_of_list(reply: &[u8]) -> Vec<String> {
    let text = String::from_utf8(reply.to_vec()).unwrap();
    let is_shown = |word: &&str| !word.starts_with(['+', '-', '$']) && *word != "sanitize-payload";
    text.split_ascii_whitespace().filter(is_shown).map(str::to_owned).collect()
}

/// A refusal without the name, which is told since 7.2.
fn refusal(reply: &[u8]) -> String {
    let text = String::from_utf8(reply.to_vec()).unwrap();
    match text.split_once(" has no permissions ") {
        Some((_, what)) => what.to_owned(),
        None => text,
    }
}

fn call(reference: &mut Reference, fixture: &mut Fixture, words: &[&str]) -> [Vec<u8>; 2] {
    let args: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    [fixture.call(&args), reference.call(&args)]
}

#[test]
fn the_same_rules_make_the_same_user() {
    let Some(mut reference) = Reference::start() else { return };
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut fixture = Fixture::new();
    let mut given = Vec::new();
    for n in 0..400 {
        if n % 20 == 0 {
            given.clear();
            call(&mut reference, &mut fixture, &["ACL", "DELUSER", "u"]);
            if rng.bool() {
                let setting = if rng.bool() { "allchannels" } else { "resetchannels" };
                let words = ["CONFIG", "SET", "acl-pubsub-default", setting];
                call(&mut reference, &mut fixture, &words);
            }
        }
        let count = rng.usize(..4);
        let rules: Vec<&str> = (0..count).map(|_| RULES[rng.usize(..RULES.len())]).collect();
        let words = [&["ACL", "SETUSER", "u"], &rules[..]].concat();
        let [ours, theirs] = call(&mut reference, &mut fixture, &words);
        given.push((rules, String::from_utf8_lossy(&ours).into_owned()));
        assert_eq!(ours.escape_ascii().to_string(), theirs.escape_ascii().to_string(), "{given:?}");
        let [ours, theirs] = call(&mut reference, &mut fixture, &["ACL", "GETUSER", "u"]);
        assert_eq!(shown_of_user(&ours), shown_of_user(&theirs), "{given:?}");
        let [ours, theirs] = call(&mut reference, &mut fixture, &["ACL", "LIST"]);
        assert_eq!(shown_of_list(&ours), shown_of_list(&theirs), "{given:?}");
        for _ in 0..40 {
            let request = REQUESTS[rng.usize(..REQUESTS.len())];
            let words: Vec<&str> = request.split(' ').collect();
            let words = [&["ACL", "DRYRUN", "u"], &words[..]].concat();
            let [ours, theirs] = call(&mut reference, &mut fixture, &words);
            assert_eq!(refusal(&ours), refusal(&theirs), "{request} with {given:?}");
        }
    }
}

#[test]
fn categories_hold_the_same_commands() {
    let Some(mut reference) = Reference::start() else { return };
    let mut fixture = Fixture::new();
    for category in crate::command::introspection::CATEGORIES {
        let words = ["ACL", "CAT", &category[1..]];
        let [ours, theirs] = call(&mut reference, &mut fixture, &words).map(|reply| {
            let text = String::from_utf8(reply).unwrap();
            let names = text.lines().filter(|line| !line.starts_with(['*', '$']));
            names.map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
        });
        let both = |name: &&String| {
            let words = ["COMMAND", "INFO", name.as_str()];
            !reference.call(&words.map(str::as_bytes)).starts_with(b"*1\r\n$-1")
                && !reference.call(&words.map(str::as_bytes)).starts_with(b"*1\r\n*-1")
        };
        let more: Vec<_> = ours.difference(&theirs).filter(both).collect();
        assert!(more.is_empty(), "{category} has {more:?} here only");
        let known =
            |name: &&String| crate::command::introspection::named(name.as_bytes()).is_some();
        let less: Vec<_> = theirs.difference(&ours).filter(known).collect();
        assert!(less.is_empty(), "{category} has {less:?} there only");
    }
}
