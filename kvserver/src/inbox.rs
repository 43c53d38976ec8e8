//! The bytes a client has sent, and the requests found in them.
//!
//! Idle connections own none: a worker lends one while there is something in it.
//!
//! # Laws
//!
//! I1. Bytes move only while no complete request waits, so the places of arguments stay right.
//! I2. Capacity at most doubles when it is full of received bytes, never by a declared length.

use std::io::{self, Read};
use std::ops::Range;

use crate::command::table::{Entry, Fetch, Of, Resolver};
use crate::data::{Ahead, Named};
use crate::resp::{Limits, Parser, ProtocolError, Step};

/// What an empty inbox has room for.
const CAPACITY_BYTES_MIN: usize = 16 * 1024;
/// A larger one is given back to the system when it is empty.
const CAPACITY_BYTES_KEPT_MAX: usize = 64 * 1024;
/// Least room for a read to be worth its call.
const READ_BYTES_MIN: usize = 4 * 1024;

/// A request, complete and looked up.
#[derive(Debug)]
struct Request {
    entry: Option<&'static Entry>,
    args: Args,
}

#[derive(Debug)]
enum Args {
    /// Indices into `Inbox::places`.
    At(Range<usize>),
    Inline(Vec<Vec<u8>>),
}

/// What a read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// That many bytes, all there were; an edge will tell when there are more.
    Drained(usize),
    /// That many bytes, and there may be more.
    More(usize),
    /// The peer sends no more.
    Closed,
}

/// What becomes of requests after one was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    GoOn,
    Stop,
    /// Stop, and hand this one over again the next time.
    Keep,
}

/// Input, parser state and requests of one connection.
#[derive(Debug)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    /// How many of `bytes` have been received.
    end: usize,
    parser: Parser,
    resolver: Resolver,
    places: Vec<Range<usize>>,
    requests: Vec<Request>,
    /// What there is to fetch ahead of them, by [`Fetch::bit`].
    fetches: u8,
    error: Option<ProtocolError>,
}

impl Default for Inbox {
    fn default() -> Self {
        Inbox {
            bytes: vec![0; CAPACITY_BYTES_MIN],
            end: 0,
            parser: Parser::default(),
            resolver: Resolver::default(),
            places: Vec::new(),
            requests: Vec::new(),
            fetches: 0,
            error: None,
        }
    }
}

impl Inbox {
    /// Bytes received and not yet executed, about.
    pub(crate) fn len(&self) -> usize {
        self.end
    }
    /// True if nothing is in it, so that it can serve another connection.
    pub(crate) fn is_empty(&self) -> bool {
        self.requests.is_empty()
            && self.error.is_none()
            && self.parser.is_idle()
            && self.parser.position() == self.end
    }
    /// True if it is small enough to be kept for the next connection.
    pub(crate) fn is_worth_keeping(&self) -> bool {
        self.bytes.len() <= CAPACITY_BYTES_KEPT_MAX && self.places.capacity() <= 16 * 1024
    }
    /// Makes an empty one ready for another connection.
    pub(crate) fn reset(&mut self) {
        self.end = 0;
        self.parser = Parser::default();
        self.places.clear();
    }

    /// Reads once from `source`.
    pub(crate) fn receive(&mut self, source: &mut impl Read) -> io::Result<Received> {
        self.make_room();
        let room = self.bytes.len() - self.end;
        loop {
            match source.read(&mut self.bytes[self.end..]) {
                Ok(0) => return Ok(Received::Closed),
                Ok(count) => {
                    self.end += count;
                    let drained = count < room;
                    return Ok(if drained {
                        Received::Drained(count)
                    } else {
                        Received::More(count)
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Received::Drained(0));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Drops what is not needed from the front, and grows if the rest fills the room.
    fn make_room(&mut self) {
        debug_assert!(self.requests.is_empty(), "I1");
        let begun = self.places.len() - self.parser.begun();
        self.places.drain(..begun);
        let needed_from = self.places.first().map_or(self.parser.position(), |place| place.start);
        if needed_from > 0 && self.bytes.len() - self.end < self.end - needed_from + READ_BYTES_MIN
        {
            self.bytes.copy_within(needed_from..self.end, 0);
            self.end -= needed_from;
            self.parser.shift(needed_from);
            for place in &mut self.places {
                *place = place.start - needed_from..place.end - needed_from;
            }
        } else if needed_from == self.end {
            self.parser.shift(self.end);
            self.end = 0;
        }
        if self.bytes.len() - self.end < READ_BYTES_MIN {
            self.bytes.resize(self.bytes.len() * 2, 0);
        }
    }

    /// Finds the complete requests.
    pub(crate) fn parse(&mut self, limits: &Limits) {
        self.parse_until(limits, |_| false);
    }
    /// The same up to a request after which the limits may be others; true if there was one.
    #[inline]
    pub(crate) fn parse_until(
        &mut self,
        limits: &Limits,
        is_last: impl Fn(Option<&'static Entry>) -> bool,
    ) -> bool {
        if self.requests.is_empty() {
            self.fetches = 0;
        }
        while self.error.is_none() {
            let first = self.places.len() - self.parser.begun();
            match self.parser.step(&self.bytes[..self.end], &mut self.places, limits) {
                Ok(Step::Request) => {
                    let at = |index: usize| &self.bytes[self.places[index].clone()];
                    let second = (self.places.len() > first + 1).then(|| at(first + 1));
                    let entry = self.resolver.resolve(at(first), second);
                    self.fetches |= entry.map_or(0, |entry| entry.fetch_bit);
                    let args = Args::At(first..self.places.len());
                    self.requests.push(Request { entry, args });
                }
                Ok(Step::Inline(words)) => {
                    let entry = self.resolver.resolve(&words[0], words.get(1).map(Vec::as_slice));
                    self.requests.push(Request { entry, args: Args::Inline(words) });
                }
                Ok(Step::Incomplete) => return false,
                Err(error) => self.error = Some(error),
            }
            if self.requests.last().is_some_and(|request| is_last(request.entry)) {
                return true;
            }
        }
        false
    }

    /// The number of requests that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.requests.len()
    }
    /// True if one of them may write.
    pub(crate) fn may_write(&self) -> bool {
        let writes = |entry: &Entry| entry.command.flags.may_write();
        self.requests.iter().any(|request| request.entry.is_some_and(writes))
    }
    /// The keys of waiting requests that are worth fetching this far before they run.
    pub(crate) fn keys_to_fetch(&self, ahead: Ahead) -> impl Iterator<Item = &[u8]> {
        let args = self.to_fetch(Fetch::keys_bit(ahead)).flat_map(|(_, _, args)| args);
        args.map(|place| &self.bytes[place.clone()])
    }
    /// The names of elements that are.
    pub(crate) fn names_to_fetch(&self, ahead: Ahead) -> impl Iterator<Item = Named<'_>> {
        let of = move |(fetch, key, args): (Fetch, &'_ Range<usize>, _)| {
            let Of::Elements { part } = fetch.of else { return None };
            let key = &self.bytes[key.clone()];
            let named = move |name: &Range<usize>| {
                let name = &self.bytes[name.clone()];
                Named { key, part, name }
            };
            Some(Iterator::map(args, named))
        };
        self.to_fetch(Fetch::elements_bit(ahead)).filter_map(of).flatten()
    }
    /// Of the requests with fetches of this kind, the first argument and those to fetch by.
    fn to_fetch(
        &self,
        bit: u8,
    ) -> impl Iterator<Item = (Fetch, &Range<usize>, impl Iterator<Item = &Range<usize>>)> {
        let of = move |request: &Request| {
            let fetch = request.entry?.fetch.filter(|fetch| fetch.bit() == bit)?;
            let Args::At(at) = &request.args else { return None };
            let args = self.places.get(at.clone())?;
            let wanted = args.get(fetch.first..)?;
            let count = if fetch.step.is_some() { wanted.len() } else { wanted.len().min(1) };
            let wanted = wanted[..count].iter().step_by(fetch.step.unwrap_or(1));
            Some((fetch, args.get(1)?, wanted))
        };
        let requests = if self.fetches & bit == 0 { &[][..] } else { &self.requests[..] };
        requests.iter().filter_map(of)
    }
    /// Why the stream ends after these requests, if it does.
    pub(crate) fn error(&self) -> Option<ProtocolError> {
        self.error
    }

    /// Hands the waiting requests to `f` in order, until it says stop. Those handed over are gone,
    /// but for one that is to be kept.
    pub(crate) fn take(&mut self, mut f: impl FnMut(Option<&'static Entry>, &[&[u8]]) -> Next) {
        let mut args: Vec<&[u8]> = Vec::with_capacity(8);
        let mut taken = 0;
        for request in &self.requests {
            args.clear();
            match &request.args {
                Args::At(range) => {
                    args.extend(self.places[range.clone()].iter().map(|p| &self.bytes[p.clone()]));
                }
                Args::Inline(words) => args.extend(words.iter().map(Vec::as_slice)),
            }
            let next = f(request.entry, &args);
            taken += usize::from(next != Next::Keep);
            if next != Next::GoOn {
                break;
            }
        }
        drop(args);
        self.requests.drain(..taken);
    }
    /// Forgets all requests; nothing of them runs.
    pub(crate) fn discard(&mut self) {
        self.requests.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { args_max: 1 << 20, bulk_len_max: 1 << 29, authenticated: true };

    /// Gives at most `step` bytes per read.
    struct Dripping<'a>(&'a [u8], usize);
    impl Read for Dripping<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let len = self.1.min(into.len()).min(self.0.len());
            if len == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            into[..len].copy_from_slice(&self.0[..len]);
            self.0 = &self.0[len..];
            Ok(len)
        }
    }

    fn drain(stream: &[u8], step: usize) -> (Vec<Vec<Vec<u8>>>, Inbox) {
        let (mut inbox, mut source) = (Inbox::default(), Dripping(stream, step));
        let mut requests = Vec::new();
        while !source.0.is_empty() {
            inbox.receive(&mut source).unwrap();
            inbox.parse(&LIMITS);
            inbox.take(|_, args| {
                requests.push(args.iter().map(|arg| arg.to_vec()).collect());
                Next::GoOn
            });
        }
        (requests, inbox)
    }

    #[test]
    fn requests_larger_than_the_room_arrive_whole() {
        let value = vec![b'v'; 300_000];
        let mut stream = b"PING\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$300000\r\n".to_vec();
        stream.extend_from_slice(&value);
        stream.extend_from_slice(b"\r\n*1\r\n$4\r\nPING\r\n");
        for step in [1000, 4096, 70_000, 1_000_000] {
            let (requests, inbox) = drain(&stream, step);
            assert_eq!(requests.len(), 3, "step {step}");
            assert_eq!(requests[1][2], value);
            assert!(inbox.is_empty());
            assert!(inbox.bytes.len() <= 4 * stream.len());
        }
    }

    #[test]
    fn declared_lengths_make_no_room_before_bytes_arrive() {
        let starts = [
            "*1048576\r\n",
            "*1048576\r\n$536870912\r\nx",
            "*2\r\n$536870912\r\n0123456789",
            "*1048576\r\n$3\r\nSET\r\n$536870912\r\n",
        ];
        for start in starts {
            let (requests, inbox) = drain(start.as_bytes(), 5);
            assert!(requests.is_empty() && inbox.error().is_none(), "{start}");
            assert!(inbox.bytes.capacity() <= 4 * CAPACITY_BYTES_MIN, "{start}");
            assert!(inbox.places.capacity() <= 1024, "{start}");
        }
    }

    #[test]
    fn names_of_elements_and_keys_of_strings_are_found_among_arguments() {
        let requests = [
            "SADD s a b",
            "HSET h f v g w",
            "SET k v",
            "ZADD z 1 m 2 n",
            "SISMEMBER s c",
            "LPUSH l x",
            "ZSCORE z o",
            "MGET k q",
            "SADD s",
            "PING",
        ];
        let (mut inbox, mut stream) = (Inbox::default(), Vec::new());
        for request in requests {
            let words: Vec<&str> = request.split(' ').collect();
            stream.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
            for word in words {
                stream.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
            }
        }
        inbox.receive(&mut &stream[..]).unwrap();
        inbox.parse(&LIMITS);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let names = |of: &Inbox, ahead| -> Vec<(String, usize, String)> {
            let names = of.names_to_fetch(ahead);
            names.map(|named| (text(named.key), named.part.len(), text(named.name))).collect()
        };
        let expected = |names: &[(&str, usize, &str)]| -> Vec<(String, usize, String)> {
            names.iter().map(|(key, part, name)| ((*key).into(), *part, (*name).into())).collect()
        };
        let places = [("s", 0, "a"), ("s", 0, "b"), ("h", 0, "f"), ("h", 0, "g"), ("s", 0, "c")];
        assert_eq!(names(&inbox, Ahead::Place), expected(&places));
        let updates = [("z", 1, "m"), ("z", 1, "n")];
        assert_eq!(names(&inbox, Ahead::Both), expected(&updates));
        assert_eq!(names(&inbox, Ahead::Value), expected(&[("z", 1, "o")]));
        assert_eq!(inbox.keys_to_fetch(Ahead::Place).collect::<Vec<_>>(), [b"k"]);
        assert_eq!(inbox.keys_to_fetch(Ahead::Value).collect::<Vec<_>>(), [b"k", b"q"]);
        inbox.discard();
        inbox.parse(&LIMITS);
        assert_eq!(names(&inbox, Ahead::Place), []);
    }

    #[test]
    fn a_long_pipeline_stays_within_the_smallest_room() {
        let stream = b"*2\r\n$3\r\nGET\r\n$10\r\n0123456789\r\n".repeat(10_000);
        for step in [7, 1000, 16 * 1024] {
            let (requests, inbox) = drain(&stream, step);
            assert_eq!(requests.len(), 10_000);
            assert_eq!(inbox.bytes.len(), CAPACITY_BYTES_MIN);
        }
    }
}
