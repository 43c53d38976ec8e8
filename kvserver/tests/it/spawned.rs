//! The real binary as a process of its own, which can be killed.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The binary under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_kvserver");

/// How long anything the server does by itself may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until then, and on until enough has happened: on a busy machine nothing may have by then.
///
/// For kills whose instant is what is tested, so that it comes by the clock.
#[track_caller]
pub(crate) fn live_until(ends_at: Instant, is_enough: impl Fn() -> bool) {
    let deadline = ends_at + PATIENCE;
    loop {
        let left = ends_at.saturating_duration_since(Instant::now());
        if left.is_zero() && is_enough() {
            return;
        }
        assert!(Instant::now() < deadline, "nothing happens");
        std::thread::park_timeout(left.clamp(Duration::from_millis(1), PATIENCE));
    }
}

/// A running `kvserver`; killed when dropped.
pub(crate) struct Spawned {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
    log: PathBuf,
}

/// How far a start has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Ready(SocketAddr),
    /// The process has ended, or has at least closed its output.
    Ended,
    NotYet,
}

impl Spawned {
    /// Starts the binary on `dir`, on a free port; its log goes to the file `log`.
    pub(crate) fn new(dir: &Path, log: &Path, args: &[&str]) -> Spawned {
        let mut child = Command::new(PROGRAM)
            .arg("--dir")
            .arg(dir)
            .args(["--port", "0"])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(log).unwrap())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                // Nobody listens any more once the test has seen enough.
                let _ = sender.send(line);
            }
        });
        Spawned { child, lines, said: Vec::new(), log: log.to_owned() }
    }

    /// Waits until clients can connect, at most this long.
    pub(crate) fn wait_ready(&mut self, at_most: Duration) -> Start {
        let deadline = Instant::now() + at_most;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    let addr = line.strip_prefix("Ready to accept connections on ");
                    let addr = addr.map(|addr| addr.parse().unwrap());
                    self.said.push(line);
                    if let Some(addr) = addr {
                        return Start::Ready(addr);
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Start::NotYet,
                Err(RecvTimeoutError::Disconnected) => return Start::Ended,
            }
        }
    }

    /// The address, when clients can connect.
    #[track_caller]
    pub(crate) fn ready(&mut self) -> SocketAddr {
        match self.wait_ready(PATIENCE) {
            Start::Ready(addr) => addr,
            other => panic!("{other:?}; said {:?}; log:\n{}", self.said, self.log()),
        }
    }

    /// `kill -9`; returns when the process is gone.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Lets it open no more files than this at a time.
    #[cfg(target_os = "linux")]
    pub(crate) fn limit_files(&self, files: u64) {
        use rustix::process::{Resource, Rlimit, prlimit};
        let limit = Rlimit { current: Some(files), maximum: Some(files) };
        prlimit(Some(Pid::from_child(&self.child)), Resource::Nofile, limit).unwrap();
    }

    /// `kill -TERM`, and the wait for the end.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits for the end.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        while self.lines.recv_timeout(PATIENCE).map(|line| self.said.push(line)).is_ok() {}
        // Its output is closed, so either it is ending or it hangs, and then this finds out.
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::yield_now();
        }
        panic!("the server does not end; log:\n{}", self.log());
    }

    /// The lines it has printed so far.
    pub(crate) fn said(&self) -> String {
        self.said.join("\n")
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap()).into_owned()
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
