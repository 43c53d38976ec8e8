//! What LMPOP, ZMPOP and those that wait like them are asked for.

use super::{Args, CommandError, above_zero, counted_keys};

/// The arguments after the name, or the timeout: `numkeys key [key …] end [COUNT count]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ManyPop<'a, E> {
    pub(crate) keys: Args<'a>,
    pub(crate) end: E,
    pub(crate) count: u64,
}

impl<'a, E> ManyPop<'a, E> {
    pub(crate) fn parse(
        args: Args<'a>,
        end: impl FnOnce(&[u8]) -> Result<E, CommandError>,
    ) -> Result<Self, CommandError> {
        let (keys, rest) = counted_keys(args)?;
        let (word, rest) = rest.split_first().ok_or(CommandError::Syntax)?;
        Ok(ManyPop { keys, end: end(word)?, count: pop_count(rest)? })
    }
}

/// `[COUNT count]`; the count is read before it is seen that something follows it.
fn pop_count(words: Args<'_>) -> Result<u64, CommandError> {
    let [word, count, rest @ ..] = words else {
        return if words.is_empty() { Ok(1) } else { Err(CommandError::Syntax) };
    };
    if !word.eq_ignore_ascii_case(b"COUNT") {
        return Err(CommandError::Syntax);
    }
    let count = above_zero(count, "ERR count should be greater than 0")?;
    if rest.is_empty() { Ok(count) } else { Err(CommandError::Syntax) }
}
