//! Publish and subscribe over sockets, with clients on several workers.

use std::io::Read;
use std::time::{Duration, Instant};

use kvcore::{Durability, Options};
use tempfile::TempDir;

use crate::support::{Running, Wire};

fn subscribed(word: &str, name: &str, count: usize) -> String {
    format!("*3\r\n${}\r\n{word}\r\n${}\r\n{name}\r\n:{count}\r\n", word.len(), name.len())
}

fn message(channel: &str, payload: &str) -> String {
    format!(
        "*3\r\n$7\r\nmessage\r\n${}\r\n{channel}\r\n${}\r\n{payload}\r\n",
        channel.len(),
        payload.len()
    )
}

/// A request whose payload may be too long for a line.
fn publish(channel: &str, payload: &str) -> String {
    let (channel_len, len) = (channel.len(), payload.len());
    format!("*3\r\n$7\r\nPUBLISH\r\n${channel_len}\r\n{channel}\r\n${len}\r\n{payload}\r\n")
}

fn pushed(frame: &str) -> String {
    frame.replacen('*', ">", 1)
}

/// Asks until the reply is the wanted one.
fn wait_for(wire: &mut Wire, request: &str, reply: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        wire.send(format!("{request}\r\n"));
        let line = wire.line();
        if line == reply {
            return;
        }
        assert!(Instant::now() < deadline, "{request}: {line} instead of {reply}");
    }
}

#[test]
fn messages_reach_channels_patterns_and_shard_channels_of_every_worker() {
    let server = Running::with(|config| config.threads = 3);
    let mut publisher = server.connect();
    let mut wires: Vec<Wire> = (0..7).map(|_| server.connect()).collect();
    for wire in &mut wires {
        wire.ask("SUBSCRIBE news.a", &subscribed("subscribe", "news.a", 1));
        wire.ask("PSUBSCRIBE news.*", &subscribed("psubscribe", "news.*", 2));
        wire.ask("SSUBSCRIBE news.a", &subscribed("ssubscribe", "news.a", 1));
    }
    publisher.ask("PUBLISH news.a hello", ":14\r\n");
    publisher.ask("PUBLISH news.b there", ":7\r\n");
    publisher.ask("PUBLISH other x", ":0\r\n");
    publisher.ask("SPUBLISH news.a shard", ":7\r\n");
    for wire in &mut wires {
        wire.expect(message("news.a", "hello"));
        wire.expect("*4\r\n$8\r\npmessage\r\n$6\r\nnews.*\r\n$6\r\nnews.a\r\n$5\r\nhello\r\n");
        wire.expect("*4\r\n$8\r\npmessage\r\n$6\r\nnews.*\r\n$6\r\nnews.b\r\n$5\r\nthere\r\n");
        wire.expect("*3\r\n$8\r\nsmessage\r\n$6\r\nnews.a\r\n$5\r\nshard\r\n");
    }
    publisher.ask("PUBSUB NUMSUB news.a x", "*4\r\n$6\r\nnews.a\r\n:7\r\n$1\r\nx\r\n:0\r\n");
    publisher.ask("PUBSUB NUMPAT", ":1\r\n");
    publisher.ask("PUBSUB CHANNELS n*a", "*1\r\n$6\r\nnews.a\r\n");
    publisher.ask("PUBSUB CHANNELS x*", "*0\r\n");
    publisher.ask("PUBSUB SHARDCHANNELS", "*1\r\n$6\r\nnews.a\r\n");
    publisher.ask("PUBSUB SHARDNUMSUB news.a", "*2\r\n$6\r\nnews.a\r\n:7\r\n");
    assert!(publisher.bulk("INFO clients").contains("pubsub_clients:7\r\n"));
}

#[test]
fn a_resp2_subscriber_may_only_do_what_its_replies_can_be_told_from() {
    let server = Running::start();
    let mut wire = server.connect();
    wire.ask("SUBSCRIBE a", &subscribed("subscribe", "a", 1));
    wire.ask("PING", "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    wire.ask("PING x", "*2\r\n$4\r\npong\r\n$1\r\nx\r\n");
    for (request, name) in [("GET x", "get"), ("CLIENT INFO", "client|info"), ("MULTI", "multi")] {
        wire.ask(
            request,
            &format!(
                "-ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT \
                 / RESET are allowed in this context\r\n"
            ),
        );
    }
    wire.ask("UNSUBSCRIBE", &subscribed("unsubscribe", "a", 0));
    wire.ask("UNSUBSCRIBE", "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n");
    wire.ask("PING", "+PONG\r\n");
    wire.ask("PSUBSCRIBE a", &subscribed("psubscribe", "a", 1));
    wire.ask("RESET", "+RESET\r\n");
    wire.ask("PUBLISH a x", ":0\r\n");
    wire.ask("SUBSCRIBE a", &subscribed("subscribe", "a", 1));
    wire.ask("QUIT", "+OK\r\n");
    wire.expect_closed();
}

#[test]
fn a_resp3_subscriber_may_do_everything_and_hears_itself_behind_its_reply() {
    let server = Running::start();
    let mut wire = server.connect();
    wire.send("HELLO 3\r\n");
    while wire.line() != "*0" {}
    wire.send("SUBSCRIBE a b\r\n");
    wire.expect(pushed(&subscribed("subscribe", "a", 1)));
    wire.expect(pushed(&subscribed("subscribe", "b", 2)));
    wire.ask("PING", "+PONG\r\n");
    // In one packet: each message between the replies it belongs between.
    wire.send("PUBLISH a 1\r\nECHO x\r\nPUBLISH b 2\r\nUNSUBSCRIBE b\r\nPUBLISH b 3\r\n");
    wire.expect(format!(
        ":1\r\n{}$1\r\nx\r\n:1\r\n{}",
        pushed(&message("a", "1")),
        pushed(&message("b", "2"))
    ));
    wire.expect(format!("{}:0\r\n", pushed(&subscribed("unsubscribe", "b", 1))));
    wire.send("MULTI\r\nPUBLISH a 4\r\nECHO y\r\nPUBLISH a 5\r\nUNSUBSCRIBE x\r\nEXEC\r\n");
    wire.expect("+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*4\r\n:1\r\n$1\r\ny\r\n:1\r\n");
    wire.expect(pushed(&subscribed("unsubscribe", "x", 1)));
    wire.expect(pushed(&message("a", "4")) + &pushed(&message("a", "5")));
}

#[test]
fn client_reply_silences_neither_messages_nor_confirmations() {
    let server = Running::start();
    let (mut wire, mut publisher) = (server.connect(), server.connect());
    wire.send("CLIENT REPLY OFF\r\nECHO a\r\nSUBSCRIBE a\r\nGET x\r\n");
    wire.expect(subscribed("subscribe", "a", 1));
    publisher.ask("PUBLISH a 1", ":1\r\n");
    wire.expect(message("a", "1"));
    wire.send("UNSUBSCRIBE a\r\nECHO b\r\nCLIENT REPLY ON\r\n");
    wire.expect(subscribed("unsubscribe", "a", 0) + "+OK\r\n");
}

#[test]
fn messages_of_one_publisher_come_in_order_and_all_of_them() {
    let server = Running::with(|config| config.threads = 4);
    let publishers = 3;
    let each = 400;
    let mut wires: Vec<Wire> = (0..6).map(|_| server.connect()).collect();
    for wire in &mut wires {
        wire.ask("SUBSCRIBE a", &subscribed("subscribe", "a", 1));
    }
    let threads: Vec<_> = (0..publishers)
        .map(|id| {
            let mut wire = server.connect();
            std::thread::spawn(move || {
                for n in 0..each {
                    wire.ask(&format!("PUBLISH a {id}:{n:05}"), ":6\r\n");
                }
            })
        })
        .collect();
    for wire in &mut wires {
        let mut next = vec![0; publishers];
        for _ in 0..publishers * each {
            let frame: Vec<String> = (0..7).map(|_| wire.line()).collect();
            let (id, n) = frame[6].split_once(':').unwrap();
            let id: usize = id.parse().unwrap();
            assert_eq!(n.parse(), Ok(next[id]));
            next[id] += 1;
        }
        assert_eq!(next, vec![each; publishers]);
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn who_has_seen_a_reply_publishes_behind_it_on_any_worker() {
    let server = Running::with(|config| config.threads = 4);
    let (mut wires, mut hearer) =
        ((0..8).map(|_| server.connect()).collect::<Vec<_>>(), server.connect());
    hearer.ask("PSUBSCRIBE a*", &subscribed("psubscribe", "a*", 1));
    for n in 0..800 {
        wires[n % 8].ask(&format!("PUBLISH a {n:05}"), ":1\r\n");
    }
    for n in 0..800 {
        let frame: Vec<String> = (0..9).map(|_| hearer.line()).collect();
        assert_eq!(frame[8], format!("{n:05}"));
    }
}

#[test]
fn subscriptions_end_with_the_connection() {
    let server = Running::start();
    let mut publisher = server.connect();
    let mut wires: Vec<Wire> = (0..6).map(|_| server.connect()).collect();
    for wire in &mut wires {
        wire.ask("SUBSCRIBE a", &subscribed("subscribe", "a", 1));
        wire.ask("PSUBSCRIBE *", &subscribed("psubscribe", "*", 2));
    }
    publisher.ask("PUBLISH a x", ":12\r\n");
    wires.truncate(2);
    wait_for(&mut publisher, "PUBLISH a y", ":4");
    drop(wires);
    wait_for(&mut publisher, "PUBLISH a z", ":0");
    publisher.ask("PUBSUB CHANNELS", "*0\r\n");
    publisher.ask("PUBSUB NUMPAT", ":0\r\n");
}

#[test]
fn a_slow_subscriber_is_closed_at_the_hard_limit_and_stops_nobody() {
    let server = Running::start();
    let (mut publisher, mut slow, mut quick) =
        (server.connect(), server.connect(), server.connect());
    publisher.ask("CONFIG SET client-output-buffer-limit \"pubsub 8mb 0 0\"", "+OK\r\n");
    slow.ask("SUBSCRIBE a", &subscribed("subscribe", "a", 1));
    quick.ask("SUBSCRIBE a", &subscribed("subscribe", "a", 1));
    let payload = "x".repeat(1 << 20);
    let mut receivers = 2;
    let mut rounds = 0;
    while receivers == 2 {
        rounds += 1;
        assert!(rounds < 100, "the slow one is never closed");
        publisher.send(publish("a", &payload));
        receivers = publisher.line()[1..].parse().unwrap();
        quick.expect(message("a", &payload));
    }
    // What the kernel had taken arrives, and then the end.
    let mut rest = Vec::new();
    let _ = slow.stream.read_to_end(&mut rest);
    assert!(rest.len() < rounds << 20, "{} of {rounds} MiB", rest.len());
    publisher.ask("PUBLISH a x", ":1\r\n");
}

#[test]
fn a_soft_limit_closes_who_stays_beyond_it() {
    let server = Running::start();
    let (mut publisher, mut slow) = (server.connect(), server.connect());
    publisher.ask("CONFIG SET client-output-buffer-limit \"pubsub 0 100kb 1\"", "+OK\r\n");
    publisher.ask(
        "CONFIG GET client-output-buffer-limit",
        "*2\r\n$26\r\nclient-output-buffer-limit\r\n$57\r\n\
         normal 0 0 0 slave 268435456 67108864 60 pubsub 0 102400 1\r\n"
            .replace("$57", "$58")
            .as_str(),
    );
    slow.ask("SUBSCRIBE a", &subscribed("subscribe", "a", 1));
    let payload = "x".repeat(1 << 20);
    for _ in 0..16 {
        publisher.send(publish("a", &payload));
        publisher.line();
    }
    // Nothing more is published; time alone closes it.
    wait_for(&mut publisher, "PUBSUB NUMPAT", ":0");
    let deadline = Instant::now() + Duration::from_secs(60);
    while publisher.bulk("CLIENT LIST").lines().count() > 1 {
        assert!(Instant::now() < deadline, "the slow one is never closed");
        // Time is the subject: the limit is one second.
        std::thread::park_timeout(Duration::from_millis(50));
    }
    wait_for(&mut publisher, "PUBLISH a x", ":0");
}

#[test]
fn a_message_of_a_transaction_leaves_with_its_commit_or_not_at_all() {
    let dir = TempDir::new().unwrap();
    let options = Options::new().durability(Durability::Buffered).data_file_bytes_max(64 << 10);
    let server = Running::on(options.open(dir.path()).unwrap(), |_| {});
    let (mut wire, mut hearer) = (server.connect(), server.connect());
    hearer.ask("SUBSCRIBE a", &subscribed("subscribe", "a", 1));
    wire.send("MULTI\r\nPUBLISH a no\r\nDISCARD\r\nWATCH k\r\nSET k 1\r\n");
    wire.expect("+OK\r\n+QUEUED\r\n+OK\r\n+OK\r\n+OK\r\n");
    wire.send("MULTI\r\nPUBLISH a no\r\nEXEC\r\n");
    wire.expect("+OK\r\n+QUEUED\r\n*-1\r\n");
    // A value too large for the log makes the transaction run twice.
    let large = "v".repeat(30_000);
    wire.send("MULTI\r\nSUBSCRIBE b\r\nPUBLISH a yes\r\n");
    wire.send(format!(
        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$30000\r\n{large}\r\nSUBSCRIBE c\r\nEXEC\r\n"
    ));
    wire.expect("+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*4\r\n");
    wire.expect(
        subscribed("subscribe", "b", 1) + ":1\r\n+OK\r\n" + &subscribed("subscribe", "c", 2),
    );
    hearer.expect(message("a", "yes"));
    hearer.ask("PING", "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
}

#[test]
fn under_always_messages_and_replies_arrive_in_order() {
    let server = Running::with(|config| config.appendfsync = kvserver::AppendFsync::Always);
    let (mut wire, mut hearer) = (server.connect(), server.connect());
    hearer.ask("SUBSCRIBE a", &subscribed("subscribe", "a", 1));
    for n in 0..50 {
        wire.send(format!("SET k {n}\r\nPUBLISH a {n}\r\n"));
        wire.expect("+OK\r\n:1\r\n");
        hearer.expect(message("a", &n.to_string()));
    }
}
