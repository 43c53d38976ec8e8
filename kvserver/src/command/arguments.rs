//! Arguments that several families read alike: numbers, counts, index ranges, cursors, options.
//!
//! Pure: text in, meaning or error out. Does not know keys or replies.

mod count;
mod indexes;
mod many_pop;
mod scan;

pub(crate) use count::{Draw, draw_count};
pub(crate) use indexes::{Indexes, from_end};
pub(crate) use many_pop::ManyPop;
pub(crate) use scan::{Pattern, ScanOptions, Scanned, cursor};

use super::CommandError;
use crate::number::parse_i64;

/// An integer.
pub(crate) fn integer(text: &[u8]) -> Result<i64, CommandError> {
    parse_i64(text).ok_or(CommandError::NotInteger)
}

/// An integer of this range; the error names the range where it is an integer at all.
pub(crate) fn integer_within(text: &[u8], least: i64, most: i64) -> Result<i64, CommandError> {
    let number = integer(text)?;
    if (least..=most).contains(&number) {
        return Ok(number);
    }
    Err(CommandError::err(format_args!(
        "value is out of range, value must between {least} and {most}"
    )))
}

/// An integer that is not negative; whatever else stands there is one and the same mistake.
pub(crate) fn not_negative(text: &[u8], mistake: &'static str) -> Result<u64, CommandError> {
    let number = parse_i64(text).and_then(|number| u64::try_from(number).ok());
    number.ok_or(CommandError::text(mistake))
}

/// The same, where the reference server has no mistake of its own.
pub(crate) fn positive(text: &[u8]) -> Result<u64, CommandError> {
    not_negative(text, "ERR value is out of range, must be positive")
}

/// An integer above zero; whatever else stands there is one and the same mistake.
pub(crate) fn above_zero(text: &[u8], mistake: &'static str) -> Result<u64, CommandError> {
    let number = parse_i64(text).and_then(|number| u64::try_from(number).ok());
    number.filter(|number| *number > 0).ok_or(CommandError::text(mistake))
}

/// Arguments in a row.
pub(crate) type Args<'a> = &'a [&'a [u8]];

/// Some keys, their number before them, and what follows them.
pub(crate) fn counted_keys<'a>(args: Args<'a>) -> Result<(Args<'a>, Args<'a>), CommandError> {
    let (count, rest) = args.split_first().ok_or(CommandError::Syntax)?;
    let count = above_zero(count, "ERR numkeys should be greater than 0")?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    rest.split_at_checked(count).ok_or(CommandError::Syntax)
}

/// Arguments two by two; an odd number of them is a wrong number of arguments.
pub(crate) fn pairs<'a>(
    args: &'a [&'a [u8]],
    command: &'static str,
) -> Result<&'a [[&'a [u8]; 2]], CommandError> {
    match args.as_chunks::<2>() {
        (pairs, []) => Ok(pairs),
        _ => Err(CommandError::Arity(command.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_outside_a_range_are_told_the_range() {
        assert_eq!(integer_within(b"5", 0, 5).unwrap(), 5);
        let error = integer_within(b"6", 0, 5).unwrap_err().to_string();
        assert_eq!(error, "ERR value is out of range, value must between 0 and 5");
        assert_eq!(Indexes::parse(b"1", b"-2").unwrap().of(5), 1..4);
        let error = integer_within(b"x", 0, 5).unwrap_err().to_string();
        assert_eq!(error, "ERR value is not an integer or out of range");
    }
}
