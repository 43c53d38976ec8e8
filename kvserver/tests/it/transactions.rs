//! MULTI and EXEC as far as the connection goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use kvcore::clock::{Clock, SystemClock};
use kvcore::{Durability, Options};

use crate::support::Running;

#[test]
fn queued_commands_run_at_exec_and_discard_forgets_them() {
    let server = Running::start();
    let mut wire = server.connect();
    wire.ask("MULTI", "+OK\r\n");
    wire.ask("ECHO a", "+QUEUED\r\n");
    wire.ask("SELECT 5", "+QUEUED\r\n");
    wire.ask("EXEC", "*2\r\n$1\r\na\r\n+OK\r\n");
    assert!(wire.bulk("CLIENT INFO").contains(" db=5 "));
    wire.ask("MULTI", "+OK\r\n");
    wire.ask("SELECT 1", "+QUEUED\r\n");
    wire.ask("DISCARD", "+OK\r\n");
    assert!(wire.bulk("CLIENT INFO").contains(" db=5 "));
    wire.ask("EXEC", "-ERR EXEC without MULTI\r\n");
    wire.ask("DISCARD", "-ERR DISCARD without MULTI\r\n");
}

#[test]
fn a_refused_command_makes_exec_fail() {
    let server = Running::start();
    let abort = "-EXECABORT Transaction discarded because of previous errors.\r\n";
    let refused = [
        ("MULTI", "-ERR MULTI calls can not be nested\r\n"),
        ("WATCH a", "-ERR WATCH inside MULTI is not allowed\r\n"),
        ("NOSUCH", "-ERR unknown command 'NOSUCH', with args beginning with: \r\n"),
        ("ECHO", "-ERR wrong number of arguments for 'echo' command\r\n"),
        ("SAVE", "-ERR Command not allowed inside a transaction\r\n"),
    ];
    for (request, error) in refused {
        let mut wire = server.connect();
        wire.ask("MULTI", "+OK\r\n");
        wire.ask(request, error);
        wire.ask("ECHO a", "+QUEUED\r\n");
        wire.ask("EXEC", abort);
        wire.ask("EXEC", "-ERR EXEC without MULTI\r\n");
    }
}

#[test]
fn a_command_that_fails_in_exec_leaves_the_others_alone() {
    let server = Running::start();
    let mut wire = server.connect();
    wire.ask("MULTI", "+OK\r\n");
    wire.ask("ECHO a", "+QUEUED\r\n");
    wire.ask("SELECT 99", "+QUEUED\r\n");
    wire.ask("ECHO b", "+QUEUED\r\n");
    wire.ask("EXEC", "*3\r\n$1\r\na\r\n-ERR DB index is out of range\r\n$1\r\nb\r\n");
}

#[test]
fn watching_clients_are_counted_until_they_stop() {
    let server = Running::start();
    let (mut wire, mut other) = (server.connect(), server.connect());
    wire.ask("WATCH a b a", "+OK\r\n");
    assert!(other.bulk("INFO clients").contains("watching_clients:1\r\n"));
    assert!(other.bulk("INFO clients").contains("total_watched_keys:2\r\n"));
    wire.ask("UNWATCH", "+OK\r\n");
    assert!(other.bulk("INFO clients").contains("watching_clients:0\r\n"));
}

/// A clock that goes on by a second whenever it is read.
#[derive(Debug)]
struct Hasty {
    reads: AtomicU64,
    system: SystemClock,
}

impl Clock for Hasty {
    fn wall_ms(&self) -> u64 {
        self.system.wall_ms() + self.reads.fetch_add(1, Relaxed) * 1_000
    }
    fn monotonic(&self) -> Duration {
        self.system.monotonic()
    }
}

#[test]
fn a_key_that_expires_meanwhile_is_there_for_all_commands_of_exec_or_for_none() {
    let clock = Hasty { reads: AtomicU64::new(0), system: SystemClock::new() };
    let options = Options::new().durability(Durability::Buffered).in_memory();
    let store = options.clock(Arc::new(clock)).open("/store").unwrap();
    let server = Running::on(store, |_| {});
    let mut wire = server.connect();
    let mut seen = 0;
    // Other threads read the clock, too, so the key may be gone before EXEC; hardly ever is it.
    for _ in 0..20 {
        wire.ask("SET k v EX 60", "+OK\r\n");
        wire.send(format!("MULTI\r\n{}EXEC\r\n", "EXISTS k\r\n".repeat(200)));
        wire.expect(format!("+OK\r\n{}*200\r\n", "+QUEUED\r\n".repeat(200)));
        let replies: Vec<String> = (0..200).map(|_| wire.line()).collect();
        assert!(replies.iter().all(|reply| *reply == replies[0]), "{replies:?}");
        seen += usize::from(replies[0] == ":1");
    }
    assert!(seen > 0);
}

#[test]
fn an_exec_that_is_refused_ends_the_transaction_and_its_watches() {
    let server = Running::start();
    let (mut wire, mut other) = (server.connect(), server.connect());
    let abort = "-EXECABORT Transaction discarded because of: ";
    let arity = format!("{abort}wrong number of arguments for 'exec' command\r\n");
    wire.ask("EXEC a", &arity);
    wire.ask("WATCH k", "+OK\r\n");
    wire.ask("MULTI", "+OK\r\n");
    wire.ask("SET k 1", "+QUEUED\r\n");
    wire.ask("EXEC a", &arity);
    wire.ask("EXEC", "-ERR EXEC without MULTI\r\n");
    other.ask("SET k 2", "+OK\r\n");
    wire.ask("MULTI", "+OK\r\n");
    wire.ask("EXEC", "*0\r\n");
    wire.ask("SUBSCRIBE c", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
    let context = "only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in \
                   this context\r\n";
    wire.ask("EXEC", &format!("{abort}Can't execute 'exec': {context}"));
    other.ask("CONFIG SET requirepass secret", "+OK\r\n");
    server.connect().ask("EXEC", &format!("{abort}NOAUTH Authentication required.\r\n"));
    assert!(other.bulk("INFO commandstats").contains(",rejected_calls=4,failed_calls=1\r\n"));
}

#[test]
fn client_list_shows_whose_watched_keys_have_changed() {
    let server = Running::start();
    let (mut wire, mut other) = (server.connect(), server.connect());
    wire.ask("CLIENT SETNAME watcher", "+OK\r\n");
    wire.ask("WATCH k", "+OK\r\n");
    let flags = |other: &mut crate::support::Wire| {
        let list = other.bulk("CLIENT LIST");
        let line = list.lines().find(|line| line.contains(" name=watcher ")).unwrap();
        line.split(" flags=").nth(1).unwrap().split(' ').next().unwrap().to_owned()
    };
    assert_eq!(flags(&mut other), "N");
    other.ask("SET k 1", "+OK\r\n");
    assert_eq!(flags(&mut other), "d");
    wire.ask("MULTI", "+OK\r\n");
    assert_eq!(flags(&mut other), "xd");
    // Nothing is kept of what will not run.
    wire.ask("SET a 1", "+QUEUED\r\n");
    assert!(other.bulk("CLIENT LIST").contains(" multi=0 "));
    wire.ask("EXEC", "*-1\r\n");
    assert_eq!(flags(&mut other), "N");
    wire.ask("WATCH k", "+OK\r\n");
    assert_eq!(flags(&mut other), "N");
}
