//! One connection that writes without waiting, and keeps the ledger of what was acknowledged.

use std::collections::{BTreeSet, VecDeque};
use std::io::{self, BufReader, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};

use super::generate::{Generator, now_ms};
use super::model::{Entry, Key, Op, SHARED_DB, State, is_short_lived, ticket_key};
use super::reply::{Expect, Reply, encode};
use crate::spawned::PATIENCE;

/// The store's clock never goes back, for which it may be this far ahead of the wall's.
const CLOCK_AHEAD_MS: u64 = 1;

/// Reads replies from, and writes requests to, one socket.
pub(crate) struct Conn {
    reader: BufReader<TcpStream>,
}

impl Conn {
    pub(crate) fn new(addr: SocketAddr) -> io::Result<Conn> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Conn { reader: BufReader::new(stream) })
    }
    /// Sends requests, then reads as many replies.
    pub(crate) fn ask(&mut self, requests: &[Vec<Vec<u8>>]) -> io::Result<Vec<Reply>> {
        let mut bytes = Vec::new();
        requests.iter().for_each(|request| encode(request, &mut bytes));
        self.reader.get_mut().write_all(&bytes)?;
        requests.iter().map(|_| Reply::read(&mut self.reader)).collect()
    }
    /// Sends one request in words.
    pub(crate) fn say(&mut self, request: &str) -> io::Result<Reply> {
        let words = request.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        Ok(self.ask(&[words])?.remove(0))
    }
}

/// A client, for the life of a store.
pub(super) struct Client {
    pub(super) number: usize,
    generator: Generator,
    /// After the commands that were acknowledged.
    acked: State,
    /// After all commands.
    tip: State,
    /// Sent and not acknowledged, with the replies they must get.
    in_flight: VecDeque<(Op, Vec<Expect>)>,
    pub(super) ops_acked: u64,
    pub(super) ops_undecided: u64,
}

impl Client {
    pub(super) fn new(number: usize, seed: u64, blob_bytes: usize) -> Client {
        Client {
            number,
            generator: Generator::new(seed, blob_bytes),
            acked: State::default(),
            tip: State::default(),
            in_flight: VecDeque::new(),
            ops_acked: 0,
            ops_undecided: 0,
        }
    }

    /// Writes until the connection breaks, which must not be by a wrong reply.
    pub(super) fn run(&mut self, addr: SocketAddr) -> Result<(), String> {
        let result = self.run_until_broken(addr);
        self.ops_undecided += u64::try_from(self.in_flight.len()).unwrap();
        match result {
            Err(error) if error.kind() == ErrorKind::InvalidData => Err(error.to_string()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err("no reply".to_owned()),
            _ => Ok(()),
        }
    }

    fn run_until_broken(&mut self, addr: SocketAddr) -> io::Result<()> {
        let mut conn = Conn::new(addr)?;
        conn.say(&format!("SELECT {}", self.number))?;
        let window = 1 + self.generator.below(256);
        loop {
            let mut bytes = Vec::new();
            for _ in 0..=self.generator.below(window.min(48)) {
                let op = self.generator.op(&self.tip);
                op.requests(self.number).iter().for_each(|request| encode(request, &mut bytes));
                let replies = self.tip.apply(&op);
                self.in_flight.push_back((op, replies));
            }
            conn.reader.get_mut().write_all(&bytes)?;
            let keep = self.generator.below(window);
            while self.in_flight.len() > keep {
                self.acknowledge(&mut conn)?;
            }
        }
    }

    fn acknowledge(&mut self, conn: &mut Conn) -> io::Result<()> {
        let (op, expected) = self.in_flight.front().expect("the caller has looked");
        for expect in expected {
            let reply = Reply::read(&mut conn.reader)?;
            if !expect.allows(&reply) {
                let requests = op.requests(self.number);
                let said: Vec<_> = requests.iter().map(|args| shown(&args.join(&b' '))).collect();
                let what = format!("{said:?}\nanswered {reply:?}\nnot      {expect:?}");
                return Err(io::Error::new(ErrorKind::InvalidData, what));
            }
        }
        self.acked.apply(op);
        self.in_flight.pop_front();
        self.ops_acked += 1;
        Ok(())
    }

    /// Finds the prefix of the commands sent whose result the server shows, at least as long as
    /// what was acknowledged, and goes on from there.
    pub(super) fn verify(&mut self, conn: &mut Conn) -> Result<Seen, String> {
        let seen = self.observe(conn).map_err(|error| error.to_string())??;
        let mut state = self.acked.clone();
        let mut misses = vec![seen.differences(&state)];
        for (op, _) in &self.in_flight {
            if misses.last().is_some_and(Vec::is_empty) {
                break;
            }
            state.apply(op);
            misses.push(seen.differences(&state));
        }
        if misses.last().is_some_and(Vec::is_empty) {
            self.acked.clone_from(&state);
            self.tip = state;
            self.in_flight.clear();
            return Ok(seen);
        }
        let (after, fewest) =
            misses.iter().enumerate().min_by_key(|(_, m)| m.len()).expect("there is one");
        let (number, sent) = (self.number, self.in_flight.len());
        let from = after.saturating_sub(2);
        let around =
            self.in_flight.iter().skip(from).take(5).flat_map(|(op, _)| op.requests(number));
        let around: Vec<_> = around.map(|args| shown(&args.join(&b' '))).collect();
        Err(format!(
            "connection {number}: no prefix of the {sent} commands in flight gives what is there; \
             after {after} of them it is nearest:\n{}\nthe commands around:\n{}",
            fewest.join("\n"),
            around.join("\n")
        ))
    }

    fn observe(&self, conn: &mut Conn) -> io::Result<Result<Seen, String>> {
        conn.say(&format!("SELECT {SHARED_DB}"))?;
        let tickets = match conn.say(&format!("GET {}", ticket_key(self.number)))? {
            Reply::Bulk(Some(n)) => String::from_utf8_lossy(&n).parse().unwrap_or(-1),
            _ => 0,
        };
        conn.say(&format!("SELECT {}", self.number))?;
        let scanned = scan(conn)?;
        let mut keys: BTreeSet<&Key> = scanned.iter().chain(self.acked.entries.keys()).collect();
        keys.extend(self.in_flight.iter().flat_map(|(op, _)| op.keys()));
        let mut seen = Seen { began_ms: now_ms(), state: State::default() };
        let ask = |name: &str| keys.iter().map(|k| vec![name.into(), k.to_vec()]).collect();
        let requests: Vec<Vec<Vec<u8>>> = ask("PEXPIRETIME");
        let times = conn.ask(&requests)?;
        let requests: Vec<Vec<Vec<u8>>> = ask("GET");
        for ((key, value), time) in keys.iter().zip(conn.ask(&requests)?).zip(times) {
            let expires_at_ms = match (&value, time) {
                (Reply::Bulk(None), _) => continue,
                (_, Reply::Int(-1)) => None,
                (_, Reply::Int(at)) if at >= 0 => u64::try_from(at).ok(),
                (_, time) => return Ok(Err(format!("{key:?} is {value:?}, expires {time:?}"))),
            };
            let Reply::Bulk(Some(value)) = value else {
                return Ok(Err(format!("GET {key:?} answers {value:?}")));
            };
            if !scanned.contains(*key) {
                return Ok(Err(format!("SCAN does not return {key:?}, which exists")));
            }
            seen.state.entries.insert(key.to_vec(), Entry { value, expires_at_ms });
        }
        seen.state.tickets = tickets;
        Ok(seen.check_len(conn.say("DBSIZE")?).map(|()| seen))
    }
}

fn scan(conn: &mut Conn) -> io::Result<BTreeSet<Key>> {
    let mut keys = BTreeSet::new();
    let mut cursor = "0".to_owned();
    loop {
        let reply = conn.say(&format!("SCAN {cursor} COUNT 500"))?;
        let Reply::Array(mut parts) = reply else { return Err(unlike_scan(&reply)) };
        let Some(Reply::Array(page)) = parts.pop() else { return Err(unlike_scan(&Reply::Int(0))) };
        keys.extend(page.into_iter().filter_map(|key| match key {
            Reply::Bulk(key) => key,
            _ => None,
        }));
        match parts.pop() {
            Some(Reply::Bulk(Some(next))) if next == b"0" => return Ok(keys),
            Some(Reply::Bulk(Some(next))) => cursor = String::from_utf8_lossy(&next).into_owned(),
            other => return Err(unlike_scan(&other.unwrap_or(Reply::Int(0)))),
        }
    }
}

fn unlike_scan(reply: &Reply) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("SCAN answers {reply:?}"))
}

/// What a server shows of one connection's keys.
pub(super) struct Seen {
    pub(super) state: State,
    /// Keys that had expired by then cannot have been seen.
    began_ms: u64,
}

impl Seen {
    /// Where this is not `wanted`, in words; empty if it is.
    fn differences(&self, wanted: &State) -> Vec<String> {
        let mut found = Vec::new();
        if self.state.tickets != wanted.tickets {
            found.push(format!("{} tickets instead of {}", self.state.tickets, wanted.tickets));
        }
        let keys: BTreeSet<&Key> = self.state.entries.keys().chain(wanted.entries.keys()).collect();
        for key in keys {
            let (is, should) = (self.state.entries.get(key), wanted.entries.get(key));
            if is != should && !(is.is_none() && should.is_some_and(|e| self.may_be_gone(e))) {
                let key = String::from_utf8_lossy(key);
                let (is, should, now) = (show(is), show(should), now_ms());
                found.push(format!("{key} is {is} instead of {should}; it is {now}"));
            } else if is.is_some_and(|e| e.expires_at_ms.is_some_and(|at| at <= self.began_ms)) {
                found.push(format!("{} has expired and is there", String::from_utf8_lossy(key)));
            }
        }
        found
    }

    fn may_be_gone(&self, entry: &Entry) -> bool {
        entry.expires_at_ms.is_some_and(|at| at <= now_ms() + CLOCK_AHEAD_MS)
    }

    /// Keys that expire while the test runs count or not, as they have been removed or not.
    fn check_len(&self, reply: Reply) -> Result<(), String> {
        let lasting = self.state.entries.keys().filter(|key| !is_short_lived(key)).count();
        let range = lasting..=lasting + super::generate::SHORT_LIVED;
        match reply {
            Reply::Int(len) if usize::try_from(len).is_ok_and(|len| range.contains(&len)) => Ok(()),
            other => Err(format!("DBSIZE is {other:?}, not in {range:?}")),
        }
    }
}

fn show(entry: Option<&Entry>) -> String {
    let Some(Entry { value, expires_at_ms }) = entry else { return "absent".to_owned() };
    format!("{:?} ({} bytes, expires {expires_at_ms:?})", shown(value), value.len())
}

/// The beginning of something binary, for people.
fn shown(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(48)].escape_ascii().to_string()
}
