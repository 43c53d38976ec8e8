//! Users beside `default`: their connections, the file they are kept in, and what happens while
//! many clients ask at once.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kvcore::{Durability, Options};
use kvserver::{Config, Error, Server};
use tempfile::TempDir;

use crate::support::{Running, Wire};

const OK: &str = "+OK\r\n";

fn with_file(path: &Path) -> Running {
    let path = path.display().to_string();
    Running::with(|config| config.settings = vec![("aclfile".into(), path)])
}

fn start_error(settings: &[(&str, &str)]) -> String {
    let dir = TempDir::new().unwrap();
    let store = Options::new().durability(Durability::Buffered).open(dir.path()).unwrap();
    let mut config = Config::default();
    config.port = 0;
    config.settings = settings.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
    match Server::bind(config, store) {
        Err(Error::Setting { name, why }) => format!("{name}: {why}"),
        other => panic!("it starts: {other:?}"),
    }
}

fn logged_in(server: &Running, user: &str) -> Wire {
    let mut wire = server.connect();
    wire.ask(&format!("AUTH {user} x"), OK);
    wire
}

#[test]
fn clients_of_a_deleted_user_are_closed_and_its_own_request_is_answered() {
    let server = Running::start();
    let mut admin = server.connect();
    admin.ask("ACL SETUSER u on nopass +@all ~* &*", OK);
    let (mut one, mut waits) = (logged_in(&server, "u"), logged_in(&server, "u"));
    let mut queues = logged_in(&server, "u");
    queues.ask("MULTI", OK);
    queues.ask("SET k v", "+QUEUED\r\n");
    waits.send("BLPOP list 0\r\n");
    while !admin.bulk("INFO clients").contains("blocked_clients:1\r\n") {}
    let mut other = server.connect();
    one.ask("ACL DELUSER u", ":1\r\n");
    for wire in [&mut one, &mut waits, &mut queues] {
        wire.expect_closed();
    }
    other.ask("PING", "+PONG\r\n");
    admin.ask("EXISTS k", ":0\r\n");
    admin.ask("ACL DELUSER u", ":0\r\n");
    assert!(!admin.bulk("CLIENT LIST").contains("user=u"));
}

#[test]
fn clients_can_be_killed_by_their_user() {
    let server = Running::start();
    let mut admin = server.connect();
    admin.ask("ACL SETUSER u on nopass +@all ~* &*", OK);
    let (mut one, mut two) = (logged_in(&server, "u"), logged_in(&server, "u"));
    admin.ask("CLIENT KILL USER u", ":2\r\n");
    one.expect_closed();
    two.expect_closed();
    admin.ask("PING", "+PONG\r\n");
}

#[test]
fn subscribers_that_may_not_hear_any_more_what_they_hear_are_closed() {
    let server = Running::start();
    let mut admin = server.connect();
    for (before, subscribe, after, stays) in [
        ("&foo:1", "SUBSCRIBE foo:1", "resetchannels", false),
        ("&foo:1", "SSUBSCRIBE foo:1", "resetchannels", false),
        ("&bar:*", "PSUBSCRIBE bar:*", "resetchannels", false),
        ("allchannels", "PSUBSCRIBE foo", "resetchannels", false),
        ("allchannels", "SUBSCRIBE foo", "resetchannels &bar", false),
        ("allchannels", "SUBSCRIBE foo", "resetchannels &f*", true),
        ("&foo:1 &bar:*", "PSUBSCRIBE bar:*", "resetchannels &foo:1 &bar:* &x", true),
        ("&foo:1", "SUBSCRIBE foo:1", "allchannels", true),
        ("&foo:1", "SUBSCRIBE foo:1", "-@all resetkeys", true),
        ("(&foo:1 +@all)", "SUBSCRIBE foo:1", "clearselectors", false),
    ] {
        admin.ask(&format!("ACL SETUSER u reset on nopass +@all ~* {before}"), OK);
        let (mut wire, mut silent) = (logged_in(&server, "u"), logged_in(&server, "u"));
        wire.ask("CLIENT SETNAME pardoned", OK);
        wire.send(format!("{subscribe}\r\n"));
        let last = (0..6).map(|_| wire.line()).last();
        assert_eq!(last.as_deref(), Some(":1"));
        admin.ask(&format!("ACL SETUSER u {after}"), OK);
        let is_there = admin.bulk("CLIENT LIST").contains("name=pardoned");
        assert_eq!(is_there, stays, "{before}, {subscribe}, {after}");
        if !stays {
            wire.expect_closed();
        }
        silent.ask("QUIT", OK);
        drop(wire);
        while admin.bulk("CLIENT LIST").contains("user=u ") {}
    }
}

#[test]
fn users_are_saved_and_loaded() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("users.acl");
    fs::write(&path, "\r\n  user alice on  >alice ~* &* +@all\n\nuser bob on nopass ~s* (+get ~r)")
        .unwrap();
    let server = with_file(&path);
    let mut admin = server.connect();
    admin.ask("ACL USERS", "*3\r\n$5\r\nalice\r\n$3\r\nbob\r\n$7\r\ndefault\r\n");
    admin.ask("AUTH alice alice", OK);
    admin.ask("ACL SETUSER carol on >c %R~x -@all +get", OK);
    admin.ask("ACL DELUSER bob", ":1\r\n");
    admin.ask("ACL SAVE", OK);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(!text.contains("bob") && !text.contains(" >c"), "{text}");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left");
    server.stop().unwrap();
    let server = with_file(&path);
    let mut carol = server.connect();
    carol.ask("AUTH carol c", OK);
    carol.ask("GET x", "$-1\r\n");
    carol.ask("GET y", "-NOPERM No permissions to access a key\r\n");
    let mut admin = server.connect();
    admin.ask("AUTH alice alice", OK);
    // What has been changed since is undone, and who stays as it was is not disturbed.
    admin.ask("ACL SETUSER dave on nopass +@all &*", OK);
    admin.ask("ACL SETUSER carol +ping", OK);
    let mut dave = logged_in(&server, "dave");
    admin.ask("ACL LOAD", OK);
    dave.expect_closed();
    carol.ask("PING", "-NOPERM User carol has no permissions to run the 'ping' command\r\n");
    carol.ask("GET x", "$-1\r\n");
    server.connect().ask("PING", "+PONG\r\n");
}

#[test]
fn a_damaged_file_is_refused_as_a_whole_with_the_numbers_of_its_lines() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("users.acl");
    let good = "user alice on nopass ~* &* +@all\n";
    fs::write(&path, good).unwrap();
    let server = with_file(&path);
    let mut admin = server.connect();
    admin.ask("ACL SETUSER kept on", OK);
    let shown = path.display();
    for (text, why) in [
        ("user", format!("{shown}:2: should start with user keyword followed by the username. ")),
        ("# user x on", format!("{shown}:2: should start with user keyword")),
        ("user x +nosuch", format!("{shown}:2: Error in applying operation '+nosuch': Unknown")),
        ("user x >secret <other", format!("{shown}:2: The password you are trying to remove")),
        ("user x (+get", format!("{shown}:2: Unmatched parenthesis in selector definition. ")),
        ("user a\tb on", format!("{shown}:2: username 'a\tb' contains invalid characters. ")),
        ("user alice on", "WARNING: Duplicate user 'alice' found on line 2. ".to_owned()),
        ("user x on\nuser y foo", format!("{shown}:3: Syntax error. ")),
    ] {
        fs::write(&path, format!("{good}{text}\n")).unwrap();
        admin.send("ACL LOAD\r\n");
        let line = admin.line();
        assert!(line.starts_with(&format!("-ERR {why}")), "{line}");
        assert!(line.ends_with("no change to the previously active ACL rules was performed"));
        assert!(!line.contains("secret"), "{line}");
        admin.ask("ACL USERS", "*3\r\n$5\r\nalice\r\n$7\r\ndefault\r\n$4\r\nkept\r\n");
        let path = path.display().to_string();
        let error = start_error(&[("aclfile", &path)]);
        assert!(error.starts_with(&format!("aclfile: {why}")), "{error}");
    }
    let bytes: Vec<u8> = (0..=255).collect();
    fs::write(&path, bytes).unwrap();
    admin.send("ACL LOAD\r\n");
    assert!(admin.line().starts_with("-ERR "));
    fs::remove_file(&path).unwrap();
    admin.send("ACL LOAD\r\n");
    let line = admin.line();
    assert!(line.starts_with(&format!("-ERR Error loading ACLs, opening file '{shown}': ")));
    admin.ask("ACL USERS", "*3\r\n$5\r\nalice\r\n$7\r\ndefault\r\n$4\r\nkept\r\n");
}

#[test]
fn where_nothing_can_be_written_the_file_stays_as_it_was() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("users.acl");
    let good = "user alice on nopass ~* &* +@all\n";
    fs::write(&path, good).unwrap();
    let server = with_file(&path);
    let mut admin = server.connect();
    admin.ask("ACL SETUSER new on", OK);
    fs::set_permissions(dir.path(), Permissions::from_mode(0o555)).unwrap();
    let is_root = fs::write(dir.path().join("probe"), "").is_ok();
    if is_root {
        // Rights mean nothing to this user: a directory in the file's place does.
        fs::remove_file(dir.path().join("probe")).unwrap();
        fs::rename(&path, dir.path().join("kept")).unwrap();
        fs::create_dir(&path).unwrap();
    }
    let failed = "-ERR There was an error trying to save the ACLs. Please check the server logs \
        for \
                  more information\r\n";
    admin.ask("ACL SAVE", failed);
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    if is_root {
        fs::remove_dir(&path).unwrap();
        fs::rename(dir.path().join("kept"), &path).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), good);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left");
    admin.ask("ACL SAVE", OK);
    assert!(fs::read_to_string(&path).unwrap().contains("user new on "));
}

#[test]
fn users_of_the_start_come_from_one_place_and_are_made_by_the_same_rules() {
    let server = Running::with(|config| {
        config.settings = vec![
            ("user".into(), "default on nopass ~* +@all -flushdb".into()),
            ("user".into(), "alice on >secret (+get ~x)".into()),
        ];
    });
    let mut wire = server.connect();
    wire.ask("FLUSHDB", "-NOPERM User default has no permissions to run the 'flushdb' command\r\n");
    wire.ask("PUBLISH c x", "-NOPERM No permissions to access a channel\r\n");
    wire.ask("AUTH alice secret", OK);
    wire.ask("GET x", "$-1\r\n");
    for (settings, why) in [
        (&[("user", "a on"), ("USER", "a off")][..], "USER: Duplicate user 'a' found"),
        (&[("user", "a +foo")], "user: Error in ACL SETUSER modifier '+foo': Unknown command"),
        (&[("user", "")], "user: a name is missing"),
        (&[("user", "a 'on")], "user: a quote is not closed"),
        (&[("user", "a on"), ("aclfile", "/x")], "aclfile: users are defined by the setting user"),
        (&[("aclfile", "/no/such/file")], "aclfile: Error loading ACLs, opening file '/no/such/"),
    ] {
        let error = start_error(settings);
        assert!(error.starts_with(why), "{error}");
    }
}

#[test]
fn rights_that_are_taken_away_are_gone_when_that_is_answered() {
    const ROUNDS: u64 = 300;
    let server = Running::with(|config| config.threads = 4);
    let mut admin = server.connect();
    admin.ask("ACL SETUSER u on nopass +@all ~*", OK);
    let (phase, is_over) = (AtomicU64::new(1), AtomicBool::new(false));
    let refused = "-NOPERM No permissions to access a key";
    std::thread::scope(|scope| {
        for n in 0..4 {
            let mut wire = logged_in(&server, "u");
            let (phase, is_over) = (&phase, &is_over);
            scope.spawn(move || {
                while !is_over.load(Ordering::SeqCst) {
                    let before = phase.load(Ordering::SeqCst);
                    wire.send(format!("SET k{n} v\r\n"));
                    let line = wire.line();
                    let after = phase.load(Ordering::SeqCst);
                    assert!(line == "+OK" || line == refused, "{line}");
                    if before == after {
                        let expected = if before % 4 == 1 { "+OK" } else { refused };
                        assert!(before % 2 == 0 || line == expected, "{line} in phase {before}");
                    }
                }
            });
        }
        // Phases: 1 allowed, 2 being taken, 3 refused, 4 being given.
        for _ in 0..ROUNDS {
            phase.fetch_add(1, Ordering::SeqCst);
            admin.ask("ACL SETUSER u resetkeys", OK);
            phase.fetch_add(1, Ordering::SeqCst);
            admin.ask("ACL GETUSER nobody", "$-1\r\n");
            phase.fetch_add(1, Ordering::SeqCst);
            admin.ask("ACL SETUSER u ~*", OK);
            phase.fetch_add(1, Ordering::SeqCst);
            admin.ask("ACL GETUSER nobody", "$-1\r\n");
        }
        is_over.store(true, Ordering::SeqCst);
    });
    admin.ask("ACL DELUSER u", ":1\r\n");
}
