//! Clients pass from worker to worker, and keep everything but their place.

use std::time::{Duration, Instant};

use crate::support::{Running, Wire};

/// The value of a field of CLIENT LIST, for the client called `name`.
fn field(observer: &mut Wire, name: &str, field: &str) -> String {
    let list = observer.bulk("CLIENT LIST");
    let line = list.lines().find(|line| line.contains(&format!(" name={name} "))).unwrap();
    let mut words = line.split(' ').filter_map(|word| word.split_once('='));
    words.find(|(word, _)| *word == field).map(|(_, value)| value.to_owned()).unwrap()
}

/// Has all of them speak, a little, until those with these names are at the first worker.
fn speak_until_gathered(clients: &mut [Wire], observer: &mut Wire, names: &[&str]) {
    let until = Instant::now() + Duration::from_secs(120);
    let is_moved = |observer: &mut Wire, name: &&str| field(observer, name, "io-thread") == "0";
    while !names.iter().all(|name| is_moved(observer, name)) {
        assert!(Instant::now() < until, "the clients stay where they are");
        clients.iter_mut().for_each(|client| client.ask("PING", "+PONG\r\n"));
        // Two busy workers would both be kept: let the server rest.
        observer.ask("BLPOP nothing 0.005", "*-1\r\n");
    }
}

#[test]
fn clients_gather_at_one_worker_while_it_has_room_and_keep_their_state() {
    let server = Running::start();
    let mut observer = server.connect();
    let mut clients: Vec<Wire> = (0..4).map(|_| server.connect()).collect();
    for (index, client) in clients.iter_mut().enumerate() {
        client.ask(&format!("CLIENT SETNAME c{index}"), "+OK\r\n");
        client.ask(&format!("SELECT {}", index + 1), "+OK\r\n");
        client.ask("WATCH key", "+OK\r\n");
    }
    let names = ["c0", "c1", "c2", "c3"];
    let at_first = names.map(|name| field(&mut observer, name, "io-thread"));
    assert!(at_first.contains(&"1".to_owned()), "nobody has to move: {at_first:?}");
    speak_until_gathered(&mut clients, &mut observer, &names);

    observer.ask("SELECT 2", "+OK\r\n");
    observer.ask("SET key changed", "+OK\r\n");
    for (index, client) in clients.iter_mut().enumerate() {
        client.ask("MULTI", "+OK\r\n");
        client.ask("SET mine 1", "+QUEUED\r\n");
        client.ask("EXEC", if index == 1 { "*-1\r\n" } else { "*1\r\n+OK\r\n" });
        assert_eq!(field(&mut observer, names[index], "db"), (index + 1).to_string());
    }
    // Those that have moved are found by whoever looks for them.
    for (name, client) in names.iter().zip(&mut clients) {
        let id = field(&mut observer, name, "id");
        observer.ask(&format!("CLIENT KILL ID {id}"), ":1\r\n");
        client.expect_closed();
    }
}

#[test]
fn who_listens_or_waits_stays_and_may_move_afterwards() {
    let server = Running::start();
    let mut observer = server.connect();
    let mut clients: Vec<Wire> = (0..4).map(|_| server.connect()).collect();
    for (index, client) in clients.iter_mut().enumerate() {
        client.ask(&format!("CLIENT SETNAME c{index}"), "+OK\r\n");
    }
    let names = ["c0", "c1", "c2", "c3"];
    let at_second = |name: &&&str| field(&mut observer, name, "io-thread") == "1";
    let away: Vec<&str> = names.iter().filter(at_second).copied().collect();
    let [subscriber, blocked] = away[..] else { panic!("not two at the second worker: {away:?}") };
    let index = |name: &str| names.iter().position(|other| *other == name).unwrap();
    clients[index(subscriber)].send("HELLO 3\r\n");
    while !clients[index(subscriber)].line().starts_with("*0") {}
    clients[index(subscriber)]
        .ask("SUBSCRIBE news", ">3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
    let mut blocked_client = clients.remove(index(blocked));
    let names: Vec<&str> = names.iter().filter(|name| **name != blocked).copied().collect();
    blocked_client.send("BLPOP list 0\r\n");

    // It may run commands, as it speaks RESP3; its worker has a look at it several times.
    let until = Instant::now() + Duration::from_millis(500);
    while Instant::now() < until {
        clients.iter_mut().for_each(|client| client.ask("PING", "+PONG\r\n"));
    }
    assert_eq!(field(&mut observer, subscriber, "io-thread"), "1");
    assert_eq!(field(&mut observer, blocked, "io-thread"), "1");
    observer.ask("PUBLISH news x", ":1\r\n");
    let index = names.iter().position(|name| *name == subscriber).unwrap();
    clients[index].expect(">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$1\r\nx\r\n");
    clients[index].ask("UNSUBSCRIBE", ">3\r\n$11\r\nunsubscribe\r\n$4\r\nnews\r\n:0\r\n");
    observer.ask("RPUSH list a", ":1\r\n");
    blocked_client.expect("*2\r\n$4\r\nlist\r\n$1\r\na\r\n");
    clients.push(blocked_client);
    speak_until_gathered(&mut clients, &mut observer, &[subscriber, blocked]);
    assert_eq!(field(&mut observer, subscriber, "flags"), "N");
}
