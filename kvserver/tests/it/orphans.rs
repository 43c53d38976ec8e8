//! The check for elements that no key owns, in a server that serves.

use std::time::{Duration, Instant};

use kvcore::{Durability, Options};
use tempfile::TempDir;

use crate::support::{Running, Wire};

fn info(wire: &mut Wire, field: &str) -> u64 {
    let text = wire.bulk("INFO persistence");
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{field}:")));
    line.unwrap().parse().unwrap()
}

#[test]
fn a_check_at_the_start_removes_what_no_key_owns_and_nothing_else() {
    let dir = TempDir::new().unwrap();
    let open = || Options::new().durability(Durability::Buffered).open(dir.path()).unwrap();
    let server = Running::on(open(), |_| {});
    let mut wire = server.connect();
    wire.ask("HSET lost f v g w", ":2\r\n");
    wire.ask("RPUSH kept a b", ":2\r\n");
    server.stop().unwrap();
    // A key that goes without its elements, as no command lets it.
    let store = open();
    assert!(store.raw_keyspace("db0:keys").unwrap().unwrap().delete(b"lost").unwrap());
    let elements = store.raw_keyspace("db0:elements").unwrap().unwrap();
    assert_eq!(elements.len(), 4);
    let server = Running::on(store.clone(), |config| {
        config.settings = vec![("check-orphans".to_owned(), "yes".to_owned())];
    });
    let (mut wire, until) = (server.connect(), Instant::now() + Duration::from_secs(60));
    while info(&mut wire, "orphan_check_in_progress") == 1 && Instant::now() < until {
        wire.ask("RENAME kept other", "+OK\r\n");
        wire.ask("RENAME other kept", "+OK\r\n");
    }
    let told = ["orphan_check_in_progress", "orphans_removed"].map(|field| info(&mut wire, field));
    assert_eq!(told, [0, 1]);
    wire.ask("LRANGE kept 0 -1", "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    wire.ask("EXISTS lost", ":0\r\n");
    server.stop().unwrap();
    assert_eq!(elements.len(), 2);
}
