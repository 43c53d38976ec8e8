//! Splits a line typed by hand into arguments, with the quotes and escapes redis-cli knows.

/// A quote that is not closed, or that is not followed by a space.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unbalanced;

/// Splits `line`, which has no line end.
///
/// `"…"` knows `\xHH` and the escapes n, r, t, b, a; `'…'` knows only `\'`.
pub(super) fn split(line: &[u8]) -> Result<Vec<Vec<u8>>, Unbalanced> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return Ok(words);
        }
        let mut word = Vec::new();
        rest = take_word(rest, &mut word)?;
        words.push(word);
    }
}

fn take_word<'l>(mut rest: &'l [u8], word: &mut Vec<u8>) -> Result<&'l [u8], Unbalanced> {
    loop {
        match rest {
            [] => return Ok(rest),
            [b'"', tail @ ..] => return closed(take_double_quoted(tail, word)?),
            [b'\'', tail @ ..] => return closed(take_single_quoted(tail, word)?),
            [byte, ..] if byte.is_ascii_whitespace() || *byte == 0 => return Ok(&rest[1..]),
            [byte, tail @ ..] => {
                word.push(*byte);
                rest = tail;
            }
        }
    }
}

/// A closing quote must end the word.
fn closed(rest: &[u8]) -> Result<&[u8], Unbalanced> {
    match rest.first() {
        Some(byte) if !byte.is_ascii_whitespace() => Err(Unbalanced),
        _ => Ok(rest),
    }
}

fn take_double_quoted<'l>(mut rest: &'l [u8], word: &mut Vec<u8>) -> Result<&'l [u8], Unbalanced> {
    loop {
        match rest {
            [] => return Err(Unbalanced),
            [b'"', tail @ ..] => return Ok(tail),
            [b'\\', b'x', high, low, tail @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                word.push(nibble(*high) << 4 | nibble(*low));
                rest = tail;
            }
            [b'\\', escaped, tail @ ..] => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                rest = tail;
            }
            [byte, tail @ ..] => {
                word.push(*byte);
                rest = tail;
            }
        }
    }
}

fn take_single_quoted<'l>(mut rest: &'l [u8], word: &mut Vec<u8>) -> Result<&'l [u8], Unbalanced> {
    loop {
        match rest {
            [] => return Err(Unbalanced),
            [b'\'', tail @ ..] => return Ok(tail),
            [b'\\', b'\'', tail @ ..] => {
                word.push(b'\'');
                rest = tail;
            }
            [byte, tail @ ..] => {
                word.push(*byte);
                rest = tail;
            }
        }
    }
}

fn nibble(hex: u8) -> u8 {
    match hex {
        b'0'..=b'9' => hex - b'0',
        _ => (hex | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Vec<String>, Unbalanced> {
        let words = split(line.as_bytes())?;
        Ok(words.into_iter().map(|word| String::from_utf8(word).unwrap()).collect())
    }

    #[test]
    fn quotes_and_escapes_are_understood() {
        assert_eq!(words("  set  a b ").unwrap(), ["set", "a", "b"]);
        assert_eq!(words(r#"set "a b" 'c\'d' "\x41\n""#).unwrap(), ["set", "a b", "c'd", "A\n"]);
        assert_eq!(words(r#"a """#).unwrap(), ["a", ""]);
        assert_eq!(words("").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn unbalanced_quotes_are_refused() {
        for line in [r#"a "b"#, "a 'b", r#"a "b"c"#, r#""\"#] {
            assert_eq!(words(line), Err(Unbalanced), "{line}");
        }
    }
}
