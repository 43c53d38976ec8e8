//! Why a server could not start, or had to stop.

use std::io;
use std::net::SocketAddr;

/// An error of the server as a whole; what a command answers is another matter.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be listened on: choose another one.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A parameter is out of its range: fix the call.
    #[error("{name} must be between {min} and {max}, not {value}")]
    Parameter {
        /// The flag's name.
        name: &'static str,
        /// What was given.
        value: usize,
        /// The smallest value allowed.
        min: usize,
        /// The largest value allowed.
        max: usize,
    },
    /// A setting that no parameter takes: fix the call.
    #[error("{name}: {why}")]
    Setting {
        /// The parameter's name as given.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// There is no password, so everybody who reaches the address could read and erase the data.
    #[error(
        "refusing to listen on {addr}, which other machines can reach, as there is no password: \
         set one (--set requirepass=...), bind a loopback address, or pass --protected-mode no if \
         a firewall protects the port"
    )]
    Unprotected {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// The operating system refused something else: try again.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The store failed; what was acknowledged is in it, so restart the server.
    #[error("the store failed: {0}")]
    Store(String),
    /// A bug: what was acknowledged is in the store, so restart the server, and report it.
    #[error("the thread {thread} panicked, which is a bug; the log says where")]
    Panicked {
        /// The name of the thread.
        thread: String,
    },
}

impl Error {
    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Io { what, source }
    }
}
