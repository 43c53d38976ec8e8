//! ACL CAT, DRYRUN and GENPASS: what concerns no user there is.

use super::super::arguments::integer;
use super::super::introspection::{ABSENT_CATEGORIES, CATEGORIES, categories};
use super::super::table::{Entry, table};
use super::super::{CommandError, Outcome};
use super::permit::whole_refusal;
use super::unknown_form;
use crate::access::{Request, hex};
use crate::context::Context;

/// Bits of a generated password.
const BITS_DEFAULT: i64 = 256;
const BITS_MAX: i64 = 4096;

/// The entries of the table, subcommands included.
pub(super) fn entries() -> impl Iterator<Item = &'static Entry> {
    table().entries().iter().flat_map(Entry::with_subcommands)
}

pub(super) fn cat(ctx: &mut Context<'_>) -> Outcome {
    let found: Vec<&str> = match ctx.args {
        [_, _] => {
            let is_used = |name: &&&str| entries().any(|entry| categories(entry).contains(*name));
            CATEGORIES.iter().filter(is_used).map(|name| &name[1..]).collect()
        }
        [_, _, name] => {
            let wanted = format!("@{}", String::from_utf8_lossy(name).to_ascii_lowercase());
            let known = || CATEGORIES.iter().chain(&ABSENT_CATEGORIES);
            if !known().any(|name| *name == wanted) {
                let name = String::from_utf8_lossy(name);
                return Err(CommandError::err(format_args!("Unknown category '{name}'")));
            }
            let is_in = |entry: &&Entry| categories(entry).contains(&wanted.as_str());
            entries().filter(is_in).map(|entry| entry.full_name.as_str()).collect()
        }
        _ => return Err(unknown_form("CAT")),
    };
    ctx.reply.array(found.len());
    found.iter().for_each(|name| ctx.reply.bulk(name.as_bytes()));
    Ok(())
}

/// Passwords come from the system: the chance that a request is given can be foretold.
pub(super) fn genpass(ctx: &mut Context<'_>) -> Outcome {
    let bits = match ctx.args {
        [_, _] => BITS_DEFAULT,
        [_, _, bits] => integer(bits)?,
        _ => return Err(unknown_form("GENPASS")),
    };
    let digits = usize::try_from((bits.clamp(0, BITS_MAX) + 3) / 4).unwrap_or(0);
    if digits == 0 || bits > BITS_MAX {
        return Err(CommandError::text(
            "ERR ACL GENPASS argument must be the number of bits for the output password, a \
             positive number up to 4096",
        ));
    }
    let mut bytes = vec![0; digits.div_ceil(2)];
    getrandom::fill(&mut bytes).map_err(CommandError::err)?;
    ctx.reply.bulk(&hex(&bytes).as_bytes()[..digits]);
    Ok(())
}

pub(super) fn dryrun(ctx: &mut Context<'_>) -> Outcome {
    let [_, _, name, request @ ..] = ctx.args else { return Err(CommandError::Syntax) };
    let user = ctx.server.access.find(name).ok_or_else(|| {
        let name = String::from_utf8_lossy(name);
        CommandError::err(format_args!("User '{name}' not found"))
    })?;
    let entry = table().resolve(request[0], request.get(1).copied()).ok_or_else(|| {
        let name = String::from_utf8_lossy(request[0]);
        CommandError::err(format_args!("Command '{name}' not found"))
    })?;
    if !entry.command.accepts(request.len()) {
        return Err(CommandError::Arity(entry.full_name.as_str().into()));
    }
    match user.check(&Request::new(entry, request)) {
        Ok(()) => ctx.reply.ok(),
        Err(denial) => {
            ctx.reply.bulk(whole_refusal(&user, entry, request, denial).as_bytes());
        }
    }
    Ok(())
}
