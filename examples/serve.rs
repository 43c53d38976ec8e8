//! Serving an application's own store to redis-cli, and to every other Redis client.
//!
//! `cargo run --example serve [--wait] [DIRECTORY]`; without a directory a temporary one is used.
//!
//! The application opens the store, keeps keyspaces of its own in it, and hands it to
//! `kvserver::serve` together with a listener on any free port. By default a client of a few
//! lines connects, checks the answers and stops the server; then the store is opened and served
//! once more to show what lasts. With `--wait` it keeps serving until it is told to end.

use kv_examples::StoreDir;
use kvcore::{Durability, Keyspace, Options, Store};
use kvserver::Config;
use std::{
    error::Error,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    thread::{self, JoinHandle},
};

fn main() -> Result<(), Box<dyn Error>> {
    let waits = std::env::args().nth(1).is_some_and(|argument| argument == "--wait");
    let dir = StoreDir::from_argument(if waits { 2 } else { 1 })?;
    if waits {
        return wait(dir.path());
    }
    first_run(dir.path())?;
    second_run(dir.path())?;
    println!("everything is as promised");
    Ok(())
}

fn open(dir: &Path) -> kvcore::Result<Store> {
    Options::new().durability(Durability::Buffered).open(dir)
}

/// Serves a store in the background, on a port the system chooses.
fn start(store: &Store) -> io::Result<(SocketAddr, JoinHandle<Result<(), kvserver::Error>>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let store = store.clone();
    Ok((address, thread::spawn(move || kvserver::serve(listener, store, Config::default()))))
}

fn wait(dir: &Path) -> Result<(), Box<dyn Error>> {
    let store = open(dir)?;
    let (address, serving) = start(&store)?;
    let (ip, port) = (address.ip(), address.port());
    println!("serving {}", dir.display());
    println!("connect: redis-cli -h {ip} -p {port}");
    println!("stop:    redis-cli -h {ip} -p {port} shutdown");
    serving.join().expect("the server does not panic")?;
    store.close()?;
    Ok(())
}

/// The application and a client work on one store at the same time.
fn first_run(dir: &Path) -> Result<(), Box<dyn Error>> {
    let store = open(dir)?;
    let visits: Keyspace<String, u64> = store.keyspace("visits")?;
    let (address, serving) = start(&store)?;
    println!("serving on {address}");
    let mut client = Client::connect(address)?;

    assert_eq!(client.call(&["PING"])?, Reply::Simple("PONG".into()));
    assert_eq!(client.call(&["SET", "greeting", "hello"])?, Reply::Simple("OK".into()));
    assert_eq!(client.call(&["GET", "greeting"])?, Reply::bulk("hello"));
    assert_eq!(client.call(&["GET", "nothing"])?, Reply::Bulk(None));
    for n in 1..=10 {
        assert_eq!(client.call(&["INCR", "counter"])?, Reply::Integer(n));
        visits.update("index.html", |n| Some(n.unwrap_or(0) + 1))?;
    }
    assert_eq!(client.call(&["DBSIZE"])?, Reply::Integer(2), "own keyspaces are not in it");
    assert!(matches!(client.call(&["NONSENSE"])?, Reply::Error(_)));

    client.shut_down()?;
    serving.join().expect("the server does not panic")?;
    // The server is gone, the store is not.
    assert_eq!(visits.get("index.html")?, Some(10));
    println!("visits: {:?}, keys in all: {}", visits.get("index.html")?, store.stats().keys);
    store.close()?;
    Ok(())
}

/// Another run of the program: both find what they wrote.
fn second_run(dir: &Path) -> Result<(), Box<dyn Error>> {
    let store = open(dir)?;
    let visits: Keyspace<String, u64> = store.keyspace("visits")?;
    let (address, serving) = start(&store)?;
    let mut client = Client::connect(address)?;
    assert_eq!(client.call(&["GET", "greeting"])?, Reply::bulk("hello"));
    assert_eq!(client.call(&["GET", "counter"])?, Reply::bulk("10"));
    assert_eq!(visits.get("index.html")?, Some(10));
    client.shut_down()?;
    serving.join().expect("the server does not panic")?;
    println!("reopened and served again: nothing is missing");
    store.close()?;
    Ok(())
}

/// As much of a Redis client as this example needs.
struct Client {
    stream: BufReader<TcpStream>,
}

#[derive(Debug, PartialEq)]
enum Reply {
    Simple(String),
    Error(String),
    Integer(i64),
    Bulk(Option<Vec<u8>>),
}

impl Reply {
    fn bulk(text: &str) -> Reply {
        Reply::Bulk(Some(text.into()))
    }
}

impl Client {
    fn connect(address: SocketAddr) -> io::Result<Client> {
        Ok(Client { stream: BufReader::new(TcpStream::connect(address)?) })
    }

    fn call(&mut self, words: &[&str]) -> Result<Reply, Box<dyn Error>> {
        self.send(words)?;
        let line = self.line()?;
        let (kind, rest) = line.split_at_checked(1).ok_or("the server hung up")?;
        Ok(match kind {
            "+" => Reply::Simple(rest.to_owned()),
            "-" => Reply::Error(rest.to_owned()),
            ":" => Reply::Integer(rest.parse()?),
            "$" if rest == "-1" => Reply::Bulk(None),
            "$" => Reply::Bulk(Some(self.bytes(rest.parse()?)?)),
            _ => return Err(format!("unexpected reply {line:?}").into()),
        })
    }

    /// Tells the server to end; it hangs up instead of replying.
    fn shut_down(mut self) -> io::Result<()> {
        self.send(&["SHUTDOWN"])?;
        assert_eq!(self.line()?, "");
        Ok(())
    }

    fn send(&mut self, words: &[&str]) -> io::Result<()> {
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request += &format!("${}\r\n{word}\r\n", word.len());
        }
        self.stream.get_mut().write_all(request.as_bytes())
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    fn bytes(&mut self, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len + 2];
        self.stream.read_exact(&mut bytes)?;
        bytes.truncate(len);
        Ok(bytes)
    }
}
