//! CLIENT PAUSE and CLIENT UNPAUSE.

use super::super::{CommandError, Outcome};
use crate::background::expire_now;
use crate::context::Context;
use crate::number::parse_i64;
use crate::pause::Paused;

/// `CLIENT PAUSE milliseconds [WRITE | ALL]`
pub(super) fn pause(ctx: &mut Context<'_>) -> Outcome {
    let paused = match &ctx.args[3..] {
        [] => Paused::All,
        [mode] if mode.eq_ignore_ascii_case(b"all") => Paused::All,
        [mode] if mode.eq_ignore_ascii_case(b"write") => Paused::Writes,
        [_] => return Err(CommandError::text("ERR CLIENT PAUSE mode must be WRITE or ALL")),
        _ => {
            return Err(CommandError::text(
                "ERR unknown subcommand or wrong number of arguments for 'PAUSE'. Try CLIENT HELP.",
            ));
        }
    };
    let timeout_ms = parse_i64(ctx.args[2])
        .ok_or(CommandError::text("ERR timeout is not an integer or out of range"))?;
    let timeout_ms =
        u64::try_from(timeout_ms).map_err(|_| CommandError::text("ERR timeout is negative"))?;
    let until_ms = ctx.now_ms.saturating_add(timeout_ms);
    ctx.server.pause.begin(paused, until_ms, ctx.now_ms);
    ctx.reply.ok();
    Ok(())
}

/// Keys whose time has come meanwhile go with the pause.
pub(super) fn unpause(ctx: &mut Context<'_>) -> Outcome {
    ctx.server.pause.end();
    expire_now(ctx.server, ctx.data)?;
    ctx.server.wake_workers();
    ctx.reply.ok();
    Ok(())
}
