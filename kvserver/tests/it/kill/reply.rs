//! Replies as a client reads them, and what a client may expect.

use std::io::{self, BufRead, Error, ErrorKind};

/// A RESP2 reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Simple(String),
    Error(String),
    Int(i64),
    Bulk(Option<Vec<u8>>),
    Array(Vec<Reply>),
}

/// What a reply must be.
#[derive(Clone, Debug)]
pub(super) enum Expect {
    Is(Reply),
    /// A number that depends on other connections, or on the time.
    AnyInt,
    /// Some state or error of the server, not of the data.
    Anything,
    Array(Vec<Expect>),
}

impl Expect {
    pub(super) fn ok() -> Expect {
        Expect::Is(Reply::Simple("OK".to_owned()))
    }
    pub(super) fn int(n: usize) -> Expect {
        Expect::Is(Reply::Int(i64::try_from(n).unwrap()))
    }
    pub(super) fn allows(&self, reply: &Reply) -> bool {
        match (self, reply) {
            (Expect::Is(wanted), reply) => wanted == reply,
            (Expect::AnyInt, reply) => matches!(reply, Reply::Int(_)),
            (Expect::Anything, _) => true,
            (Expect::Array(wanted), Reply::Array(got)) => {
                wanted.len() == got.len() && wanted.iter().zip(got).all(|(w, g)| w.allows(g))
            }
            (Expect::Array(_), _) => false,
        }
    }
}

impl Reply {
    /// Reads one reply. An end of the stream inside it is `UnexpectedEof`.
    pub(super) fn read(from: &mut impl BufRead) -> io::Result<Reply> {
        let mut line = Vec::new();
        from.read_until(b'\n', &mut line)?;
        let Some(line) = line.strip_suffix(b"\r\n") else {
            return Err(ErrorKind::UnexpectedEof.into());
        };
        let text = String::from_utf8_lossy(&line[1..]).into_owned();
        let number = || text.parse::<i64>().map_err(|_| invalid(line));
        Ok(match line[0] {
            b'+' => Reply::Simple(text),
            b'-' => Reply::Error(text),
            b':' => Reply::Int(number()?),
            b'$' => Reply::Bulk(match usize::try_from(number()?) {
                Ok(len) => Some(read_bulk(from, len)?),
                Err(_) => None,
            }),
            b'*' => {
                let items = 0..number()?;
                Reply::Array(items.map(|_| Reply::read(from)).collect::<io::Result<_>>()?)
            }
            _ => return Err(invalid(line)),
        })
    }
}

fn read_bulk(from: &mut impl BufRead, len: usize) -> io::Result<Vec<u8>> {
    let mut bulk = vec![0; len + 2];
    from.read_exact(&mut bulk)?;
    if !bulk.ends_with(b"\r\n") {
        return Err(invalid(&bulk[len..]));
    }
    bulk.truncate(len);
    Ok(bulk)
}

fn invalid(bytes: &[u8]) -> Error {
    Error::new(ErrorKind::InvalidData, format!("no reply: {:?}", String::from_utf8_lossy(bytes)))
}

/// A request in the protocol's own form.
pub(super) fn encode(args: &[Vec<u8>], to: &mut Vec<u8>) {
    to.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
    for arg in args {
        to.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        to.extend_from_slice(arg);
        to.extend_from_slice(b"\r\n");
    }
}
