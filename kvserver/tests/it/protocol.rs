//! Requests as they arrive: whole, in pieces, wrong, too long.

use crate::support::Running;

#[test]
fn requests_in_any_pieces_get_the_same_replies() {
    let server = Running::start();
    let stream = b"*1\r\n$4\r\nPING\r\nECHO \"a b\"\r\n\
        *2\r\n$4\r\nEcHo\r\n$4\r\n\r\n\0x\r\n\r\n*0\r\nPING\n";
    let replies = b"+PONG\r\n$3\r\na b\r\n$4\r\n\r\n\0x\r\n+PONG\r\n";
    for size in [1, 3, 7, stream.len()] {
        let mut wire = server.connect();
        for piece in stream.chunks(size) {
            wire.send(piece);
        }
        wire.expect(replies);
    }
}

#[test]
fn protocol_errors_are_told_after_earlier_replies_and_end_the_connection() {
    let server = Running::start();
    let cases = [
        ("*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n", "expected '$', got 'f'"),
        ("*20000000000\r\n", "invalid multibulk length"),
        ("*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$2000000000\r\n", "invalid bulk length"),
        ("*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$-10\r\n", "invalid bulk length"),
        ("ECHO \"a\r\n", "unbalanced quotes in request"),
    ];
    for (request, text) in cases {
        let mut wire = server.connect();
        wire.send(format!("PING\r\n{request}PING\r\n"));
        wire.expect(format!("+PONG\r\n-ERR Protocol error: {text}\r\n"));
        wire.expect_closed();
    }
}

#[test]
fn lines_without_end_are_refused() {
    let server = Running::start();
    let cases = [
        ("\0", "too big inline request"),
        ("*\0", "too big mbulk count string"),
        ("*1\r\n$\0", "too big bulk count string"),
    ];
    for (start, text) in cases {
        let mut wire = server.connect();
        wire.send(start);
        wire.send(vec![b'p'; 64 * 1024 + 1]);
        wire.expect(format!("-ERR Protocol error: {text}\r\n"));
        wire.expect_closed();
    }
}

#[test]
fn a_large_argument_comes_back_whole() {
    let server = Running::start();
    let mut wire = server.connect();
    let value: Vec<u8> = (0..5_000_000u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let bulk = [format!("${}\r\n", value.len()).as_bytes(), &value, b"\r\n"].concat();
    let sender = std::thread::spawn({
        let mut stream = wire.stream.try_clone().unwrap();
        let request = [&b"*2\r\n$4\r\nECHO\r\n"[..], &bulk, b"PING\r\n"].concat();
        move || std::io::Write::write_all(&mut stream, &request).unwrap()
    });
    wire.expect(&bulk);
    wire.expect("+PONG\r\n");
    sender.join().unwrap();
}

#[test]
fn a_client_that_does_not_read_is_not_read_from_either() {
    let server = Running::start();
    let mut wire = server.connect();
    let word = "x".repeat(10_000);
    let request = format!("*2\r\n$4\r\nECHO\r\n$10000\r\n{word}\r\n").repeat(100);
    let mut stream = wire.stream.try_clone().unwrap();
    stream.set_write_timeout(Some(std::time::Duration::from_millis(300))).unwrap();
    // Far more than socket buffers and the server's limit hold: sending must stall.
    let mut sent = 0;
    let mut stalled = false;
    while sent < 200 && !stalled {
        stalled = std::io::Write::write_all(&mut stream, request.as_bytes()).is_err();
        sent += usize::from(!stalled);
    }
    assert!(stalled, "200 MB were taken from a client that read nothing");
    let reply = format!("$10000\r\n{word}\r\n").repeat(100);
    for _ in 0..sent {
        wire.expect(&reply);
    }
}

#[test]
fn unknown_commands_and_wrong_arities_are_named() {
    let server = Running::start();
    let mut wire = server.connect();
    wire.ask("nosuch a b", "-ERR unknown command 'nosuch', with args beginning with: 'a' 'b' \r\n");
    wire.ask("client nosuch", "-ERR unknown subcommand 'nosuch'. Try CLIENT HELP.\r\n");
    wire.ask("echo", "-ERR wrong number of arguments for 'echo' command\r\n");
    wire.ask("ping a b", "-ERR wrong number of arguments for 'ping' command\r\n");
    wire.ask("config get", "-ERR wrong number of arguments for 'config|get' command\r\n");
    wire.ask("client", "-ERR wrong number of arguments for 'client' command\r\n");
}

#[test]
fn http_requests_end_the_connection_before_anything_runs() {
    let server = Running::start();
    for request in ["POST / HTTP/1.1\r\nPING\r\n", "host: localhost\r\nPING\r\n"] {
        let mut wire = server.connect();
        wire.send(request);
        wire.expect_closed();
    }
}

#[test]
fn a_client_that_ends_its_side_still_gets_its_replies() {
    let server = Running::start();
    let mut wire = server.connect();
    wire.send("PING\r\nECHO x\r\n");
    wire.end_sending();
    wire.expect("+PONG\r\n$1\r\nx\r\n");
    wire.expect_closed();
}
