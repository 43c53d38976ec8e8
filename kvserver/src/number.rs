//! Numbers in commands: strict signed integers, and the decimal length they print with.
//!
//! Pure functions over bytes. Does not know replies or error texts: `None` is "not such a number".

/// Longest text of an `i64`: a sign and nineteen digits.
const I64_TEXT_LEN_MAX: usize = 20;

/// Parses an integer exactly as it prints: no sign `+`, no `-0`, no leading zeros or spaces.
///
/// So for every accepted text, printing the result gives the text back.
pub(crate) fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if text.len() <= I64_TEXT_LEN_MAX => {}
        _ => return None,
    }
    // Negative throughout: the range below zero is the larger one.
    let mut value: i64 = 0;
    for digit in digits {
        let digit = digit.is_ascii_digit().then(|| i64::from(digit - b'0'))?;
        value = value.checked_mul(10)?.checked_sub(digit)?;
    }
    if negative { Some(value) } else { value.checked_neg() }
}

/// Parses digits into a `u64`; leading zeros are fine, a sign is not.
pub(crate) fn parse_u64(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_accepted_exactly_as_they_print() {
        for value in [0, 1, -1, 9, 10, 99, i64::from(u32::MAX), i64::MAX, i64::MIN, i64::MIN + 1] {
            assert_eq!(parse_i64(value.to_string().as_bytes()), Some(value));
        }
    }

    #[test]
    fn other_spellings_of_integers_are_refused() {
        let refused = [
            "",
            "-",
            "+1",
            "-0",
            "00",
            "01",
            "-01",
            " 1",
            "1 ",
            "1.0",
            "0x1",
            "1e3",
            "a",
            "1a",
            "9223372036854775808",
            "-9223372036854775809",
            "18446744073709551616",
            "10000000000000000000000000000",
            "--1",
        ];
        for text in refused {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(parse_i64(b"1\0"), None);
    }

    #[test]
    fn unsigned_integers_are_digits_within_range() {
        assert_eq!(parse_u64(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_u64(b"007"), Some(7));
        for text in ["", "-1", "+1", "1 ", "18446744073709551616"] {
            assert_eq!(parse_u64(text.as_bytes()), None, "{text:?}");
        }
    }
}
