//! Random requests: each family of commands lists its own, as a name and a letter per argument.

mod bitmap;
mod hash;
mod hyperloglog;
mod list;
mod server;
mod session;
mod set;
mod strings;
mod zset;

/// Commands and the shapes of their arguments; see [`request`] for the letters.
type Shapes = &'static [(&'static str, &'static str)];

const FAMILIES: &[Shapes] = &[
    strings::COMMANDS,
    strings::COMMANDS,
    bitmap::COMMANDS,
    hash::COMMANDS,
    hyperloglog::COMMANDS,
    list::COMMANDS,
    server::COMMANDS,
    session::COMMANDS,
    set::COMMANDS,
    zset::COMMANDS,
];

const WORDS: &[&str] = &[
    "EX",
    "PX",
    "EXAT",
    "PXAT",
    "NX",
    "XX",
    "GT",
    "LT",
    "GET",
    "KEEPTTL",
    "PERSIST",
    "REPLACE",
    "DB",
    "IDX",
    "LEN",
    "MINMATCHLEN",
    "WITHMATCHLEN",
    "junk",
    "set",
    "k1",
    "ASYNC",
    "SYNC",
];

/// So many of [`NUMBERS`] are not for BITFIELD: the reference server's own arithmetic wraps, and
/// SAT makes of the smallest number the largest that fits.
const BITFIELD_WRAPS: usize = 1;

const NUMBERS: &[&str] = &[
    "-9223372036854775808",
    "0",
    "1",
    "-1",
    "2",
    "5",
    "-5",
    "10",
    "100",
    "1000",
    "100000",
    "-100",
    "16",
    "15",
    "3",
    "9223372036854775807",
    "9223372036854775808",
    "9223372036854776",
    "4294967296",
    "2147483648",
    "1e3",
    "1.5",
    "-2.25",
    "0.1",
    "0.2",
    "3.0e2",
    "+1",
    "01",
    " 1",
    "1 ",
    "",
    "abc",
    "0x10",
    "inf",
    "-inf",
    "nan",
    "1e400",
    "1e4000",
    "1e5000",
    "1e-20",
    "1e-5000",
    "-0",
    "123456789.123456789123456789",
    "4102444800",
    "4102444800000",
    "9999999999999999999999",
    ".5",
    "5.",
    "18446744073709551615",
    "18446744073709551616.5",
    "0.00000000000000000501",
    "-0.1",
];

/// Where a number may be a time: none that comes while a run lasts.
const TIMES: &[&str] = &[
    "0",
    "-1",
    "-100",
    "100000000",
    "200000000",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "9223372036854776",
    "-9223372036854776",
    "1.5",
    "abc",
    "",
    "4102444800",
    "4102444800000",
    "+1",
    "9223372036854770000",
    "9223370399119966",
];

const TIMED: &[&str] =
    &["set", "setex", "psetex", "getex", "expire", "pexpire", "expireat", "pexpireat"];

const VALUES: &[&str] = &["", "foobar", "hello world", "ohmytext", "mynewtext", "aXbXcXd", "XaXbX"];

/// A request of a random family.
pub(super) fn request(rng: &mut fastrand::Rng) -> Vec<String> {
    let commands = FAMILIES[rng.usize(..FAMILIES.len())];
    let (name, shape) = commands[rng.usize(..commands.len())];
    let mut words: Vec<String> = name.split(' ').map(str::to_owned).collect();
    words.extend(shape.chars().map(|kind| word(rng, name, kind)));
    words
}

fn word(rng: &mut fastrand::Rng, name: &str, kind: char) -> String {
    let is_text = rng.bool();
    let family = ['h', 'l', 's', 'z'][rng.usize(..4)];
    let any = rng.u16(..);
    let one_of = |words: &[&str]| words[usize::from(any) % words.len()].to_owned();
    match kind {
        // A key of any type, mostly a string's.
        'k' => match rng.u8(..8) {
            0 => key_of(rng, family),
            _ => format!("k{}", rng.u8(..6)),
        },
        // A key that mostly holds a hash, list, set or sorted set.
        'H' | 'L' | 'S' | 'Z' => key_of(rng, kind.to_ascii_lowercase()),
        // The name of a field or member.
        'f' => format!("f{}", rng.u8(..8)),
        'v' if is_text => one_of(VALUES),
        'n' if TIMED.contains(&name) => one_of(TIMES),
        'n' if name == "bitfield" => one_of(&NUMBERS[BITFIELD_WRAPS..]),
        'v' | 'n' => one_of(NUMBERS),
        'i' => rng.i8(-8..10).to_string(),
        'I' => rng.u8(..9).to_string(),
        'w' => one_of(WORDS),
        'a' => one_of(&["0", "100", "99999999999", "-1", "x"]),
        // Where all scores are zero.
        'Y' => format!("y{}", any % 2),
        '0' => "0".to_owned(),
        'j' => one_of(&["-", "+", "[f2", "(f2", "[f5", "(f6", "f1", "["]),
        'e' => one_of(&["-inf", "+inf", "0", "1", "(1", "3", "(3", "5", "(7", "-2", "x"]),
        'x' => one_of(&["WITHSCORES", "BYSCORE", "REV", "BYSCORE", "BYLEX", "junk"]),
        'y' => one_of(&["NX", "XX", "GT", "LT", "CH", "INCR", "junk"]),
        'T' => "ALPHA".to_owned(),
        't' => one_of(&["ALPHA", "ALPHA", "DESC", "ASC", "junk"]),
        'A' => one_of(&["WITHSCORES", "AGGREGATE", "WEIGHTS"]),
        'M' => one_of(&["MIN", "MAX", "min"]),
        'B' => one_of(&["BEFORE", "AFTER", "before"]),
        'C' => one_of(&["COUNT", "COUNT", "count", "junk"]),
        'D' => one_of(&["LEFT", "RIGHT", "left", "right"]),
        'l' => one_of(&["LIMIT", "limit", "junk"]),
        'P' => one_of(&["RANK", "COUNT", "MAXLEN"]),
        's' => one_of(&["0", "3", "20", "-1", "x", "99999999999"]),
        'c' => one_of(&["0", "1", "x", "1 ", " 1", "18446744073709551616"]),
        // Where the servers' versions agree on what is out of range.
        'W' => one_of(&["0", "0", "0.5", "-1", "x", "", "0x1"]),
        'b' => one_of(&["0", "1", "2", "-1", "x"]),
        // A bit, or a number of integers; a string's key that exists; parts of bitmaps' commands.
        'q' if is_text => format!("{}", rng.u16(..600)),
        'q' => one_of(&["#0", "#1", "#7", "#x", "0", "7", "8", "-1", "-9", "#", "4294967296"]),
        'g' => format!("k{}", rng.u8(..6)),
        'u' => one_of(&["BIT", "BYTE", "bit", "byte", "BIT", "junk"]),
        'p' => one_of(&["AND", "OR", "XOR", "NOT", "and", "not", "junk"]),
        'm' => {
            one_of(&["u8", "i8", "u1", "i1", "u63", "i64", "i5", "u13", "u64", "i65", "i0", "x"])
        }
        // A key that mostly holds a sketch, an element of one, and how they are asked about.
        'h' => key_of(rng, 'p'),
        'N' => rng.u16(..300).to_string(),
        'J' => "set".to_owned(),
        'K' => "hll-sparse-max-bytes".to_owned(),
        'Q' => one_of(&["0", "16", "20", "60", "3000", "3000", "-1"]),
        'U' => one_of(&["GETREG", "DECODE", "encoding", "TODENSE", "junk", "encoding"]),
        'G' => "GET".to_owned(),
        'E' => one_of(&["SET", "INCRBY", "set", "incrby", "GET"]),
        'O' => "OVERFLOW".to_owned(),
        'R' => one_of(&["WRAP", "SAT", "FAIL", "sat", "junk"]),
        // How SORT is told what to sort by, and what to give.
        '1' => "BY".to_owned(),
        '2' => one_of(&["k*", "h*->f1", "k*->f1", "h0->*", "k*", "k1"]),
        '3' => "GET".to_owned(),
        '4' => one_of(&["#", "k*", "h*->f2", "h*", "*", "h0->f*"]),
        '5' => "STORE".to_owned(),
        'o' => one_of(&["ENCODING", "REFCOUNT", "IDLETIME", "FREQ"]),
        other => panic!("no such kind of word: {other}"),
    }
}

/// Every key requests name.
pub(super) fn keys() -> impl Iterator<Item = String> {
    let strings = (0..6).map(|n| format!("k{n}"));
    let others = ['h', 'l', 'p', 's', 'z'].into_iter();
    let names = (0..2).map(|n| format!("y{n}"));
    strings
        .chain(names)
        .chain(others.flat_map(|family| (0..3).map(move |n| format!("{family}{n}"))))
}

fn key_of(rng: &mut fastrand::Rng, family: char) -> String {
    match rng.u8(..10) {
        0 => format!("k{}", rng.u8(..6)),
        _ => format!("{family}{}", rng.u8(..3)),
    }
}
