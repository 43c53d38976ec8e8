//! Doubles in commands: as C's `strtod` reads them, and the shortest text that reads back the same.
//!
//! Pure. Does not know replies or error texts.

use crate::long_double::LongDouble;

/// Integers up to here are written as such; every one of them is a double.
const INTEGER_MAX: f64 = 4_503_599_627_370_496.0;

/// Parses a whole text: decimal or hexadecimal, or infinity. `None` for what is not a number, and
/// for what is beyond the range at either end.
pub(crate) fn parse(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let digits = text.trim_start_matches(['+', '-']);
    if text.len() - digits.len() > 1 {
        return None;
    }
    if digits.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("0x")) {
        return parse_hexadecimal(text);
    }
    if digits.eq_ignore_ascii_case("inf") || digits.eq_ignore_ascii_case("infinity") {
        return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY });
    }
    let number: f64 = text.parse().ok()?;
    let mantissa = digits.split(['e', 'E']).next().unwrap_or_default();
    let vanished = number == 0.0 && mantissa.contains(|c: char| ('1'..='9').contains(&c));
    (number.is_finite() && !vanished).then_some(number)
}

/// Parses as the bounds of a range are read: also nothing at all, spaces before a number, what is
/// beyond the range at either end, and whatever follows a NUL.
pub(crate) fn parse_loosely(text: &[u8]) -> Option<f64> {
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    if text.is_empty() {
        return Some(0.0);
    }
    let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    let text = &text[text.iter().take_while(|byte| is_space(byte)).count()..];
    parse(text).or_else(|| {
        let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
        (!number.is_nan()).then_some(number)
    })
}

fn parse_hexadecimal(text: &str) -> Option<f64> {
    match LongDouble::parse(text.as_bytes())? {
        LongDouble::Infinite => None,
        LongDouble::Finite { negative, mantissa, exponent } => {
            #[expect(clippy::cast_precision_loss, reason = "as strtod rounds")]
            let magnitude = mantissa as f64 * 2f64.powi(i32::try_from(exponent).ok()?);
            magnitude.is_finite().then_some(if negative { -magnitude } else { magnitude })
        }
    }
}

/// The shortest text that reads back the same: integers plain, very large and small ones with an
/// exponent.
pub(crate) fn to_text(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    if number.fract() == 0.0 && number.abs() < INTEGER_MAX {
        if number == 0.0 && number.is_sign_negative() {
            return "-0".to_owned();
        }
        #[expect(clippy::cast_possible_truncation, reason = "an integer of less than 53 bits")]
        let integer = number as i64;
        return integer.to_string();
    }
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let sign = if mantissa.starts_with('-') { "-" } else { "" };
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let exponent: i64 = exponent.parse().unwrap_or(0);
    let len = i64::try_from(digits.len()).unwrap_or(0);
    // The number is digits * 10^tail.
    let tail = exponent - (len - 1);
    let is_plain_integer = tail >= 0 && exponent.abs() < len + 7;
    let is_plain_fraction = tail < 0 && (tail > -7 || exponent.abs() < 4);
    if is_plain_integer || is_plain_fraction {
        return format!("{number}");
    }
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let plus = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{first}{point}{rest}e{plus}{}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_written_as_short_as_they_read_back() {
        for (number, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (3.0, "3"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (1e20, "1e+20"),
            (1e-7, "1e-7"),
            (0.001_5, "0.0015"),
            (3.333_333_333_333_333_5, "3.3333333333333335"),
            (1_000_000_000_000_000.0, "1000000000000000"),
            (1.797_693_134_862_315_7e308, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(to_text(number), text);
        }
    }

    #[test]
    fn every_text_reads_back_the_same() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        for _ in 0..10_000 {
            let number = f64::from_bits(rng.u64(..));
            if number.is_finite() {
                assert_eq!(parse(to_text(number).as_bytes()), Some(number));
            }
        }
    }

    #[test]
    fn numbers_are_read_as_c_reads_them_and_nothing_else_is() {
        for (text, number) in [
            ("1", 1.0),
            ("+1", 1.0),
            ("-2.25", -2.25),
            (".5", 0.5),
            ("5.", 5.0),
            ("3.0e2", 300.0),
            ("0x10", 16.0),
            ("inf", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(number), "{text}");
        }
        for text in ["", "nan", " 1", "1 ", "abc", "1e400", "1e-5000", "--1", "1e", "+-1", "1_0"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
