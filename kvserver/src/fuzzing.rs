//! A door for fuzzers: any bytes, as a client sends them.
//!
//! Not part of the API: there with the feature `fuzzing`, and in this crate's own tests.

use crate::resp::{Limits, Parser, ProtocolError, Step};

type Requests = (Vec<Vec<Vec<u8>>>, Option<ProtocolError>);

const LIMITS: Limits = Limits { args_max: 1_024, bulk_len_max: 1 << 20, authenticated: true };

/// A stream, whole and in pieces of the length that its first byte says: the requests and the error
/// must be the same.
pub fn resp(bytes: &[u8]) {
    let Some((len, stream)) = bytes.split_first() else { return };
    let pieces = stream.chunks(usize::from(*len) + 1);
    assert_eq!(parse(std::iter::once(stream)), parse(pieces));
}

fn parse<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Requests {
    let (mut parser, mut buffer, mut args) = (Parser::default(), Vec::new(), Vec::new());
    let mut requests = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match parser.step(&buffer, &mut args, &LIMITS) {
                Ok(Step::Request) => {
                    requests.push(args.drain(..).map(|at| buffer[at].to_vec()).collect());
                }
                Ok(Step::Inline(words)) => requests.push(words),
                Ok(Step::Incomplete) => break,
                Err(e) => return (requests, Some(e)),
            }
        }
    }
    (requests, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_stream_that_is_nearly_right_panics_or_depends_on_its_pieces() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let words =
            ["*", "$", "2", "-1", "\r\n", "\n", "\"", "'", "\\x4", "GET", " ", "\0", "9999999"];
        let whole = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
        let rounds = 20_000;
        for _ in 0..rounds {
            let mut bytes = vec![rng.u8(..)];
            for _ in 0..rng.usize(..12) {
                let word = if rng.u8(..4) == 0 { whole } else { words[rng.usize(..words.len())] };
                bytes.extend_from_slice(word.as_bytes());
            }
            resp(&bytes);
        }
        assert_eq!(parse(std::iter::once(whole.as_bytes())).0.len(), 1);
    }
}
