//! Requests out of a stream of bytes that arrives in pieces.
//!
//! Knows nothing of sockets. The buffer belongs to the caller, who appends to it, and drops or
//! moves bytes only as [`Parser::shift`] is told.
//!
//! # Laws
//!
//! P1. However the stream is cut into pieces, the requests and the error are the same.
//! P2. Memory grows with bytes received, never with a length that was only declared.
//! P3. After an error the stream has no meaning; the connection must be closed.

use std::fmt;
use std::ops::Range;

use super::inline;
use crate::number::parse_i64;

/// The longest line: an inline request, a count or a length.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// What the protocol allows a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Arguments of one request.
    pub(crate) args_max: u64,
    /// Bytes of one argument (`proto-max-bulk-len`).
    pub(crate) bulk_len_max: u64,
    /// False while a password is set and not given: errors then say so.
    pub(crate) authenticated: bool,
}

/// Why the stream cannot be understood. `Display` is the text after `-ERR `.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProtocolError {
    TooBigInline,
    UnbalancedQuotes,
    TooBigCount,
    InvalidCount,
    UnauthenticatedCount,
    TooBigLength,
    ExpectedDollar(u8),
    InvalidLength,
    UnauthenticatedLength,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Protocol error: ")?;
        match self {
            Self::TooBigInline => f.write_str("too big inline request"),
            Self::UnbalancedQuotes => f.write_str("unbalanced quotes in request"),
            Self::TooBigCount => f.write_str("too big mbulk count string"),
            Self::InvalidCount => f.write_str("invalid multibulk length"),
            Self::UnauthenticatedCount => f.write_str("unauthenticated multibulk length"),
            Self::TooBigLength => f.write_str("too big bulk count string"),
            Self::ExpectedDollar(got) => write!(f, "expected '$', got '{}'", char::from(*got)),
            Self::InvalidLength => f.write_str("invalid bulk length"),
            Self::UnauthenticatedLength => f.write_str("unauthenticated bulk length"),
        }
    }
}

impl std::error::Error for ProtocolError {}

/// What a call of [`Parser::step`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A request; its arguments have been appended to `args`.
    Request,
    /// An inline request: its arguments are not in the buffer as they stand.
    Inline(Vec<Vec<u8>>),
    /// More bytes are needed.
    Incomplete,
}

/// The state between two pieces.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    /// The next byte to look at.
    at: usize,
    /// Arguments still to come of a request whose count has been read.
    missing: u64,
    /// The length of the argument that comes next, once it has been read.
    bulk_len: Option<usize>,
    /// How many arguments of the unfinished request `args` ends with.
    begun: usize,
}

impl Parser {
    /// Bytes before this are not needed for parsing any more; those of an unfinished request may
    /// lie before it (see [`Parser::begun`]).
    pub(crate) fn position(&self) -> usize {
        self.at
    }
    /// The number of arguments of the unfinished request, at the end of `args`.
    pub(crate) fn begun(&self) -> usize {
        self.begun
    }
    /// The caller has dropped `bytes` from the front of the buffer (and moved `args`).
    pub(crate) fn shift(&mut self, bytes: usize) {
        self.at -= bytes;
    }
    /// True between requests.
    pub(crate) fn is_idle(&self) -> bool {
        self.missing == 0
    }

    /// Takes the next request off `buffer`, whose first bytes up to [`Parser::position`] have been
    /// taken before. Appends the places of its arguments to `args`.
    pub(crate) fn step(
        &mut self,
        buffer: &[u8],
        args: &mut Vec<Range<usize>>,
        limits: &Limits,
    ) -> Result<Step, ProtocolError> {
        if self.missing == 0 && self.short(buffer, args) {
            return Ok(Step::Request);
        }
        while self.missing == 0 {
            match buffer.get(self.at) {
                None => return Ok(Step::Incomplete),
                Some(b'*') => {
                    if !self.count(buffer, limits)? {
                        return Ok(Step::Incomplete);
                    }
                }
                Some(_) => match self.inline(buffer)? {
                    None => return Ok(Step::Incomplete),
                    Some(words) if words.is_empty() => {}
                    Some(words) => return Ok(Step::Inline(words)),
                },
            }
        }
        while self.missing > 0 {
            if !self.argument(buffer, args, limits)? {
                return Ok(Step::Incomplete);
            }
        }
        self.begun = 0;
        Ok(Step::Request)
    }

    /// Takes a request that is all there, of up to nine arguments of up to three-digit lengths, as
    /// nearly all are: no limit is below that. False, and nothing taken, if it is not such a one.
    #[inline]
    fn short(&mut self, buffer: &[u8], args: &mut Vec<Range<usize>>) -> bool {
        let first = args.len();
        let end = short_request(buffer, self.at, args);
        match end {
            Some(end) => self.at = end,
            None => args.truncate(first),
        }
        end.is_some()
    }

    /// Reads `*<count>`. A count of zero or less is a request of nothing, and is skipped.
    fn count(&mut self, buffer: &[u8], limits: &Limits) -> Result<bool, ProtocolError> {
        let Some(line) = self.line(buffer, ProtocolError::TooBigCount)? else { return Ok(false) };
        let count = parse_i64(&line[1..]).filter(|count| *count <= i64::from(i32::MAX));
        let count = u64::try_from(count.ok_or(ProtocolError::InvalidCount)?).unwrap_or(0);
        if count > limits.args_max {
            return Err(if limits.authenticated {
                ProtocolError::InvalidCount
            } else {
                ProtocolError::UnauthenticatedCount
            });
        }
        self.missing = count;
        Ok(true)
    }

    /// Reads `$<length>` and the bytes, as far as they are there.
    #[inline]
    fn argument(
        &mut self,
        buffer: &[u8],
        args: &mut Vec<Range<usize>>,
        limits: &Limits,
    ) -> Result<bool, ProtocolError> {
        let len = match self.bulk_len {
            Some(len) => len,
            None => match self.length(buffer, limits)? {
                Some(len) => len,
                None => return Ok(false),
            },
        };
        let end = self.at + len;
        // The line end after the bytes is not checked, as Redis does not.
        if buffer.len() < end + 2 {
            self.bulk_len = Some(len);
            return Ok(false);
        }
        args.push(self.at..end);
        self.begun += 1;
        self.at = end + 2;
        self.bulk_len = None;
        self.missing -= 1;
        Ok(true)
    }

    #[inline]
    fn length(&mut self, buffer: &[u8], limits: &Limits) -> Result<Option<usize>, ProtocolError> {
        let rest = buffer.get(self.at..).unwrap_or_default();
        if let Some((len, after)) = short_length(rest) {
            self.at += rest.len() - after.len();
            return Ok(Some(len));
        }
        self.any_length(buffer, limits)
    }

    fn any_length(
        &mut self,
        buffer: &[u8],
        limits: &Limits,
    ) -> Result<Option<usize>, ProtocolError> {
        let first = self.at;
        let Some(line) = self.line(buffer, ProtocolError::TooBigLength)? else { return Ok(None) };
        let got = buffer[first];
        if got != b'$' {
            return Err(ProtocolError::ExpectedDollar(got));
        }
        let len = parse_i64(&line[1..]).and_then(|len| u64::try_from(len).ok());
        match len.ok_or(ProtocolError::InvalidLength)? {
            len if len > limits.bulk_len_max && limits.authenticated => {
                Err(ProtocolError::InvalidLength)
            }
            len if len > limits.bulk_len_max => Err(ProtocolError::UnauthenticatedLength),
            len => usize::try_from(len).map(Some).map_err(|_| ProtocolError::InvalidLength),
        }
    }

    /// Takes a line that ends in CR and any byte. `None`: it is not there yet.
    fn line<'b>(
        &mut self,
        buffer: &'b [u8],
        too_long: ProtocolError,
    ) -> Result<Option<&'b [u8]>, ProtocolError> {
        let rest = &buffer[self.at..];
        let window = &rest[..rest.len().min(LINE_BYTES_MAX + 1)];
        let Some(len) = window.iter().position(|byte| *byte == b'\r') else {
            return if rest.len() > LINE_BYTES_MAX { Err(too_long) } else { Ok(None) };
        };
        if rest.len() < len + 2 {
            return Ok(None);
        }
        self.at += len + 2;
        Ok(Some(&rest[..len]))
    }

    fn inline(&mut self, buffer: &[u8]) -> Result<Option<Vec<Vec<u8>>>, ProtocolError> {
        let rest = &buffer[self.at..];
        let window = &rest[..rest.len().min(LINE_BYTES_MAX + 1)];
        let Some(len) = window.iter().position(|byte| *byte == b'\n') else {
            let too_long = rest.len() > LINE_BYTES_MAX;
            return if too_long { Err(ProtocolError::TooBigInline) } else { Ok(None) };
        };
        self.at += len + 1;
        let line = rest[..len].strip_suffix(b"\r").unwrap_or(&rest[..len]);
        inline::split(line).map(Some).map_err(|_| ProtocolError::UnbalancedQuotes)
    }
}

/// Where the short request at `at` ends; its arguments, as far as they are there, are appended.
#[inline]
fn short_request(buffer: &[u8], at: usize, args: &mut Vec<Range<usize>>) -> Option<usize> {
    let [b'*', count @ b'1'..=b'9', b'\r', b'\n', rest @ ..] = buffer.get(at..)? else {
        return None;
    };
    let mut rest = rest;
    for _ in b'0'..*count {
        let (len, after) = short_length(rest)?;
        // The line end after the bytes is not checked, as Redis does not.
        rest = after.get(len + 2..)?;
        let start = buffer.len() - after.len();
        args.push(start..start + len);
    }
    Some(buffer.len() - rest.len())
}

/// `$<length>` of up to three digits, which no limit is below, and what comes after it.
#[inline]
fn short_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let digit = |digit: &u8| usize::from(digit - b'0');
    match bytes {
        [b'$', a @ b'0'..=b'9', b'\r', b'\n', after @ ..] => Some((digit(a), after)),
        [b'$', a @ b'1'..=b'9', b @ b'0'..=b'9', b'\r', b'\n', after @ ..] => {
            Some((digit(a) * 10 + digit(b), after))
        }
        [b'$', a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b'\r', b'\n', after @ ..] => {
            Some((digit(a) * 100 + digit(b) * 10 + digit(c), after))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { args_max: 1 << 30, bulk_len_max: 1 << 29, authenticated: true };

    /// Feeds `pieces` one after the other; all requests, and the error if one ends the stream.
    fn parse<'p>(
        pieces: impl IntoIterator<Item = &'p [u8]>,
    ) -> (Vec<Vec<Vec<u8>>>, Option<ProtocolError>) {
        let (mut parser, mut buffer, mut args) = (Parser::default(), Vec::new(), Vec::new());
        let mut requests = Vec::new();
        for piece in pieces {
            buffer.extend_from_slice(piece);
            loop {
                match parser.step(&buffer, &mut args, &LIMITS) {
                    Ok(Step::Incomplete) => break,
                    Ok(Step::Inline(words)) => requests.push(words),
                    Ok(Step::Request) => {
                        let words =
                            args.drain(..).map(|range: Range<usize>| buffer[range].to_vec());
                        requests.push(words.collect());
                    }
                    Err(error) => return (requests, Some(error)),
                }
            }
        }
        (requests, None)
    }

    fn error_of(stream: &[u8]) -> String {
        parse([stream]).1.map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn pipelined_and_inline_requests_are_found() {
        let (requests, error) =
            parse([&b"*1\r\n$4\r\nPING\r\nset a b\r\n\r\n*0\r\n*-1\r\nget a\n"[..]]);
        assert_eq!(error, None);
        let words =
            |words: &[&str]| words.iter().map(|w| w.as_bytes().to_vec()).collect::<Vec<_>>();
        assert_eq!(requests, [words(&["PING"]), words(&["set", "a", "b"]), words(&["get", "a"])]);
    }

    #[test]
    fn errors_have_redis_own_texts() {
        let cases: [(&[u8], &str); 9] = [
            (b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n", "expected '$', got 'f'"),
            (b"*20000000000\r\n", "invalid multibulk length"),
            (b"*a\r\n", "invalid multibulk length"),
            (b"*1\r\n$-10\r\n", "invalid bulk length"),
            (b"*1\r\n$2000000000\r\n", "invalid bulk length"),
            (b"*1\r\n$blabla\r\n", "invalid bulk length"),
            (b"set \"a b\r\n", "unbalanced quotes in request"),
            (b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\n+5\r\n", "expected '$', got '+'"),
            (b"*01\r\n", "invalid multibulk length"),
        ];
        for (stream, text) in cases {
            assert_eq!(error_of(stream), format!("Protocol error: {text}"));
        }
    }

    #[test]
    fn lines_without_end_are_refused_at_64_kib() {
        for (start, text) in [
            (&b"\0"[..], "too big inline request"),
            (b"*\0", "too big mbulk count string"),
            (b"*1\r\n$\0", "too big bulk count string"),
        ] {
            let mut stream = start.to_vec();
            stream.resize(start.len() + LINE_BYTES_MAX + 1, b'A');
            assert_eq!(error_of(&stream), format!("Protocol error: {text}"));
            stream.truncate(LINE_BYTES_MAX);
            assert_eq!(error_of(&stream), "");
        }
    }

    #[test]
    fn a_declared_length_takes_no_memory() {
        let (mut parser, mut args) = (Parser::default(), Vec::new());
        let step = parser.step(b"*1000000000\r\n$500000000\r\nabc", &mut args, &LIMITS);
        assert_eq!(step, Ok(Step::Incomplete));
        assert_eq!(args.capacity(), 0);
    }

    fn streams() -> impl Strategy<Value = Vec<u8>> {
        let word = proptest::collection::vec(any::<u8>(), 0..30);
        let request = proptest::collection::vec(word, 0..5).prop_map(|words| {
            let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
            for word in words {
                bytes.extend(format!("${}\r\n", word.len()).bytes());
                bytes.extend(word);
                bytes.extend(b"\r\n");
            }
            bytes
        });
        let line = "[a-z\"'\\\\ ]{0,12}\r?\n".prop_map(String::into_bytes);
        let noise = proptest::collection::vec(any::<u8>(), 0..8);
        let part = prop_oneof![8 => request, 2 => line, 1 => noise];
        proptest::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn p1_any_split_gives_the_same_requests(
            stream in streams(),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..10),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let whole = parse([&stream[..]]);
            prop_assert_eq!(&parse(cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]])), &whole);
            prop_assert_eq!(&parse(stream.chunks(1)), &whole);
        }
    }
}
