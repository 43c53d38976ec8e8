//! Replies as bytes, in the protocol version of the connection.
//!
//! Shapes that only RESP3 has are written as RESP2 has them where the connection speaks that:
//! a map as a flat array, a double as a bulk string, a boolean as an integer.

use std::fmt;

/// Kind, sign, twenty digits and a line end.
const HEADER_LEN_MAX: usize = 1 + 1 + 20 + 2;

/// The line of a number below a thousand: a byte left for its kind, the digits, the line end, and
/// last the line's length.
type ShortLine = [u8; 8];

const SHORT_LEN_AT: usize = 7;

static SHORT_LINES: [ShortLine; 1000] = short_lines();

const fn short_lines() -> [ShortLine; 1000] {
    const DIGITS: &[u8; 10] = b"0123456789";
    let mut lines = [[0; 8]; 1000];
    let mut n = 0;
    while n < lines.len() {
        let (hundreds, tens, ones) = (DIGITS[n / 100], DIGITS[n / 10 % 10], DIGITS[n % 10]);
        lines[n] = match n {
            0..=9 => [0, ones, b'\r', b'\n', 0, 0, 0, 4],
            10..=99 => [0, tens, ones, b'\r', b'\n', 0, 0, 5],
            _ => [0, hundreds, tens, ones, b'\r', b'\n', 0, 6],
        };
        n += 1;
    }
    lines
}

/// The protocol version a connection speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Protocol {
    #[default]
    Resp2,
    Resp3,
}

impl Protocol {
    pub(crate) const fn number(self) -> i64 {
        match self {
            Protocol::Resp2 => 2,
            Protocol::Resp3 => 3,
        }
    }
}

/// Appends replies to a connection's output.
#[derive(Debug)]
pub(crate) struct Reply<'a> {
    out: &'a mut Vec<u8>,
    protocol: Protocol,
}

impl<'a> Reply<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>, protocol: Protocol) -> Self {
        Reply { out, protocol }
    }
    /// The same reply, lent for a while.
    pub(crate) fn reborrow(&mut self) -> Reply<'_> {
        Reply { out: self.out, protocol: self.protocol }
    }
    /// HELLO changes the version in the middle of its own reply.
    pub(crate) fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }
    /// The bytes written so far, of this and earlier replies.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }
    /// Forgets what was written after `len`.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.out.truncate(len);
    }

    pub(crate) fn ok(&mut self) {
        self.out.extend_from_slice(b"+OK\r\n");
    }
    /// A status line; `text` has no line break.
    pub(crate) fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }
    /// An error line, code included. Line breaks in it become spaces.
    pub(crate) fn error(&mut self, error: &dyn fmt::Display) {
        let text = error.to_string().replace(['\r', '\n'], " ");
        self.line(b'-', text.as_bytes());
    }
    pub(crate) fn integer(&mut self, n: i64) {
        self.number(b':', n);
    }
    /// A count; those above `i64::MAX` do not occur.
    pub(crate) fn count(&mut self, n: u64) {
        self.integer(i64::try_from(n).unwrap_or(i64::MAX));
    }
    /// 1 or 0, in both versions (what most commands answer for "did it happen").
    pub(crate) fn flag(&mut self, yes: bool) {
        self.integer(i64::from(yes));
    }
    pub(crate) fn bulk(&mut self, bytes: &[u8]) {
        self.out.reserve(HEADER_LEN_MAX + bytes.len() + 2);
        self.header(b'$', bytes.len());
        self.out.extend_from_slice(bytes);
        self.end();
    }
    pub(crate) fn bulk_or_null(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.bulk(bytes),
            None => self.null(),
        }
    }
    /// Null where a bulk string would stand.
    pub(crate) fn null(&mut self) {
        self.by_version(b"$-1\r\n", b"_\r\n");
    }
    /// Null where an array would stand.
    pub(crate) fn null_array(&mut self) {
        self.by_version(b"*-1\r\n", b"_\r\n");
    }
    /// `len` replies follow.
    pub(crate) fn array(&mut self, len: usize) {
        self.header(b'*', len);
    }
    /// `len` pairs of replies follow.
    pub(crate) fn map(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.header(b'*', len * 2),
            Protocol::Resp3 => self.header(b'%', len),
        }
    }
    /// `len` replies follow, in no order.
    pub(crate) fn set(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.header(b'*', len),
            Protocol::Resp3 => self.header(b'~', len),
        }
    }
    /// `len` replies follow that nobody asked for just now.
    pub(crate) fn push(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.header(b'*', len),
            Protocol::Resp3 => self.header(b'>', len),
        }
    }
    /// A double; `text` is its shortest form (`inf`, `-inf`, `nan` included).
    pub(crate) fn double_text(&mut self, text: &str) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(text.as_bytes()),
            Protocol::Resp3 => self.line(b',', text.as_bytes()),
        }
    }
    pub(crate) fn boolean(&mut self, yes: bool) {
        match (self.protocol, yes) {
            (Protocol::Resp2, _) => self.flag(yes),
            (Protocol::Resp3, true) => self.out.extend_from_slice(b"#t\r\n"),
            (Protocol::Resp3, false) => self.out.extend_from_slice(b"#f\r\n"),
        }
    }
    /// Text for people: `txt`.
    pub(crate) fn verbatim(&mut self, text: &str) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(text.as_bytes()),
            Protocol::Resp3 => {
                self.header(b'=', text.len() + 4);
                self.out.extend_from_slice(b"txt:");
                self.out.extend_from_slice(text.as_bytes());
                self.end();
            }
        }
    }
    /// An integer of any length, in digits.
    pub(crate) fn big_number(&mut self, digits: &str) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(digits.as_bytes()),
            Protocol::Resp3 => self.line(b'(', digits.as_bytes()),
        }
    }
    /// `len` pairs of replies about the reply that comes behind them; only RESP3 has them.
    pub(crate) fn attribute(&mut self, len: usize) {
        debug_assert_eq!(self.protocol, Protocol::Resp3);
        self.header(b'|', len);
    }
    fn by_version(&mut self, resp2: &[u8], resp3: &[u8]) {
        self.out.extend_from_slice(match self.protocol {
            Protocol::Resp2 => resp2,
            Protocol::Resp3 => resp3,
        });
    }
    fn line(&mut self, kind: u8, text: &[u8]) {
        self.out.push(kind);
        self.out.extend_from_slice(text);
        self.end();
    }
    #[inline]
    fn header(&mut self, kind: u8, len: usize) {
        match SHORT_LINES.get(len) {
            Some(line) => self.short_line(kind, *line),
            None => self.long_number(kind, i64::try_from(len).unwrap_or(i64::MAX)),
        }
    }
    fn end(&mut self) {
        self.out.extend_from_slice(b"\r\n");
    }
    /// A line of one number: most are looked up, the others put together from their end.
    #[inline]
    fn number(&mut self, kind: u8, n: i64) {
        match usize::try_from(n).ok().and_then(|n| SHORT_LINES.get(n)) {
            Some(line) => self.short_line(kind, *line),
            None => self.long_number(kind, n),
        }
    }
    /// A whole word is written, and what is too much taken back: a move of as many bytes as there
    /// are would be a call.
    #[inline]
    fn short_line(&mut self, kind: u8, mut line: ShortLine) {
        line[0] = kind;
        let end = self.out.len() + usize::from(line[SHORT_LEN_AT]);
        self.out.extend_from_slice(&line);
        self.out.truncate(end);
    }
    fn long_number(&mut self, kind: u8, n: i64) {
        let mut line = [0; HEADER_LEN_MAX];
        line[HEADER_LEN_MAX - 2..].copy_from_slice(b"\r\n");
        let (mut at, mut rest) = (HEADER_LEN_MAX - 2, n.unsigned_abs());
        loop {
            at -= 1;
            line[at] = b'0' + u8::try_from(rest % 10).expect("a remainder by ten is below ten");
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if n < 0 {
            at -= 1;
            line[at] = b'-';
        }
        at -= 1;
        line[at] = kind;
        self.out.extend_from_slice(&line[at..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(protocol: Protocol, write: impl FnOnce(&mut Reply<'_>)) -> String {
        let mut out = Vec::new();
        write(&mut Reply::new(&mut out, protocol));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn integers_are_written_in_decimal_to_both_ends() {
        for n in (0..1100).chain([-1, -10, 12345, i64::MAX, i64::MIN]) {
            assert_eq!(written(Protocol::Resp2, |r| r.integer(n)), format!(":{n}\r\n"));
        }
    }

    #[test]
    fn resp3_shapes_fall_back_to_resp2() {
        let all = |r: &mut Reply<'_>| {
            r.map(1);
            r.null();
            r.boolean(true);
            r.null_array();
            r.double_text("1.5");
            r.verbatim("a");
        };
        assert_eq!(
            written(Protocol::Resp2, all),
            "*2\r\n$-1\r\n:1\r\n*-1\r\n$3\r\n1.5\r\n$1\r\na\r\n"
        );
        assert_eq!(written(Protocol::Resp3, all), "%1\r\n_\r\n#t\r\n_\r\n,1.5\r\n=5\r\ntxt:a\r\n");
    }

    #[test]
    fn an_error_stays_on_its_line() {
        assert_eq!(written(Protocol::Resp2, |r| r.error(&"ERR a\r\nb")), "-ERR a  b\r\n");
    }
}
