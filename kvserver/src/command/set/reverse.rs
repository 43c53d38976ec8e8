//! Sets by member.

#[cfg(test)]
mod tests;

use crate::command::acl::need_all_keys;
use crate::command::arguments::above_zero;
use crate::command::{CommandError, Outcome};
use crate::context::Context;

const OFF: CommandError = CommandError::text(
    "ERR the reverse index of sets is off; start the server with --set-reverse-index yes",
);

/// `SWITHMEMBER member [COUNT count]`
pub(super) fn swithmember(ctx: &mut Context<'_>) -> Outcome {
    // It tells what sets hold, whatever their keys.
    need_all_keys(ctx)?;
    let args = ctx.args;
    let limit = match &args[2..] {
        [] => usize::MAX,
        [word, count] if word.eq_ignore_ascii_case(b"COUNT") => {
            let count = above_zero(count, "ERR COUNT must be greater than 0")?;
            usize::try_from(count).unwrap_or(usize::MAX)
        }
        _ => return Err(CommandError::Syntax),
    };
    let keys = ctx.db().sets_with(args[1], limit)?.ok_or(OFF)?;
    ctx.reply.set(keys.len());
    keys.iter().for_each(|key| ctx.reply.bulk(key));
    Ok(())
}
