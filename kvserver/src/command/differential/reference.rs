//! A Redis of the same machine, started for one test and gone with it.
//!
//! Knows the process and whole replies. Does not know what is asked.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Of these versions the replies are known to be comparable.
const MAJOR_VERSION: &str = "v=7.";
const START_MAX: Duration = Duration::from_secs(120);

/// A server and the connection to it.
pub(in crate::command) struct Reference {
    stream: BufReader<UnixStream>,
    child: Child,
    dir: TempDir,
}

/// A second connection, which hears every message.
pub(in crate::command) struct Hearer(BufReader<UnixStream>);

impl Reference {
    /// Starts `redis-server`, on a socket in a directory of its own; `None`, and a line that says
    /// so, where there is none, or one of another version.
    pub(in crate::command) fn start() -> Option<Reference> {
        let version = match Command::new("redis-server").arg("--version").output() {
            Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
            Err(e) if e.kind() == ErrorKind::NotFound => {
                println!("skipped: no redis-server");
                return None;
            }
            Err(e) => panic!("redis-server does not start: {e}"),
        };
        if !version.contains(MAJOR_VERSION) {
            println!("skipped: another redis-server than {MAJOR_VERSION}x: {version}");
            return None;
        }
        let dir = TempDir::new().unwrap();
        let socket = dir.path().join("socket");
        let child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no"])
            .args(["--enable-debug-command", "yes", "--unixsocket"])
            .arg(&socket)
            .arg("--dir")
            .arg(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + START_MAX;
        let stream = loop {
            match UnixStream::connect(&socket) {
                Ok(stream) => break stream,
                Err(e) if Instant::now() > deadline => panic!("redis-server is not there: {e}"),
                // Nothing tells that it is ready but that it answers.
                Err(_) => std::thread::park_timeout(Duration::from_millis(5)),
            }
        };
        let mut reference = Reference { stream: BufReader::new(stream), child, dir };
        // What has expired goes when it is asked for, not at a moment of the server's own.
        reference.call(&[b"debug", b"set-active-expire", b"0"]);
        Some(reference)
    }

    /// Somebody who hears every message from now on.
    pub(in crate::command) fn hearer(&self) -> Hearer {
        let stream = UnixStream::connect(self.dir.path().join("socket")).unwrap();
        let mut hearer = Hearer(BufReader::new(stream));
        hearer.0.get_mut().write_all(b"PSUBSCRIBE *\r\n").unwrap();
        read_reply(&mut hearer.0, &mut Vec::new());
        hearer
    }

    pub(in crate::command) fn call(&mut self, args: &[&[u8]]) -> Vec<u8> {
        let mut request = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            request.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            request.extend_from_slice(arg);
            request.extend_from_slice(b"\r\n");
        }
        self.stream.get_mut().write_all(&request).unwrap();
        let mut reply = Vec::new();
        read_reply(&mut self.stream, &mut reply);
        reply
    }
}

impl Hearer {
    /// The next message: its channel and what it says.
    pub(in crate::command) fn next(&mut self) -> (String, String) {
        let mut frame = Vec::new();
        read_reply(&mut self.0, &mut frame);
        let frame = String::from_utf8(frame).unwrap();
        let mut lines = frame.split("\r\n").skip(6).step_by(2);
        let mut next = || lines.next().unwrap_or_default().to_owned();
        (next(), next())
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Moves one whole reply from `input` to `out`.
pub(in crate::command) fn read_reply(input: &mut impl BufRead, out: &mut Vec<u8>) {
    let start = out.len();
    input.read_until(b'\n', out).unwrap();
    let line = String::from_utf8_lossy(&out[start..]).into_owned();
    assert!(line.ends_with("\r\n"), "not a line: {line:?}");
    let count = || line[1..].trim_end().parse::<i64>().unwrap();
    let children = match line.as_bytes()[0] {
        b'$' | b'=' if count() >= 0 => {
            let mut body = vec![0; usize::try_from(count()).unwrap() + 2];
            input.read_exact(&mut body).unwrap();
            assert!(body.ends_with(b"\r\n"), "a bulk string of another length");
            out.extend_from_slice(&body);
            0
        }
        b'*' | b'~' | b'>' => count(),
        b'%' => count() * 2,
        b'$' | b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => 0,
        _ => panic!("no such kind of reply: {line:?}"),
    };
    (0..children).for_each(|_| read_reply(input, out));
}
