//! Clients that wait for keys, on several workers.

mod crash;

use std::time::{Duration, Instant};

use crate::support::{Running, Wire};

const POPPED_L: &str = "*2\r\n$1\r\nl\r\n$1\r\n";

/// Waits until so many clients are blocked: nothing else tells that a request has arrived.
#[track_caller]
fn until_blocked(wire: &mut Wire, clients: usize) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let wanted = format!("blocked_clients:{clients}\r\n");
    while !wire.bulk("INFO clients").contains(&wanted) {
        assert!(Instant::now() < deadline, "{}", wire.bulk("INFO clients"));
        std::thread::yield_now();
    }
}

/// A client that waits, as one of so many.
fn blocked(server: &Running, watcher: &mut Wire, request: &str, clients: usize) -> Wire {
    let mut wire = server.connect();
    wire.send(format!("{request}\r\n"));
    until_blocked(watcher, clients);
    wire
}

fn id_of(wire: &mut Wire) -> String {
    wire.send("CLIENT ID\r\n");
    wire.line()[1..].to_owned()
}

fn push(n: usize) -> String {
    format!("*3\r\n$5\r\nRPUSH\r\n$1\r\nl\r\n$2\r\n{n:02}\r\n")
}

#[test]
fn clients_of_all_workers_are_served_in_the_order_they_came() {
    let server = Running::with(|config| config.threads = 4);
    let mut other = server.connect();
    let mut waiting: Vec<Wire> =
        (1..=24).map(|n| blocked(&server, &mut other, "BLPOP l 0", n)).collect();
    // One by one, several with one request, and many requests at once.
    other.ask("RPUSH l 00", ":1\r\n");
    other.ask("RPUSH l 01 02 03", ":3\r\n");
    other.send((4..24).map(push).collect::<String>());
    for (n, wire) in waiting.iter_mut().enumerate() {
        wire.expect(format!("*2\r\n$1\r\nl\r\n$2\r\n{n:02}\r\n"));
    }
    other.expect(":1\r\n".repeat(20));
    other.ask("EXISTS l", ":0\r\n");
    until_blocked(&mut other, 0);
}

#[test]
fn requests_behind_one_that_waits_wait_too() {
    let server = Running::start();
    let mut other = server.connect();
    let request = "SET a 1\r\nBLPOP l 0\r\nINCR a\r\nBLPOP l 0\r\nINCR a";
    let mut wire = blocked(&server, &mut other, request, 1);
    wire.expect("+OK\r\n");
    other.ask("GET a", "$1\r\n1\r\n");
    other.ask("RPUSH l x", ":1\r\n");
    wire.expect(format!("{POPPED_L}x\r\n:2\r\n"));
    until_blocked(&mut other, 1);
    other.ask("RPUSH l y", ":1\r\n");
    wire.expect(format!("{POPPED_L}y\r\n:3\r\n"));
}

#[test]
fn who_waits_for_what_it_pushes_next_in_a_pipeline_of_another_is_served_in_one_round() {
    let server = Running::with(|config| config.threads = 1);
    let (mut a, mut b) = (server.connect(), server.connect());
    for n in 0..200 {
        a.send("BLPOP l 0\r\n");
        b.send(format!("RPUSH l {n:03}\r\n"));
        a.expect(format!("*2\r\n$1\r\nl\r\n$3\r\n{n:03}\r\n"));
        assert!(b.line().starts_with(':'));
    }
    until_blocked(&mut b, 0);
}

#[test]
fn waits_end_with_their_time_in_both_protocols() {
    let server = Running::start();
    let mut wire = server.connect();
    for request in [
        "BLPOP l 0.01",
        "BRPOP l m 0.01",
        "BLMOVE l m left left 0.01",
        "BRPOPLPUSH l m 0.01",
        "BLMPOP 0.01 1 l left",
        "BZPOPMIN l 0.01",
        "BZMPOP 0.01 1 l min",
    ] {
        wire.ask(request, "*-1\r\n");
    }
    wire.ask("WAIT 1 10", ":0\r\n");
    wire.ask("WAITAOF 1 1 10", "*2\r\n:1\r\n:0\r\n");
    wire.ask("WAITAOF 1 0 0", "*2\r\n:1\r\n:0\r\n");
    wire.ask("WAIT 0 0", ":0\r\n");
    let start = Instant::now();
    wire.ask("BLPOP l 0.2", "*-1\r\n");
    // The server counts in whole milliseconds, by another clock than ours.
    assert!(start.elapsed() >= Duration::from_millis(190));
    wire.send("HELLO 3\r\n");
    while wire.line() != "modules" {}
    wire.expect("*0\r\n");
    wire.ask("BLMOVE l m left left 0.01", "_\r\n");
    wire.ask("BZPOPMAX l 0.01", "_\r\n");
    assert!(wire.bulk_of("INFO clients", '=').contains("blocked_clients:0\r\n"));
}

#[test]
fn the_shorter_time_is_over_first_and_a_longer_one_does_not_hinder() {
    let server = Running::with(|config| config.threads = 1);
    let mut other = server.connect();
    let mut long = blocked(&server, &mut other, "BLPOP a 100", 1);
    let mut middle = blocked(&server, &mut other, "BLPOP b 3", 2);
    // Its wait may be over before anybody has seen it.
    let mut short = server.connect();
    short.send("BLPOP c 0.01\r\n");
    short.expect("*-1\r\n");
    middle.expect("*-1\r\n");
    until_blocked(&mut other, 1);
    other.ask("RPUSH a x", ":1\r\n");
    long.expect("*2\r\n$1\r\na\r\n$1\r\nx\r\n");
}

#[test]
fn client_unblock_ends_a_wait_either_way() {
    let server = Running::start();
    let mut other = server.connect();
    let mut wire = server.connect();
    let id = id_of(&mut wire);
    for (how, reply) in [
        ("", "*-1\r\n"),
        (" TIMEOUT", "*-1\r\n"),
        (" ERROR", "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"),
    ] {
        wire.send("BLPOP l 0\r\nECHO next\r\n");
        until_blocked(&mut other, 1);
        assert!(other.bulk(&format!("CLIENT LIST ID {id}")).contains(" flags=b "));
        other.ask(&format!("CLIENT UNBLOCK {id}{how}"), ":1\r\n");
        other.ask(&format!("CLIENT UNBLOCK {id}{how}"), ":0\r\n");
        until_blocked(&mut other, 0);
        wire.expect(format!("{reply}$4\r\nnext\r\n"));
        assert!(other.bulk(&format!("CLIENT LIST ID {id}")).contains(" flags=N "));
    }
    wire.send("WAIT 1 0\r\n");
    until_blocked(&mut other, 1);
    other.ask(&format!("CLIENT UNBLOCK {id}"), ":1\r\n");
    wire.expect(":0\r\n");
    other.ask("RPUSH l x", ":1\r\n");
    other.ask("LLEN l", ":1\r\n");
}

#[test]
fn a_client_that_is_gone_takes_nothing() {
    let server = Running::with(|config| config.threads = 3);
    let mut other = server.connect();
    for way in ["closed", "ended", "killed", "reset"] {
        let mut gone = server.connect();
        let id = id_of(&mut gone);
        gone.send("BLPOP l 0\r\n");
        until_blocked(&mut other, 1);
        let mut next = blocked(&server, &mut other, "BLPOP l 0", 2);
        match way {
            "ended" => gone.end_sending(),
            "killed" => other.ask(&format!("CLIENT KILL ID {id}"), ":1\r\n"),
            // Bytes that nobody reads make the system reset the connection.
            "reset" => drop({
                gone.send("PING\r\n");
                gone
            }),
            _ => drop(gone),
        }
        until_blocked(&mut other, 1);
        other.ask(&format!("RPUSH l {}", &way[..1]), ":1\r\n");
        next.expect(format!("{POPPED_L}{}\r\n", &way[..1]));
        other.ask("EXISTS l", ":0\r\n");
    }
}

#[test]
fn a_client_that_ends_its_side_at_once_does_not_wait() {
    let server = Running::start();
    let mut other = server.connect();
    let mut wire = server.connect();
    wire.send("ECHO a\r\nBLPOP l 0\r\n");
    wire.end_sending();
    wire.expect("$1\r\na\r\n");
    wire.expect_closed();
    until_blocked(&mut other, 0);
}

#[test]
fn a_killed_client_is_not_served_even_in_the_same_transaction() {
    let server = Running::start();
    let mut other = server.connect();
    let mut wire = server.connect();
    let id = id_of(&mut wire);
    wire.send("BLPOP l 0\r\n");
    until_blocked(&mut other, 1);
    other.send(format!("MULTI\r\nCLIENT KILL ID {id}\r\nRPUSH l x\r\nEXEC\r\n"));
    other.expect("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n:1\r\n");
    wire.expect_closed();
    other.ask("LRANGE l 0 -1", "*1\r\n$1\r\nx\r\n");
    until_blocked(&mut other, 0);
}

#[test]
fn a_transaction_is_over_before_anybody_is_served() {
    let server = Running::start();
    let mut other = server.connect();
    let mut wire = blocked(&server, &mut other, "BLPOP l 0", 1);
    other.send("MULTI\r\nRPUSH l a\r\nLPUSH l b\r\nLPOP l\r\nLPUSH l c\r\nEXEC\r\n");
    other.expect("+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n");
    other.expect("*4\r\n:1\r\n:2\r\n$1\r\nb\r\n:2\r\n");
    wire.expect(format!("{POPPED_L}c\r\n"));
    other.ask("LRANGE l 0 -1", "*1\r\n$1\r\na\r\n");
}

#[test]
fn swapdb_and_moves_serve_clients_of_other_workers() {
    let server = Running::with(|config| config.threads = 4);
    let mut other = server.connect();
    let mut first = blocked(&server, &mut other, "BLMOVE l m left left 0", 1);
    let mut second = blocked(&server, &mut other, "BLPOP m 0", 2);
    other.ask("SELECT 9", "+OK\r\n");
    other.ask("RPUSH l x", ":1\r\n");
    other.ask("SWAPDB 0 9", "+OK\r\n");
    first.expect("$1\r\nx\r\n");
    second.expect("*2\r\n$1\r\nm\r\n$1\r\nx\r\n");
    other.ask("DBSIZE", ":0\r\n");
    other.ask("SELECT 0", "+OK\r\n");
    other.ask("DBSIZE", ":0\r\n");
}

#[test]
fn replies_that_are_off_stay_off_when_a_wait_ends() {
    let server = Running::start();
    let mut other = server.connect();
    let mut wire = blocked(&server, &mut other, "CLIENT REPLY SKIP\r\nBLPOP l 0\r\nECHO a", 1);
    other.ask("RPUSH l x", ":1\r\n");
    wire.expect("$1\r\na\r\n");
    wire.send("CLIENT REPLY OFF\r\nBLPOP l 0\r\nECHO b\r\nCLIENT REPLY ON\r\n");
    until_blocked(&mut other, 1);
    other.ask("RPUSH l x", ":1\r\n");
    wire.expect("+OK\r\n");
    other.ask("EXISTS l", ":0\r\n");
}

#[test]
fn a_stream_that_breaks_behind_a_wait_ends_after_it() {
    let server = Running::start();
    let mut other = server.connect();
    let mut wire = blocked(&server, &mut other, "BLPOP l 0\r\n*1\r\n$x", 1);
    other.ask("RPUSH l x", ":1\r\n");
    wire.expect(format!("{POPPED_L}x\r\n-ERR Protocol error: invalid bulk length\r\n"));
    wire.expect_closed();
}

#[test]
fn a_large_value_is_served_and_moved_whole() {
    let server = Running::with(|config| config.threads = 2);
    let mut other = server.connect();
    let value = "v".repeat(3 << 20);
    let mut wire = blocked(&server, &mut other, "BLMOVE l m left left 0", 1);
    let mut last = blocked(&server, &mut other, "BLPOP m 0", 2);
    other.send(format!("*3\r\n$5\r\nRPUSH\r\n$1\r\nl\r\n${}\r\n{value}\r\n", value.len()));
    other.expect(":1\r\n");
    wire.expect(format!("${}\r\n{value}\r\n", value.len()));
    last.expect(format!("*2\r\n$1\r\nm\r\n${}\r\n{value}\r\n", value.len()));
    other.ask("EXISTS l m", ":0\r\n");
}

#[test]
fn a_server_ends_with_clients_that_wait() {
    let server = Running::start();
    let mut other = server.connect();
    let mut wire = blocked(&server, &mut other, "BLPOP l 0", 1);
    server.stop().unwrap();
    wire.expect_closed();
}

#[test]
fn replies_of_always_are_durable_for_who_waited_too() {
    let server = Running::with(|config| config.appendfsync = kvserver::AppendFsync::Always);
    let mut other = server.connect();
    for n in 0..50 {
        let mut wire = blocked(&server, &mut other, "BLPOP l 0\r\nECHO a", 1);
        other.ask(&format!("RPUSH l {}", n % 10), ":1\r\n");
        wire.expect(format!("{POPPED_L}{}\r\n$1\r\na\r\n", n % 10));
    }
    let mut wire = server.connect();
    wire.ask("BLPOP l 0.01", "*-1\r\n");
}

/// Producers and consumers on all workers, some of which vanish: what was pushed is popped once, by
/// somebody, or still there; what a client that vanished was sent may be lost with it.
#[test]
fn every_element_goes_to_one_client_whoever_comes_and_goes() {
    const PRODUCERS: usize = 3;
    const EACH: usize = 400;
    const CONSUMERS: usize = 5;
    let server = Running::with(|config| config.threads = 4);
    let addr = server.addr;
    let vanishing = std::thread::spawn(move || {
        // They wait for another list, whose elements must all survive.
        for n in 0..150 {
            let mut wire = Wire::connect(addr);
            wire.send("BLPOP kept 0\r\n");
            if n % 3 == 0 {
                wire.stream.shutdown(std::net::Shutdown::Both).unwrap();
            }
        }
    });
    let consumers: Vec<_> = (0..CONSUMERS)
        .map(|n| {
            std::thread::spawn(move || {
                let (mut wire, mut got) = (Wire::connect(addr), Vec::new());
                let request = ["BLPOP l 0", "BRPOP none l 0", "BLMPOP 0 1 l LEFT"][n % 3];
                loop {
                    wire.send(format!("{request}\r\n"));
                    let mut lines = vec![wire.line()];
                    let len = if request.starts_with("BLM") { 6 } else { 5 };
                    lines.extend((1..len).map(|_| wire.line()));
                    let value = lines.pop().unwrap();
                    if value == "end" {
                        return got;
                    }
                    got.push(value);
                }
            })
        })
        .collect();
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|p| {
            std::thread::spawn(move || {
                let mut wire = Wire::connect(addr);
                for n in 0..EACH {
                    wire.send(format!("RPUSH l {p}-{n}\r\n"));
                    assert!(wire.line().starts_with(':'));
                }
            })
        })
        .collect();
    producers.into_iter().for_each(|producer| producer.join().unwrap());
    vanishing.join().unwrap();
    let mut wire = server.connect();
    // Who waits is served before anybody finds it in the list: the rest is taken first.
    while !{
        wire.send("EXISTS l\r\n");
        wire.line().ends_with('0')
    } {}
    until_blocked(&mut wire, CONSUMERS);
    for _ in 0..CONSUMERS {
        wire.ask("RPUSH l end", ":1\r\n");
    }
    let mut got: Vec<String> =
        consumers.into_iter().flat_map(|consumer| consumer.join().unwrap()).collect();
    got.sort_unstable();
    let mut pushed: Vec<String> =
        (0..PRODUCERS).flat_map(|p| (0..EACH).map(move |n| format!("{p}-{n}"))).collect();
    pushed.sort_unstable();
    assert_eq!(got, pushed);
    until_blocked(&mut wire, 0);
    wire.ask("RPUSH kept a", ":1\r\n");
    wire.ask("LLEN kept", ":1\r\n");
}
