//! Dialogues with the bitmap commands; the replies are those of the reference server.

use crate::command::testing::Fixture;
use crate::data::Class;
use crate::resp::Protocol;

fn check(dialogue: &[(&str, &str)]) {
    Fixture::new().check(dialogue);
}

const BAD_OFFSET: &str = "-ERR bit offset is not an integer or out of range";
const NOT_INTEGER: &str = "-ERR value is not an integer or out of range";
const SYNTAX: &str = "-ERR syntax error";
const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

#[test]
fn bitcount_counts_a_part_by_bytes_or_bits() {
    check(&[
        ("BITCOUNT none", ":0"),
        ("BITCOUNT none 0 1000 bit", ":0"),
        ("SET k foobar", "+OK"),
        ("BITCOUNT k", ":26"),
        ("BITCOUNT k 0 0", ":4"),
        ("BITCOUNT k 1 1 BYTE", ":6"),
        ("BITCOUNT k 5 30 BIT", ":17"),
        ("BITCOUNT k -2 1", ":0"),
        ("BITCOUNT k -6 -7", ":0"),
        ("BITCOUNT k -100 -101", ":0"),
        ("BITCOUNT k -1000 0", ":4"),
        ("BITCOUNT k 1", ":22"),
        ("BITCOUNT k 9223372036854775807 -9223372036854775808", ":0"),
        ("BITCOUNT k -9223372036854775808 9223372036854775807 BIT", ":26"),
        ("BITCOUNT k a 1", NOT_INTEGER),
        ("BITCOUNT none 0 b", NOT_INTEGER),
        ("BITCOUNT none 0 1 hello", SYNTAX),
        ("BITCOUNT k 0 1 BIT BIT", SYNTAX),
        ("RPUSH l a", ":1"),
        ("BITCOUNT l 5 2", WRONG_TYPE),
    ]);
}

#[test]
fn bitpos_finds_the_first_bit_of_a_part() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("BITPOS none 0", ":0"),
        ("BITPOS none 1", ":-1"),
        ("BITPOS none 0 5 6 BIT", ":0"),
        ("SET empty \"\"", "+OK"),
        ("BITPOS empty 0", ":-1"),
        ("BITPOS empty 1", ":-1"),
    ]);
    fixture.call(&[b"SET", b"k", b"\xff\xff\xff"]);
    fixture.call(&[b"SET", b"m", b"\x00\xff\xf0"]);
    fixture.check(&[
        ("BITPOS k 0", ":24"),
        ("BITPOS k 0 1", ":24"),
        ("BITPOS k 0 0 -1", ":-1"),
        ("BITPOS k 0 3", ":-1"),
        ("BITPOS k 1 9 23 BIT", ":9"),
        ("BITPOS m 1", ":8"),
        ("BITPOS m 1 2 -1", ":16"),
        ("BITPOS m 0 1 -1 BYTE", ":20"),
        ("BITPOS m 0 8 19 BIT", ":-1"),
        ("BITPOS m 1 -100 -99", ":-1"),
        ("BITPOS m 2", "-ERR The bit argument must be 1 or 0."),
        ("BITPOS none x", NOT_INTEGER),
        ("BITPOS m 0 1 2 NIBBLE", SYNTAX),
        ("BITPOS m 0 1 x BIT", NOT_INTEGER),
        ("BITPOS m 0 1 2 BIT BIT", SYNTAX),
    ]);
}

#[test]
fn bitop_combines_strings_of_different_lengths() {
    let mut fixture = Fixture::new();
    fixture.call(&[b"SET", b"a", b"\xff\x0f\xaa"]);
    fixture.call(&[b"SET", b"b", b"\x0f\xff"]);
    for (operation, expected) in [
        (&b"AND"[..], &b"$3\r\n\x0f\x0f\x00\r\n"[..]),
        (b"or", b"$3\r\n\xff\xff\xaa\r\n"),
        (b"Xor", b"$3\r\n\xf0\xf0\xaa\r\n"),
    ] {
        assert_eq!(fixture.call(&[b"BITOP", operation, b"r", b"a", b"b"]), b":3\r\n");
        assert_eq!(fixture.call(&[b"GET", b"r"]), expected);
        assert_eq!(fixture.call(&[b"BITOP", operation, b"r", b"b", b"a"]), b":3\r\n");
        assert_eq!(fixture.call(&[b"GET", b"r"]), expected);
    }
    fixture.check(&[("BITOP NOT a a", ":3"), ("BITOP AND r a none", ":3"), ("STRLEN r", ":3")]);
    assert_eq!(fixture.call(&[b"GET", b"a"]), b"$3\r\n\x00\xf0\x55\r\n");
    assert_eq!(fixture.call(&[b"GET", b"r"]), b"$3\r\n\x00\x00\x00\r\n");
    fixture.check(&[
        ("BITOP NOT r a b", "-ERR BITOP NOT must be called with a single source key."),
        ("BITOP NAND r a b", SYNTAX),
        ("SADD s x", ":1"),
        ("BITOP OR r a s", WRONG_TYPE),
        ("BITOP OR s a b", ":3"),
        ("TYPE s", "+string"),
        ("BITOP OR s none none", ":0"),
        ("EXISTS s", ":0"),
    ]);
}

#[test]
fn bitfield_reads_and_writes_integers_of_any_width() {
    check(&[
        ("BITFIELD k", "*0"),
        ("BITFIELD none GET u8 0 GET i64 4000000000", "*2 :0 :0"),
        ("EXISTS none", ":0"),
        ("BITFIELD k SET u8 0 255 GET u8 0 GET i8 0 GET u4 #1", "*4 :0 :255 :-1 :15"),
        ("BITFIELD k SET i64 3 -2 GET i64 3", "*2 :-576460752303423488 :-2"),
        ("BITFIELD k INCRBY u2 100 1 OVERFLOW SAT INCRBY u2 102 1", "*2 :1 :1"),
        ("BITFIELD k OVERFLOW SAT INCRBY u2 100 5", "*1 :3"),
        ("BITFIELD k OVERFLOW FAIL INCRBY u2 100 1 GET u2 100", "*2 $-1 :3"),
        ("BITFIELD k OVERFLOW WRAP INCRBY u2 100 1", "*1 :0"),
        ("BITFIELD k OVERFLOW SAT SET u8 #20 -1 GET u8 160", "*2 :0 :255"),
        ("BITFIELD f OVERFLOW FAIL SET u1 10 5", "*1 $-1"),
        ("STRLEN f", ":2"),
        ("BITFIELD_RO k GET u8 160 GET u63 200", "*2 :255 :0"),
        ("BITFIELD_RO k GET u8 0 SET u8 0 1", "-ERR BITFIELD_RO only supports the GET subcommand"),
        ("COMMAND GETKEYSANDFLAGS BITFIELD k GET u8 0", "*1 *2 $1 k *2 +RO +access"),
        ("COMMAND GETKEYSANDFLAGS BITFIELD k SET u8 0 1", "*1 *2 $1 k *3 +RW +access +update"),
    ]);
}

#[test]
fn bitfield_refuses_what_it_does_not_know_before_it_writes() {
    const BAD_FORM: &str = "-ERR Invalid bitfield type. Use something like i16 u8. \
                            Note that u64 is not supported but i64 is.";
    check(&[
        ("BITFIELD k SET u8 0 1 GET u8", SYNTAX),
        ("BITFIELD k SET u8 0 1 PUT u8 0 1", SYNTAX),
        ("BITFIELD k SET u8 0 1 GET u64 0", BAD_FORM),
        ("BITFIELD k SET i65 0 1", BAD_FORM),
        ("BITFIELD k SET u0 0 1", BAD_FORM),
        ("BITFIELD k SET \"\" 0 1", BAD_FORM),
        ("BITFIELD k SET u8 0 x", NOT_INTEGER),
        ("BITFIELD k SET u8 -1 1", BAD_OFFSET),
        ("BITFIELD k SET u8 4294967296 1", BAD_OFFSET),
        ("BITFIELD k SET i64 #9223372036854775807 1", BAD_OFFSET),
        ("BITFIELD k SET i64 # 1", BAD_OFFSET),
        ("BITFIELD k OVERFLOW JUNK SET u8 0 1", "-ERR Invalid OVERFLOW type specified"),
        ("EXISTS k", ":0"),
        ("RPUSH l a", ":1"),
        ("BITFIELD l GET u8 0", WRONG_TYPE),
        ("BITFIELD l SET u8 0 1", WRONG_TYPE),
    ]);
}

#[test]
fn bits_beyond_the_longest_string_are_refused() {
    check(&[
        ("SETBIT k 4294967296 1", BAD_OFFSET),
        ("GETBIT k 4294967296", BAD_OFFSET),
        ("GETBIT k 4294967295", ":0"),
        ("SETBIT k -1 1", BAD_OFFSET),
        ("SETBIT k 0 2", "-ERR bit is not an integer or out of range"),
        ("CONFIG SET proto-max-bulk-len 1mb", "+OK"),
        ("SETBIT k 8388608 1", BAD_OFFSET),
        ("SETBIT k 8388607 1", ":0"),
        ("BITFIELD k GET u8 8388608", BAD_OFFSET),
        ("STRLEN k", ":1048576"),
    ]);
}

#[test]
fn bitmaps_keep_their_expiry_and_bitop_removes_it() {
    check(&[
        ("SET k v EX 10", "+OK"),
        ("SETBIT k 100 1", ":0"),
        ("BITFIELD k SET u8 200 1", "*1 :0"),
        ("TTL k", ":10"),
        ("BITOP OR k k", ":26"),
        ("TTL k", ":-1"),
    ]);
}

#[test]
fn events_tell_only_of_bits_that_change() {
    let mut fixture = Fixture::new();
    let events = fixture.events(&[
        "SETBIT k 1 1",
        "SETBIT k 1 1",
        "SETBIT k 9 0",
        "BITFIELD k SET u8 0 64",
        "BITFIELD k SET u8 0 65 SET u8 8 1",
        "BITFIELD k OVERFLOW FAIL INCRBY u8 0 1000",
        "BITFIELD k GET u8 0",
        "BITOP NOT k k",
        "BITOP AND k none",
        "BITOP AND k none",
    ]);
    let names: Vec<(Class, &str)> = events.iter().map(|(class, name, _)| (*class, *name)).collect();
    let setbit = (Class::String, "setbit");
    assert_eq!(names, [setbit, setbit, setbit, (Class::String, "set"), (Class::Generic, "del")]);
}

#[test]
fn a_bit_that_is_so_already_is_not_written_again() {
    let mut fixture = Fixture::new();
    fixture.check(&[("SETBIT k 7 1", ":0"), ("WATCH k", "+OK"), ("SETBIT k 7 1", ":1")]);
    fixture.check(&[("BITFIELD k SET u8 0 1", "*1 :1"), ("MULTI", "+OK"), ("EXEC", "*0")]);
}

#[test]
fn fields_that_fail_are_null_in_both_protocols() {
    let mut fixture = Fixture::new();
    fixture.client.protocol = Protocol::Resp3;
    fixture.check(&[("BITFIELD k OVERFLOW FAIL SET u1 0 2", "*1 _")]);
}
