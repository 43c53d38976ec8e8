//! DEBUG PROTOCOL: one reply of each type, for those who write clients.

use crate::command::{CommandError, Outcome};
use crate::context::Context;
use crate::resp::Protocol;

/// `DEBUG PROTOCOL type`
pub(super) fn protocol(ctx: &mut Context<'_>) -> Outcome {
    let protocol = ctx.client.protocol;
    let reply = &mut ctx.reply;
    let name = String::from_utf8_lossy(ctx.args[2]).to_ascii_lowercase();
    match name.as_str() {
        "string" => reply.bulk(b"Hello World"),
        "integer" => reply.integer(12_345),
        "double" => reply.double_text("3.141"),
        "null" => reply.null(),
        "array" => {
            reply.array(3);
            (0..3).for_each(|n| reply.integer(n));
        }
        "set" => {
            reply.set(3);
            (0..3).for_each(|n| reply.integer(n));
        }
        "map" => {
            reply.map(3);
            for n in 0..3 {
                reply.integer(n);
                reply.boolean(n == 1);
            }
        }
        "attrib" => {
            if protocol == Protocol::Resp3 {
                reply.attribute(1);
                reply.bulk(b"key-popularity");
                reply.array(2);
                reply.bulk(b"key:123");
                reply.integer(90);
            }
            reply.bulk(b"Some real reply following the attribute");
        }
        "push" => {
            if protocol == Protocol::Resp2 {
                return Err(CommandError::text("ERR RESP2 is not supported by this command"));
            }
            reply.push(2);
            reply.bulk(b"server-cpu-usage");
            reply.integer(42);
            // A push answers nothing.
            reply.bulk(b"Some real reply following the push reply");
        }
        "verbatim" => reply.verbatim("This is a verbatim\nstring"),
        "true" => reply.boolean(true),
        "false" => reply.boolean(false),
        "bignum" => reply.big_number("1234567999999999999999999999999999999"),
        _ => {
            return Err(CommandError::text(
                "ERR Wrong protocol type name. Please use one of the following: \
                 string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
            ));
        }
    }
    Ok(())
}
