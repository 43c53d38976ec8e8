//! The binary as people run it: what it prints, how it ends, what `kill -9` leaves.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::spawned::{PROGRAM, Spawned};
use crate::support::Wire;

/// A directory for a store and, beside it, the log.
struct Dirs(TempDir);

impl Dirs {
    fn new() -> Dirs {
        Dirs(TempDir::new().unwrap())
    }
    fn store(&self) -> PathBuf {
        self.0.path().join("store")
    }
    fn start(&self, flags: &[&str]) -> Spawned {
        Spawned::new(&self.store(), &self.0.path().join("log"), flags)
    }
}

/// What a start says that comes to nothing.
fn refused(dir: &Path, flags: &[&str]) -> Output {
    Command::new(PROGRAM).args(["--port", "0", "--dir"]).arg(dir).args(flags).output().unwrap()
}

#[test]
fn the_greeting_says_where_data_is_what_is_durable_and_how_to_connect() {
    let dirs = Dirs::new();
    let mut server = dirs.start(&["--appendfsync", "always"]);
    let addr = server.ready();
    let text = server.said();
    assert!(text.contains(&format!("Data: {}", dirs.store().display())), "{text}");
    assert!(text.contains("appendfsync always: a reply means the write survives power loss"));
    assert!(text.contains(&format!("redis-cli -h 127.0.0.1 -p {}", addr.port())));
}

#[test]
fn signals_end_it_cleanly_and_data_stays() {
    let dirs = Dirs::new();
    for (signal, n) in [(Signal::TERM, 1), (Signal::INT, 2)] {
        let mut server = dirs.start(&[]);
        let mut wire = Wire::connect(server.ready());
        wire.ask("INCR n", &format!(":{n}\r\n"));
        server.signal(signal);
        assert!(server.wait().success(), "{}", server.log());
        assert!(server.said().contains("Everything is synced"), "{}", server.said());
    }
}

#[test]
fn a_second_process_on_the_same_directory_is_refused() {
    let dirs = Dirs::new();
    let mut first = dirs.start(&[]);
    first.ready();
    let second = refused(&dirs.store(), &[]);
    let error = String::from_utf8(second.stderr).unwrap();
    assert!(!second.status.success() && error.contains("locked"), "{error}");
}

#[test]
fn flags_that_cannot_be_meant_are_refused_with_their_names() {
    let dir = TempDir::new().unwrap();
    for (flags, named) in [
        (["--bind", "0.0.0.0"], "--protected-mode no"),
        (["--databases", "0"], "databases"),
        (["--threads", "1000"], "threads"),
        (["--appendfsync", "sometimes"], "--appendfsync"),
    ] {
        let refused = refused(&dir.path().join("never"), &flags);
        let error = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && error.contains(named), "{flags:?}: {error}");
    }
    assert!(!dir.path().join("never").exists());
}

/// Every acknowledged INCR of several keys, then SIGKILL with requests in flight, then again.
#[test]
fn what_was_acknowledged_survives_kill_9() {
    for appendfsync in ["everysec", "always"] {
        let dirs = Dirs::new();
        let flags = ["--appendfsync", appendfsync, "--data-file-bytes", "4096"];
        let mut acknowledged = [0u64; 4];
        for cycle in 0..4 {
            let mut server = dirs.start(&flags);
            let mut wire = Wire::connect(server.ready());
            for (key, count) in acknowledged.iter_mut().enumerate() {
                wire.send(format!("INCRBY k{key} 0\r\n"));
                let found: u64 = wire.line()[1..].parse().unwrap();
                assert!(found >= *count, "{appendfsync}, cycle {cycle}: k{key} lost writes");
                *count = found;
            }
            for _ in 0..20 {
                wire.send("INCR k0\r\nINCR k1\r\nINCR k2\r\nINCR k3\r\n");
                for count in &mut acknowledged {
                    *count = wire.line()[1..].parse().unwrap();
                }
            }
            wire.send("INCR k0\r\nINCR k1\r\n".repeat(50));
            server.kill();
        }
        assert!(acknowledged.iter().all(|count| *count >= 80));
    }
}
