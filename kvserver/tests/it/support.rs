//! A server in this process, and clients that say exactly which bytes go and come.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use kvcore::{Durability, Options, Store};
use kvserver::{Config, Error, Server, StopHandle};
use tempfile::TempDir;

/// A server on a free port, stopped when it is dropped.
pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    stop: StopHandle,
    thread: Option<JoinHandle<Result<(), Error>>>,
    dir: Option<TempDir>,
}

impl Running {
    pub(crate) fn start() -> Self {
        Running::with(|_| {})
    }
    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let dir = TempDir::new().unwrap();
        let store = Options::new().durability(Durability::Buffered).open(dir.path()).unwrap();
        let mut running = Running::on(store, change);
        running.dir = Some(dir);
        running
    }
    /// Serves a store that the test has opened.
    pub(crate) fn on(store: Store, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.port = 0;
        config.threads = 2;
        change(&mut config);
        let server = Server::bind(config, store).unwrap();
        let (addr, stop) = (server.local_addr(), server.stop_handle());
        let thread = Some(std::thread::spawn(|| server.run()));
        Running { addr, stop, thread, dir: None }
    }
    pub(crate) fn connect(&self) -> Wire {
        Wire::connect(self.addr)
    }
    /// Waits until the server ends by itself.
    pub(crate) fn wait(mut self) -> Result<(), Error> {
        self.thread.take().unwrap().join().unwrap()
    }
    pub(crate) fn stop(mut self) -> Result<(), Error> {
        self.stop.stop();
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A client connection.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
}

impl Wire {
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        // A test that would hang fails instead.
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.set_nodelay(true).unwrap();
        Wire { stream }
    }
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }
    /// Reads exactly these bytes.
    #[track_caller]
    pub(crate) fn expect(&mut self, bytes: impl AsRef<[u8]>) {
        let wanted = bytes.as_ref();
        let mut got = vec![0; wanted.len()];
        let mut len = 0;
        while len < got.len() && got[..len] == wanted[..len] {
            match self.stream.read(&mut got[len..]) {
                Ok(0) | Err(_) => break,
                Ok(count) => len += count,
            }
        }
        let (got, wanted) = (String::from_utf8_lossy(&got[..len]), String::from_utf8_lossy(wanted));
        assert_eq!(got, wanted);
    }
    /// Sends an inline request and expects its reply.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: &str, reply: &str) {
        self.send(format!("{request}\r\n"));
        self.expect(reply);
    }
    /// Sends an inline request; the reply, which must be one bulk string.
    pub(crate) fn bulk(&mut self, request: &str) -> String {
        self.bulk_of(request, '$')
    }
    /// The same of a reply of this kind: `$` a bulk string, `=` a verbatim one.
    pub(crate) fn bulk_of(&mut self, request: &str, kind: char) -> String {
        self.send(format!("{request}\r\n"));
        let line = self.line();
        let len: usize = line.strip_prefix(kind).unwrap().parse().unwrap();
        let mut bulk = vec![0; len + 2];
        self.stream.read_exact(&mut bulk).unwrap();
        bulk.truncate(len);
        String::from_utf8(bulk).unwrap()
    }
    /// The same, or null.
    pub(crate) fn bulk_or_null(&mut self, request: &str) -> Option<String> {
        self.send(format!("{request}\r\n"));
        let line = self.line();
        let len: usize = line.strip_prefix('$').unwrap().parse().ok()?;
        let mut bulk = vec![0; len + 2];
        self.stream.read_exact(&mut bulk).unwrap();
        bulk.truncate(len);
        Some(String::from_utf8(bulk).unwrap())
    }
    /// Reads a line, without its end.
    pub(crate) fn line(&mut self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\r\n") {
            self.stream.read_exact(&mut byte).unwrap();
            line.push(byte[0]);
        }
        line.truncate(line.len() - 2);
        String::from_utf8(line).unwrap()
    }
    /// Expects the end of the stream, and nothing before it.
    #[track_caller]
    pub(crate) fn expect_closed(&mut self) {
        let mut rest = Vec::new();
        // A reset is an end, too: the server need not read what it does not want.
        let _ = self.stream.read_to_end(&mut rest);
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }
    pub(crate) fn end_sending(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }
}
