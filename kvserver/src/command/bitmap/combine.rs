//! Strings combined bit by bit: BITOP.

use crate::command::string::read;
use crate::command::{CommandError, Outcome, check_key};
use crate::context::Context;
use crate::data::{Class, Expiry, Stored, Type};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    And,
    Or,
    Xor,
    Not,
}

impl Operation {
    fn parse(text: &[u8]) -> Result<Self, CommandError> {
        const NAMES: [(&str, Operation); 4] = [
            ("AND", Operation::And),
            ("OR", Operation::Or),
            ("XOR", Operation::Xor),
            ("NOT", Operation::Not),
        ];
        let is = |(name, _): &&(&str, Operation)| text.eq_ignore_ascii_case(name.as_bytes());
        NAMES.iter().find(is).map(|(_, operation)| *operation).ok_or(CommandError::Syntax)
    }
    /// Joins `other`, and zeros behind its end, into `bytes`, which is as long at least.
    fn join(self, bytes: &mut [u8], other: &[u8]) {
        let (both, rest) = bytes.split_at_mut(other.len().min(bytes.len()));
        let pairs = both.iter_mut().zip(other);
        match self {
            Operation::And => {
                pairs.for_each(|(byte, other)| *byte &= other);
                rest.fill(0);
            }
            Operation::Or => pairs.for_each(|(byte, other)| *byte |= other),
            Operation::Xor => pairs.for_each(|(byte, other)| *byte ^= other),
            Operation::Not => {}
        }
    }
}

/// `BITOP <AND | OR | XOR | NOT> destkey key [key …]`
pub(super) fn bitop(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let operation = Operation::parse(args[1])?;
    let (target, sources) = (args[2], &args[3..]);
    if operation == Operation::Not && sources.len() != 1 {
        return Err(CommandError::text("ERR BITOP NOT must be called with a single source key."));
    }
    check_key(target)?;
    let mut found = Vec::with_capacity(sources.len());
    for source in sources {
        found.push(read(ctx, source)?);
    }
    let mut strings = found.iter().map(|s| s.as_ref().map(Stored::payload).unwrap_or_default());
    let len = strings.clone().map(<[u8]>::len).max().unwrap_or(0);
    let first = strings.next().unwrap_or_default();
    let mut db = ctx.db();
    if len > 0 {
        db.put_edited(target, Type::String, Expiry::None, (first, len), |bytes| {
            strings.for_each(|other| operation.join(bytes, other));
            if operation == Operation::Not {
                bytes.iter_mut().for_each(|byte| *byte = !*byte);
            }
        })?;
        db.tell(Class::String, "set", target);
    } else if db.delete(target)? {
        db.tell(Class::Generic, "del", target);
    }
    ctx.reply.count(u64::try_from(len).unwrap_or(u64::MAX));
    Ok(())
}
