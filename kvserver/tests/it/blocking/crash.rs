//! Elements on their way through clients that wait, and `kill -9` in between.
//!
//! Producers push to `a`; movers wait to move from `a` to `b`, others from `b` to `c`; takers wait
//! to pop from `t`, to which one producer pushes. After a kill:
//!
//! X1. Every element whose push was acknowledged is in exactly one of `a`, `b` and `c`; no other
//!     element is there twice, and none that was never pushed.
//! X2. What a mover was told is in `c` is there.
//! X3. What a taker got is not in `t` any more, and nobody got it twice. An element whose push was
//!     acknowledged is in `t`, or a taker got it, or it was on its way to one at the kill: at most
//!     one for each.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::mpsc::{Sender, channel};

use crate::kill::{Conn, Reply};
use crate::spawned::Spawned;

const KILLS: usize = 4;
const MOVES_MIN: usize = 150;
const TAKERS: usize = 3;

/// What a client was told before its connection broke.
#[derive(Debug)]
enum Told {
    /// A push begins.
    Sent(String),
    /// It has been acknowledged, to this list.
    Pushed(&'static str, String),
    /// Arrived in `c`.
    Moved(String),
    Taken(String),
}

fn text(reply: &Reply) -> String {
    match reply {
        Reply::Bulk(Some(bytes)) => String::from_utf8(bytes.clone()).unwrap(),
        other => panic!("no bulk string: {other:?}"),
    }
}

fn push(addr: SocketAddr, list: &'static str, name: &str, told: &Sender<Told>) {
    let Ok(mut conn) = Conn::new(addr) else { return };
    for n in 0.. {
        let value = format!("{name}-{n}");
        told.send(Told::Sent(value.clone())).unwrap();
        let Ok(reply) = conn.say(&format!("RPUSH {list} {value}")) else { return };
        assert!(matches!(reply, Reply::Int(_)), "{reply:?}");
        told.send(Told::Pushed(list, value)).unwrap();
    }
}

fn shift(addr: SocketAddr, request: &str, told: &Sender<Told>) {
    let Ok(mut conn) = Conn::new(addr) else { return };
    while let Ok(reply) = conn.say(request) {
        if request.contains(" c ") {
            told.send(Told::Moved(text(&reply))).unwrap();
        }
    }
}

fn take(addr: SocketAddr, told: &Sender<Told>) {
    let Ok(mut conn) = Conn::new(addr) else { return };
    while let Ok(reply) = conn.say("BLPOP t 0") {
        let Reply::Array(items) = reply else { panic!("{reply:?}") };
        told.send(Told::Taken(text(&items[1]))).unwrap();
    }
}

/// Lets everybody run until a kill.
fn live_and_die(server: &mut Spawned, life: usize) -> Vec<Told> {
    let addr = server.ready();
    let (told, heard) = channel();
    std::thread::scope(|scope| {
        for request in ["BLMOVE a b LEFT RIGHT 0", "BRPOPLPUSH a b 0"] {
            for next in [request.to_owned(), request.replace("b ", "c ").replace("a ", "b ")] {
                let told = told.clone();
                scope.spawn(move || shift(addr, &next, &told));
            }
        }
        for n in 0..TAKERS {
            let (told, to_move) = (told.clone(), told.clone());
            scope.spawn(move || take(addr, &told));
            scope.spawn(move || push(addr, "a", &format!("{life}-{n}"), &to_move));
        }
        let producer = told.clone();
        scope.spawn(move || push(addr, "t", &format!("{life}-t"), &producer));
        drop(told);
        let mut all = Vec::new();
        let mut moves = 0;
        while moves < MOVES_MIN {
            let next = heard.recv().expect("somebody goes on until the kill");
            moves += usize::from(matches!(next, Told::Moved(_)));
            all.push(next);
        }
        server.kill();
        all.extend(heard.iter());
        all
    })
}

#[test]
fn a_kill_loses_and_doubles_no_element_that_waiting_clients_pass_on() {
    for appendfsync in ["everysec", "always"] {
        let dir = tempfile::TempDir::new().unwrap();
        let start = || {
            let args = ["--appendfsync", appendfsync, "--threads", "3"];
            Spawned::new(&dir.path().join("store"), &dir.path().join("log"), &args)
        };
        let mut all = Vec::new();
        for life in 0..KILLS {
            all.extend(live_and_die(&mut start(), life));
        }
        let mut server = start();
        let mut conn = Conn::new(server.ready()).unwrap();
        let mut list = |name: &str| match conn.say(&format!("LRANGE {name} 0 -1")).unwrap() {
            Reply::Array(items) => items.iter().map(text).collect::<Vec<String>>(),
            other => panic!("{other:?}"),
        };
        let (moving, arrived) = ([list("a"), list("b")].concat(), list("c"));
        let there: HashSet<&String> = moving.iter().chain(&arrived).collect();
        assert_eq!(there.len(), moving.len() + arrived.len(), "X1: twice");
        let left: HashSet<String> = list("t").into_iter().collect();
        let arrived: HashSet<&String> = arrived.iter().collect();
        let (mut taken, mut lost, mut sent) = (HashSet::new(), 0, HashSet::new());
        for told in &all {
            match told {
                Told::Sent(value) => drop(sent.insert(value)),
                Told::Pushed("a", value) => assert!(there.contains(value), "X1: {value} lost"),
                Told::Moved(value) => assert!(arrived.contains(value), "X2: {value}"),
                Told::Taken(value) => {
                    assert!(taken.insert(value), "X3: {value} twice");
                    assert!(!left.contains(value), "X3: {value} is back");
                }
                Told::Pushed(..) => {}
            }
        }
        for told in &all {
            if let Told::Pushed("t", value) = told {
                lost += usize::from(!taken.contains(value) && !left.contains(value));
            }
        }
        assert!(lost <= KILLS * TAKERS, "X3: {lost} lost");
        let known = |value: &&String| sent.contains(*value);
        assert!(there.iter().all(known), "X1: never pushed");
        assert!(!taken.is_empty() && !arrived.is_empty());
    }
}
