//! DEBUG OBJECT and LISTPACK: what tools that know the reference server's representation ask.

use std::ops::ControlFlow;

use crate::command::generic::encoding;
use crate::command::{CommandError, Outcome};
use crate::context::Context;
use crate::data::{Direction, WHOLE};

/// `DEBUG OBJECT key`: values have no address and share nothing.
pub(super) fn object(ctx: &mut Context<'_>) -> Outcome {
    let key = ctx.args[2];
    let name = encoding::name_at(ctx, key)?.ok_or(CommandError::NoSuchKey)?;
    let len = serialized_len(ctx, key)?;
    let mut text = format!(
        "Value at:0x0 refcount:1 encoding:{name} serializedlength:{len} lru:0 lru_seconds_idle:0"
    );
    if name == "quicklist" {
        let parameters = &ctx.server.parameters;
        let compressed = u8::from(parameters.value("list-compress-depth") != "0");
        let size = parameters.value("list-max-listpack-size");
        text.push_str(&format!(" ql_listpack_max:{size} ql_compressed:{compressed}"));
    }
    ctx.reply.simple(&text);
    Ok(())
}

/// Bytes of names and values.
fn serialized_len(ctx: &mut Context<'_>, key: &[u8]) -> Result<usize, CommandError> {
    let mut db = ctx.db();
    let Some((_, collection)) = db.collection(key)? else { return Ok(0) };
    let Some(collection) = collection else {
        return Ok(db.get(key)?.map_or(0, |stored| stored.payload().len() + 1));
    };
    let mut len = 0usize;
    db.walk(collection, WHOLE, Direction::Ascending, usize::MAX, |seen| {
        len = len.saturating_add(seen.sub().len() + seen.value_with(<[u8]>::len)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(len)
}

/// `DEBUG LISTPACK key`
pub(super) fn listpack(ctx: &mut Context<'_>) -> Outcome {
    match encoding::name_at(ctx, ctx.args[2])?.ok_or(CommandError::NoSuchKey)? {
        "listpack" => ctx.reply.simple("There is nothing to print: only the name is kept here"),
        _ => return Err(CommandError::text("ERR Not a listpack encoded object.")),
    }
    Ok(())
}
