//! How a server begins and ends.

use std::net::{IpAddr, Ipv4Addr, TcpListener};

use kvserver::{Config, Error};

use crate::support::Running;

#[test]
fn shutdown_ends_the_server_without_a_reply() {
    let server = Running::start();
    let mut wire = server.connect();
    wire.ask("SHUTDOWN NOSUCH", "-ERR syntax error\r\n");
    wire.ask("SHUTDOWN ABORT", "-ERR No shutdown in progress.\r\n");
    wire.send("SHUTDOWN NOSAVE\r\n");
    wire.expect_closed();
    assert!(server.wait().is_ok());
}

#[test]
fn a_stopped_server_closes_its_connections() {
    let server = Running::start();
    let mut wires: Vec<_> = (0..20).map(|_| server.connect()).collect();
    for wire in &mut wires {
        wire.ask("PING", "+PONG\r\n");
    }
    assert!(server.stop().is_ok());
    wires.iter_mut().for_each(|wire| wire.expect_closed());
}

#[test]
fn a_taken_address_is_an_error_that_names_it() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut config = Config::default();
    config.port = taken.local_addr().unwrap().port();
    let error = config.listen().unwrap_err();
    assert!(matches!(error, Error::Listen { addr, .. } if addr == config.addr()), "{error}");
    assert!(error.to_string().contains(&config.port.to_string()));
}

#[test]
fn an_address_others_can_reach_is_refused() {
    let mut config = Config::default();
    (config.bind, config.port) = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
    assert!(matches!(config.listen(), Err(Error::Unprotected { .. })));
}

#[test]
fn save_and_merge_answer_at_once_and_show_in_info() {
    let server = Running::start();
    let mut wire = server.connect();
    wire.ask("SAVE", "+OK\r\n");
    wire.ask("BGSAVE", "+Background saving started\r\n");
    wire.ask("BGREWRITEAOF", "+Background append only file rewriting started\r\n");
    wire.ask("BGSAVE NOSUCH", "-ERR syntax error\r\n");
    let info = wire.bulk("INFO persistence");
    assert!(info.contains("rdb_last_bgsave_status:ok\r\n"), "{info}");
    // Each is over soon, and may then be asked for again.
    while wire.bulk("INFO persistence").contains("rdb_bgsave_in_progress:1") {}
    wire.ask("BGSAVE", "+Background saving started\r\n");
}
