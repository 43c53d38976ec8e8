//! Data over the wire: what clients wrote is there, for all of them, atomically, after a restart.

use kvcore::disk::{Fault, Repeat, SimDisk};
use kvcore::{AutoMerge, Durability, Options, ReadMode, Store};
use kvserver::AppendFsync;
use std::sync::Arc;
use tempfile::TempDir;

use crate::support::Running;

fn open(dir: &TempDir) -> Store {
    Options::new().durability(Durability::Buffered).open(dir.path()).unwrap()
}

#[test]
fn a_pipeline_sees_its_own_writes_in_order() {
    let server = Running::start();
    let mut wire = server.connect();
    wire.send("SET k 1\r\nGET k\r\nINCR k\r\nINCR k\r\nDEL k\r\nGET k\r\n");
    wire.expect("+OK\r\n$1\r\n1\r\n:2\r\n:3\r\n:1\r\n$-1\r\n");
}

#[test]
fn clients_on_all_workers_see_each_others_writes() {
    let server = Running::with(|config| config.threads = 4);
    let mut wires: Vec<_> = (0..8).map(|_| server.connect()).collect();
    for n in 0..8 {
        wires[n].ask(&format!("SET k {n}"), "+OK\r\n");
        for wire in &mut wires {
            wire.ask("GET k", &format!("$1\r\n{n}\r\n"));
        }
    }
}

#[test]
fn concurrent_increments_lose_nothing() {
    let server = Running::with(|config| config.threads = 4);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let mut wire = server.connect();
            scope.spawn(move || {
                for _ in 0..50 {
                    wire.send("INCR n\r\n".repeat(20));
                    (0..20).for_each(|_| drop(wire.line()));
                }
            });
        }
    });
    server.connect().ask("GET n", "$4\r\n8000\r\n");
}

#[test]
fn exec_is_one_step_for_other_clients() {
    let server = Running::with(|config| config.threads = 4);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let mut wire = server.connect();
            scope.spawn(move || {
                for _ in 0..200 {
                    wire.send("MULTI\r\nINCR a\r\nINCR b\r\nEXEC\r\n");
                    wire.expect("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n");
                    assert_eq!(wire.line(), wire.line());
                }
            });
        }
        let mut reader = server.connect();
        scope.spawn(move || {
            for _ in 0..500 {
                reader.send("MGET a b\r\n");
                reader.expect("*2\r\n");
                let mut values = Vec::new();
                for _ in 0..2 {
                    let header = reader.line();
                    values.push(if header == "$-1" { None } else { Some(reader.line()) });
                }
                assert_eq!(values[0], values[1]);
            }
        });
    });
}

#[test]
fn exec_sees_its_own_changes_and_keeps_expiries() {
    let server = Running::start();
    let mut wire = server.connect();
    wire.ask("SET k v EX 1000", "+OK\r\n");
    wire.send("MULTI\r\nAPPEND k w\r\nTTL k\r\nGET k\r\nDEL k\r\nEXISTS k\r\nDBSIZE\r\nEXEC\r\n");
    wire.expect("+OK\r\n");
    wire.expect("+QUEUED\r\n".repeat(6));
    wire.expect("*6\r\n:2\r\n:1000\r\n$2\r\nvw\r\n:1\r\n:0\r\n:0\r\n");
}

#[test]
fn watched_keys_that_change_make_exec_answer_null() {
    let server = Running::start();
    let (mut wire, mut other) = (server.connect(), server.connect());
    let changes = ["SET k 2", "DEL k", "FLUSHDB", "EXPIRE k 100", "RENAME k j", "MSET j 1 k 2"];
    for change in changes {
        other.ask("SET k 1", "+OK\r\n");
        wire.ask("WATCH k", "+OK\r\n");
        other.send(format!("{change}\r\n"));
        other.line();
        wire.send("MULTI\r\nGET k\r\nEXEC\r\n");
        wire.expect("+OK\r\n+QUEUED\r\n*-1\r\n");
    }
    other.ask("SET k 1", "+OK\r\n");
    wire.ask("WATCH k nosuch", "+OK\r\n");
    other.ask("SET elsewhere 1", "+OK\r\n");
    other.ask("DEL nosuch", ":0\r\n");
    wire.send("MULTI\r\nGET k\r\nEXEC\r\n");
    wire.expect("+OK\r\n+QUEUED\r\n*1\r\n$1\r\n1\r\n");
}

#[test]
fn data_and_expiries_survive_a_restart() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    let server = Running::on(store.clone(), |_| {});
    let mut wire = server.connect();
    wire.send("SET a 1\r\nSELECT 3\r\nSET b 2 EX 1000\r\nSET c 3\r\nDEL c\r\n");
    wire.expect("+OK\r\n+OK\r\n+OK\r\n+OK\r\n:1\r\n");
    server.stop().unwrap();
    store.close().unwrap();

    let server = Running::on(open(&dir), |_| {});
    let mut wire = server.connect();
    wire.ask("GET a", "$1\r\n1\r\n");
    wire.send("SELECT 3\r\nGET b\r\nTTL b\r\nGET c\r\nDBSIZE\r\n");
    wire.expect("+OK\r\n$1\r\n2\r\n");
    let ttl: u64 = wire.line()[1..].parse().unwrap();
    assert!((900..=1000).contains(&ttl), "{ttl}");
    wire.expect("$-1\r\n:1\r\n");
}

#[test]
fn always_acknowledges_only_what_is_durable() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    let always = |config: &mut kvserver::Config| config.appendfsync = AppendFsync::Always;
    let server = Running::on(store.clone(), always);
    let (mut writer, mut reader) = (server.connect(), server.connect());
    for n in 0..50 {
        writer.ask(&format!("SET k {n}"), "+OK\r\n");
        assert_eq!(store.durable_sequence(), store.tip_sequence());
        reader.send("GET k\r\n");
        reader.line();
        assert_eq!(reader.line(), n.to_string());
    }
    writer.ask("CONFIG SET appendfsync no", "+OK\r\n");
    writer.ask("SET k buffered", "+OK\r\n");
    writer.ask("SAVE", "+OK\r\n");
    assert_eq!(store.durable_sequence(), store.tip_sequence());
}

#[test]
fn a_failed_write_or_sync_fails_pending_replies_and_ends_the_server() {
    // The next operation of the disk is the write of the round, the one after it the sync.
    for (name, operation) in [("write", 0), ("sync", 1)] {
        let disk = Arc::new(SimDisk::new(7));
        let options = Options::new()
            .disk(Arc::<SimDisk>::clone(&disk))
            .read_mode(ReadMode::Pread)
            .auto_merge(AutoMerge::Off)
            .durability(Durability::Buffered);
        let store = options.open("/store").unwrap();
        let server = Running::on(store, |config| config.appendfsync = AppendFsync::Always);
        let mut wire = server.connect();
        wire.ask("SET a 1", "+OK\r\n");
        disk.fail(disk.operations() + operation, Fault::EIO, Repeat::Forever);
        wire.send("SET b 2\r\nGET b\r\n");
        let reply = wire.line();
        assert!(reply.starts_with("-ERR the store failed: "), "{name}: {reply}");
        wire.expect_closed();
        let error = server.wait().unwrap_err();
        assert!(matches!(error, kvserver::Error::Store(_)), "{name}: {error}");
    }
}

#[test]
fn an_oversized_key_is_refused_and_the_connection_goes_on() {
    let server = Running::start();
    let mut wire = server.connect();
    let key = "k".repeat(70_000);
    wire.send(format!("*3\r\n$3\r\nSET\r\n$70000\r\n{key}\r\n$1\r\nv\r\n"));
    assert!(wire.line().starts_with("-ERR key is"));
    wire.ask("PING", "+PONG\r\n");
}
