//! The binary as people run it: what it prints, how it ends, what `kill -9` leaves.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::support::Wire;

struct Process {
    child: Child,
    stdout: BufReader<ChildStdout>,
    greeting: Vec<String>,
    addr: SocketAddr,
}

fn command(dir: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kvserver"));
    command.args(["--port", "0", "--dir"]).arg(dir).args(flags);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Process {
    fn start(dir: &Path, flags: &[&str]) -> Self {
        let mut child = command(dir, flags).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let addr = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut process = Process { child, stdout, greeting: Vec::new(), addr };
        process.addr = process.wait_until_ready();
        process
    }
    /// Reads the greeting up to the line with the address.
    fn wait_until_ready(&mut self) -> SocketAddr {
        loop {
            let mut line = String::new();
            let len = self.stdout.read_line(&mut line).unwrap();
            assert!(len > 0, "ended after {:?}", self.greeting);
            let line = line.trim_end().to_owned();
            let addr = line.strip_prefix("Ready to accept connections on ").map(str::to_owned);
            self.greeting.push(line);
            if let Some(addr) = addr {
                return addr.parse().unwrap();
            }
        }
    }
    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_greeting_says_where_data_is_what_is_durable_and_how_to_connect() {
    let dir = TempDir::new().unwrap();
    let process = Process::start(dir.path(), &["--appendfsync", "always"]);
    let text = process.greeting.join("\n");
    assert!(text.contains(&format!("Data: {}", dir.path().display())), "{text}");
    assert!(text.contains("appendfsync always: a reply means the write survives power loss"));
    assert!(text.contains(&format!("redis-cli -h 127.0.0.1 -p {}", process.addr.port())));
}

#[test]
fn signals_end_it_cleanly_and_data_stays() {
    let dir = TempDir::new().unwrap();
    for (signal, n) in [(Signal::TERM, 1), (Signal::INT, 2)] {
        let mut process = Process::start(dir.path(), &[]);
        let mut wire = Wire::connect(process.addr);
        wire.ask("INCR n", &format!(":{n}\r\n"));
        process.signal(signal);
        let mut rest = String::new();
        process.stdout.read_to_string(&mut rest).unwrap();
        assert!(rest.contains("Everything is synced"), "{rest}");
        assert!(process.child.wait().unwrap().success());
    }
}

#[test]
fn a_second_process_on_the_same_directory_is_refused() {
    let dir = TempDir::new().unwrap();
    let _first = Process::start(dir.path(), &[]);
    let second = command(dir.path(), &[]).output().unwrap();
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
        let refused = command(&dir.path().join("never"), &flags).output().unwrap();
        let error = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && error.contains(named), "{flags:?}: {error}");
    }
    assert!(!dir.path().join("never").exists());
}

/// Every acknowledged INCR of several keys, then SIGKILL with requests in flight, then again.
#[test]
fn what_was_acknowledged_survives_kill_9() {
    for appendfsync in ["everysec", "always"] {
        let dir = TempDir::new().unwrap();
        let flags = ["--appendfsync", appendfsync, "--data-file-bytes", "4096"];
        let mut acknowledged = [0u64; 4];
        for cycle in 0..4 {
            let process = Process::start(dir.path(), &flags);
            let mut wire = Wire::connect(process.addr);
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
            process.signal(Signal::KILL);
        }
        assert!(acknowledged.iter().all(|count| *count >= 80));
    }
}
