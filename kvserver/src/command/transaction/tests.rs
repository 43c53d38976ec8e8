//! What EXEC makes of many commands.

use crate::command::testing::Fixture;

const LONG: usize = 1 << 20;

#[test]
fn many_edits_of_a_long_value_in_one_exec_are_written_once() {
    let mut fixture = Fixture::new();
    let (value, element) = (vec![b'v'; LONG], vec![b'e'; LONG]);
    fixture.call(&[b"SET", b"k", &value]);
    fixture.call(&[b"RPUSH", b"l", &element]);
    fixture.check(&[("RPUSH l b", ":2"), ("MULTI", "+OK")]);
    let queued = [
        "APPEND k ab",
        "SETRANGE k 1 x",
        "SETBIT k 7 1",
        "BITFIELD k SET u8 16 65",
        "EXPIRE k 100",
        "RENAME k other",
        "COPY other k REPLACE",
        "LMOVE l l LEFT RIGHT",
        "LMOVE l l LEFT RIGHT",
    ];
    for _ in 0..30 {
        queued.iter().for_each(|request| fixture.check(&[(request, "+QUEUED")]));
    }
    let written = fixture.engine().stats().appended_bytes;
    let reply = fixture.run("EXEC");
    assert!(reply.starts_with("*270\r\n:1048578\r\n:1048578\r\n:0\r\n*1\r\n:118\r\n:1\r\n+OK\r\n"));
    let written = fixture.engine().stats().appended_bytes - written;
    let left: u64 = 3 * (1 << 20); // k, other, the element
    assert!(written < left + (64 << 10), "{written} bytes for {left}");

    let mut wanted = value;
    wanted.extend_from_slice(&b"ab".repeat(30));
    wanted[..3].copy_from_slice(b"wxA");
    for key in [b"k".as_slice(), b"other"] {
        let reply = fixture.call(&[b"GET", key]);
        assert!(reply == [format!("${}\r\n", wanted.len()).as_bytes(), &wanted, b"\r\n"].concat());
        assert_eq!(fixture.run("TTL other"), ":100\r\n");
    }
    fixture.check(&[("LLEN l", ":2"), ("LINDEX l 1", "$1 b")]);
    let reply = fixture.call(&[b"LINDEX", b"l", b"0"]);
    assert!(reply == [b"$1048576\r\n", &element[..], b"\r\n"].concat());
    assert_eq!(fixture.orphans(), 0);
}
