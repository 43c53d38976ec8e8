//! Floating point as `INCRBYFLOAT` computes it: the 80-bit extended format of x87 processors.
//!
//! Clients see that format in every last digit: 0.1 plus 0.2 is `0.3`, because 64 bits of mantissa
//! rounded to 17 decimals hide the error that 53 bits show. Rust has no such type, so the three
//! operations needed (parse, add, print) are done exactly on big integers and rounded once.
//! Does not know replies, keys or any other arithmetic.
//!
//! # Invariants
//!
//! F1. Every operation is rounded once, to nearest, ties to even, as the hardware does.
//! F2. Text is limited to [`TEXT_LEN_MAX`] bytes and exponents are bounded before any power is
//!     computed, so the work is bounded whatever a client sends.

use num_bigint::{BigInt, BigUint, Sign};

/// Longest number accepted (and more than the longest printed: 4,933 digits, a point, 17 decimals).
pub(crate) const TEXT_LEN_MAX: usize = 5 * 1024 - 1;
/// Bits of a mantissa.
const MANTISSA_BITS: i64 = 64;
/// Exponent of the smallest subnormal number, 2^-16445.
const EXPONENT_MIN: i64 = -16_445;
/// Finite numbers are below two to this power.
const MAGNITUDE_BITS_MAX: i64 = 16_384;
/// Decimals printed before trailing zeros go.
const DECIMALS: usize = 17;
/// Decimal magnitudes that are certainly infinite or zero, with room to spare.
const DECIMAL_MAGNITUDE_MAX: i64 = 5_000;

/// A number in extended precision; never "not a number".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LongDouble {
    /// `(-1)^negative * mantissa * 2^exponent`.
    Finite {
        /// Below zero, or the zero that prints like any other.
        negative: bool,
        /// At most 64 bits, not necessarily normalised.
        mantissa: u64,
        /// Power of two, at least -16445.
        exponent: i64,
    },
    /// Written as `inf`.
    Infinite,
}

impl LongDouble {
    /// Zero.
    pub(crate) const ZERO: LongDouble =
        LongDouble::Finite { negative: false, mantissa: 0, exponent: 0 };

    /// Parses what C's `strtold` takes, whole and without leading space: decimal or hexadecimal
    /// with optional exponent, or infinity. `None` also for what is out of its range.
    pub(crate) fn parse(text: &[u8]) -> Option<LongDouble> {
        if text.len() > TEXT_LEN_MAX {
            return None;
        }
        let (negative, digits) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        if digits.eq_ignore_ascii_case(b"inf") || digits.eq_ignore_ascii_case(b"infinity") {
            return Some(LongDouble::Infinite);
        }
        let number = match digits {
            [b'0', b'x' | b'X', rest @ ..] => Written::parse(rest, Radix::Hexadecimal)?,
            _ => Written::parse(digits, Radix::Decimal)?,
        };
        number.round(negative)
    }

    /// The sum, rounded; `None` if it is infinite or not a number.
    pub(crate) fn checked_add(&self, other: &LongDouble) -> Option<LongDouble> {
        let (Some((a, a_exponent)), Some((b, b_exponent))) = (self.parts(), other.parts()) else {
            return None;
        };
        let exponent = a_exponent.min(b_exponent);
        let aligned = |n: BigInt, from: i64| n << from.abs_diff(exponent);
        let (sign, sum) = (aligned(a, a_exponent) + aligned(b, b_exponent)).into_parts();
        if sign == Sign::NoSign {
            return Some(LongDouble::ZERO);
        }
        round(sign == Sign::Minus, &sum, exponent, Remainder::Zero)
    }

    /// The number without exponent, 17 decimals at most, no trailing zeros, no negative zero.
    pub(crate) fn to_text(&self) -> String {
        let &LongDouble::Finite { negative, mantissa, exponent } = self else {
            return "inf".to_owned();
        };
        let decimals = u32::try_from(DECIMALS).expect("17 fits u32");
        let scaled = BigUint::from(mantissa) * BigUint::from(10u32).pow(decimals);
        let scaled = if exponent >= 0 {
            scaled << exponent.unsigned_abs()
        } else {
            shift_right_rounded(&scaled, exponent.unsigned_abs(), Remainder::Zero)
        };
        let mut text = format!("{:0>width$}", scaled.to_string(), width = DECIMALS + 1);
        text.insert(text.len() - DECIMALS, '.');
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
        if negative && text != "0" {
            text.insert(0, '-');
        }
        text
    }

    fn parts(&self) -> Option<(BigInt, i64)> {
        match *self {
            LongDouble::Infinite => None,
            LongDouble::Finite { negative, mantissa, exponent } => {
                let magnitude = BigInt::from(mantissa);
                Some((if negative { -magnitude } else { magnitude }, exponent))
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Radix {
    Decimal,
    Hexadecimal,
}

/// A number as written: `digits * 10^exponent`, or `digits * 2^exponent` in hexadecimal.
struct Written {
    digits: BigUint,
    exponent: i64,
    radix: Radix,
}

impl Written {
    fn parse(text: &[u8], radix: Radix) -> Option<Written> {
        let (base, bits_per_digit, marker) = match radix {
            Radix::Decimal => (10, 1, b'e'),
            Radix::Hexadecimal => (16, 4, b'p'),
        };
        let end = text.iter().position(|b| b.to_ascii_lowercase() == marker);
        let (number, exponent) = match end {
            Some(at) => (&text[..at], parse_exponent(&text[at + 1..])?),
            None => (text, 0),
        };
        let point = number.iter().position(|&b| b == b'.').unwrap_or(number.len());
        let fraction = number.get(point + 1..).unwrap_or_default();
        let all = [&number[..point], fraction].concat();
        // The library would let underscores pass between digits.
        if all.is_empty() || !all.iter().all(|&b| char::from(b).is_digit(base)) {
            return None;
        }
        let fraction_len = i64::try_from(fraction.len()).ok()?;
        Some(Written {
            digits: BigUint::parse_bytes(&all, base)?,
            exponent: exponent.saturating_sub(fraction_len * bits_per_digit),
            radix,
        })
    }

    fn round(&self, negative: bool) -> Option<LongDouble> {
        if self.digits == BigUint::ZERO {
            return Some(LongDouble::Finite { negative, mantissa: 0, exponent: 0 });
        }
        match self.radix {
            Radix::Decimal => self.round_decimal(negative),
            Radix::Hexadecimal => {
                let exponent = self.exponent.clamp(-1 << 20, 1 << 20);
                nonzero(round(negative, &self.digits, exponent, Remainder::Zero)?)
            }
        }
    }

    fn round_decimal(&self, negative: bool) -> Option<LongDouble> {
        let magnitude = self.exponent.saturating_add(decimal_len(&self.digits));
        if magnitude.abs() > DECIMAL_MAGNITUDE_MAX {
            return None;
        }
        let power = BigUint::from(10u32).pow(u32::try_from(self.exponent.unsigned_abs()).ok()?);
        if self.exponent >= 0 {
            return round(negative, &(&self.digits * power), 0, Remainder::Zero);
        }
        // Two bits more than a mantissa, so that what division leaves only breaks ties.
        let shift = (power.bits() + 66).saturating_sub(self.digits.bits());
        let scaled = &self.digits << shift;
        let quotient = &scaled / &power;
        let exact = &quotient * &power == scaled;
        let remainder = if exact { Remainder::Zero } else { Remainder::BelowLastBit };
        nonzero(round(negative, &quotient, -i64::try_from(shift).ok()?, remainder)?)
    }
}

/// About how many decimal digits a number has: at most one off per thousand.
fn decimal_len(n: &BigUint) -> i64 {
    // 1233 / 4096 is just above the logarithm of two.
    i64::try_from(n.bits() * 1_233 / 4_096 + 1).expect("the text it came from is short")
}

fn nonzero(number: LongDouble) -> Option<LongDouble> {
    let vanished = matches!(number, LongDouble::Finite { mantissa: 0, .. });
    (!vanished).then_some(number)
}

/// Digits with an optional sign, saturating far outside what can be represented.
fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0i64, |value, digit| {
        value.saturating_mul(10).saturating_add(i64::from(digit - b'0'))
    });
    Some(if negative { -value } else { value })
}

/// What an earlier step cut off below the last bit.
#[derive(Clone, Copy, PartialEq)]
enum Remainder {
    Zero,
    BelowLastBit,
}

/// Rounds `magnitude * 2^exponent` to the format; `None` if it is infinite.
fn round(
    negative: bool,
    magnitude: &BigUint,
    exponent: i64,
    remainder: Remainder,
) -> Option<LongDouble> {
    let bits = i64::try_from(magnitude.bits()).ok()?;
    let cut = (bits - MANTISSA_BITS).max(EXPONENT_MIN - exponent).max(0);
    let (mut kept, mut exponent) = (magnitude.clone(), exponent);
    if cut > 0 {
        kept = shift_right_rounded(magnitude, cut.unsigned_abs(), remainder);
        exponent += cut;
    }
    if i64::try_from(kept.bits()).ok()? > MANTISSA_BITS {
        // Rounded up to 2^64: a power of two, nothing is lost.
        kept >>= 1u32;
        exponent += 1;
    }
    if i64::try_from(kept.bits()).ok()? + exponent > MAGNITUDE_BITS_MAX {
        return None;
    }
    Some(LongDouble::Finite { negative, mantissa: u64::try_from(&kept).ok()?, exponent })
}

/// `n / 2^by`, to nearest, ties to even; `remainder` is what `n` already lacks.
fn shift_right_rounded(n: &BigUint, by: u64, remainder: Remainder) -> BigUint {
    let quotient = n >> by;
    let half = n.bit(by - 1);
    let below_half =
        remainder == Remainder::BelowLastBit || n.trailing_zeros().is_some_and(|z| z < by - 1);
    if half && (below_half || quotient.bit(0)) { quotient + 1u32 } else { quotient }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(number: &str) -> Option<String> {
        LongDouble::parse(number.as_bytes()).map(|n| n.to_text())
    }

    fn sum(a: &str, b: &str) -> Option<String> {
        let parse = |s: &str| LongDouble::parse(s.as_bytes()).expect("a number");
        parse(a).checked_add(&parse(b)).map(|n| n.to_text())
    }

    #[test]
    fn sums_print_as_the_reference_server_prints_them() {
        for (a, b, expected) in [
            ("0.1", "0.2", "0.3"),
            ("1.5", "1.5", "3"),
            ("1", "-1.1", "-0.1"),
            ("10.50", "0.1", "10.6"),
            ("5.0e3", "2.0e2", "5200"),
            ("17179869184", "1.5", "17179869185.5"),
            ("9223372036854775807", "1", "9223372036854775808"),
            ("3.0", "1.1", "4.1"),
            ("0.024390243902439025", "-0.024390243902439025", "0"),
            ("1e17", "0.1", "100000000000000000.1015625"),
        ] {
            assert_eq!(sum(a, b).as_deref(), Some(expected), "{a} + {b}");
        }
    }

    #[test]
    fn f1_every_digit_is_that_of_a_64_bit_mantissa() {
        // 0.1 as mantissa 0xCCCCCCCCCCCCCCCD * 2^-67.
        assert_eq!(
            LongDouble::parse(b"0.1"),
            Some(LongDouble::Finite {
                negative: false,
                mantissa: 0xCCCC_CCCC_CCCC_CCCD,
                exponent: -67
            })
        );
        // 2^64 + 1 is a tie, to even; 2^64 + 3 is one too.
        assert_eq!(text("18446744073709551617").as_deref(), Some("18446744073709551616"));
        assert_eq!(text("18446744073709551619").as_deref(), Some("18446744073709551620"));
        assert_eq!(sum("18446744073709551615", "0.5").as_deref(), Some("18446744073709551616"));
        assert_eq!(sum("18446744073709551614", "0.5").as_deref(), Some("18446744073709551614"));
    }

    #[test]
    fn numbers_print_without_exponent_trailing_zeros_or_negative_zero() {
        for (number, expected) in [
            ("0", "0"),
            ("-0", "0"),
            ("-0.0", "0"),
            ("1e-30", "0"),
            ("-1e-30", "0"),
            ("1.0", "1"),
            ("100", "100"),
            ("1.10", "1.1"),
            ("+1.5", "1.5"),
            (".5", "0.5"),
            ("5.", "5"),
            ("1e3", "1000"),
            ("1E+3", "1000"),
            ("125e-3", "0.125"),
            ("0x10", "16"),
            ("0x1e", "30"),
            ("0x1.8p1", "3"),
            ("-0X.8P0", "-0.5"),
            ("inf", "inf"),
            ("0e999999999999999999999", "0"),
            ("0.000000000000000005", "0"),
            ("0.000000000000000006", "0.00000000000000001"),
        ] {
            assert_eq!(text(number).as_deref(), Some(expected), "{number}");
        }
    }

    #[test]
    fn what_is_not_a_number_is_refused() {
        for number in [
            "", " 1", "1 ", "abc", "1.2.3", "1e", "1e+", "--1", "+-1", ".", "-", "0x", "0xg",
            "0x1p", "nan", "NaN", "1_000", "1\0", "infin", "1e1.5", "e5",
        ] {
            assert_eq!(text(number), None, "{number:?}");
        }
    }

    #[test]
    fn what_cannot_be_represented_is_refused() {
        for number in ["1e4933", "-1e99999", "1e-5000", "1e-99999999999999999999", "0x1p16384"] {
            assert_eq!(text(number), None, "{number}");
        }
        assert!(text("1.18e4932").is_some());
        assert!(LongDouble::parse(b"3.7e-4951").is_some());
        assert_eq!(text("0x1p-16446"), None);
        assert!(LongDouble::parse(b"0x1p-16445").is_some());
    }

    #[test]
    fn infinite_sums_are_none() {
        assert_eq!(sum("inf", "1"), None);
        assert_eq!(sum("1", "-inf"), None);
        assert_eq!(sum("1.18e4932", "1.18e4932"), None);
    }

    #[test]
    fn f2_longest_text_is_handled_and_longer_refused() {
        let long = format!("0.{}1", "0".repeat(TEXT_LEN_MAX - 3));
        assert_eq!(text(&long), None, "vanishes");
        assert_eq!(text(&format!("{long}1")), None, "too long");
        let many = format!("1{}", "3".repeat(4_900));
        assert_eq!(text(&many).map(|t| t.len()), Some(4_901));
    }

    #[test]
    fn doubles_survive_the_way_through_text() {
        let seed = 0x5eed_f10a;
        println!("seed {seed:#x}");
        let mut rng = fastrand::Rng::with_seed(seed);
        for _ in 0..2_000 {
            let value = (rng.f64() - 0.5) * 10f64.powi(rng.i32(0..30));
            let back = text(&format!("{value:.17}")).expect("a number");
            let parsed: f64 = back.parse().expect("prints as a number");
            assert!((parsed - value).abs() <= value.abs() * 1e-15 + 1e-17, "{value} {back}");
        }
    }
}
