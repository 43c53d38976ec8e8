//! How many elements HRANDFIELD, SRANDMEMBER and ZRANDMEMBER shall draw.

use super::{CommandError, integer_within};

/// What to draw: the sign of the count says whether an element may come twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Draw {
    /// Up to so many, none twice.
    Distinct(u64),
    /// Exactly so many, each drawn from all.
    Repeated(u64),
}

/// Reads the count of a draw. Each element may take several replies (field and value), which must
/// not overflow what a reply can say either.
pub(crate) fn draw_count(text: &[u8], replies_each: i64) -> Result<Draw, CommandError> {
    let count = integer_within(text, -i64::MAX, i64::MAX)?;
    if count.abs() > i64::MAX / replies_each {
        return Err(CommandError::text("ERR value is out of range"));
    }
    let many = count.unsigned_abs();
    Ok(if count < 0 { Draw::Repeated(many) } else { Draw::Distinct(many) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sign_of_a_count_says_whether_elements_repeat() {
        assert_eq!(draw_count(b"3", 1).unwrap(), Draw::Distinct(3));
        assert_eq!(draw_count(b"0", 1).unwrap(), Draw::Distinct(0));
        assert_eq!(draw_count(b"-3", 2).unwrap(), Draw::Repeated(3));
    }

    #[test]
    fn counts_that_overflow_a_reply_are_out_of_range() {
        let min = draw_count(b"-9223372036854775808", 1).unwrap_err().to_string();
        assert!(min.starts_with("ERR value is out of range, value must between"), "{min}");
        assert!(draw_count(b"9223372036854775807", 1).is_ok());
        for text in [&b"9223372036854775807"[..], b"-9223372036854775807"] {
            let error = draw_count(text, 2).unwrap_err().to_string();
            assert_eq!(error, "ERR value is out of range");
        }
    }
}
