//! A server that only answers: what redis-benchmark and the network stack reach by themselves.
//!
//! `answer-only PORT [VALUE_BYTES]` listens on 127.0.0.1 and answers every request at once, one
//! that begins with GET with a value, every other one with OK. It neither parses nor stores: a
//! request is a `*`, which redis-benchmark sends nowhere else. One thread, as few calls as a real
//! server could make. `benches/redis-benchmark.sh` measures it beside the real ones.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

const LISTENER: Token = Token(usize::MAX);
const INPUT_BYTES: usize = 64 * 1024;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let port = words.next().and_then(|word| word.parse().ok());
    let value_bytes = words.next().map_or(Some(100), |word| word.parse().ok());
    let (Some(port), Some(value_bytes)) = (port, value_bytes) else {
        eprintln!("usage: answer-only PORT [VALUE_BYTES]");
        return ExitCode::FAILURE;
    };
    match serve(port, value_bytes) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Client {
    stream: TcpStream,
    out: Vec<u8>,
    /// The request that was begun last is a GET.
    reads: bool,
}

fn serve(port: u16, value_bytes: usize) -> io::Result<()> {
    let value = format!("${value_bytes}\r\n{}\r\n", "x".repeat(value_bytes));
    let mut listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let (mut events, mut clients) = (Events::with_capacity(1024), Vec::new());
    let mut input = vec![0; INPUT_BYTES];
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    poll.registry().register(&mut stream, Token(clients.len()), interest)?;
                    clients.push(Some(Client { stream, out: Vec::new(), reads: false }));
                }
                continue;
            }
            let Some(place) = clients.get_mut(event.token().0) else { continue };
            let is_open = place.as_mut().is_some_and(|client| {
                answer(client, &mut input, value.as_bytes()).unwrap_or(false)
            });
            if !is_open {
                *place = None;
            }
        }
    }
}

/// Reads what is there and answers it; false at the end of the connection.
fn answer(client: &mut Client, input: &mut [u8], value: &[u8]) -> io::Result<bool> {
    loop {
        let len = match client.stream.read(input) {
            Ok(0) => return Ok(false),
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        };
        for (at, _) in input[..len].iter().enumerate().filter(|(_, byte)| **byte == b'*') {
            // All requests of a run have the same name, so one that is cut short is as the others.
            if let Some(name) = input[..len].get(at + 8..at + 11) {
                client.reads = name == b"GET";
            }
            client.out.extend_from_slice(if client.reads { value } else { b"+OK\r\n" });
        }
        if len < input.len() {
            break;
        }
    }
    let mut sent = 0;
    while sent < client.out.len() {
        match client.stream.write(&client.out[sent..]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    client.out.drain(..sent);
    Ok(true)
}
