//! Users shown, made, changed, deleted, loaded and saved.

use std::sync::Arc;

use super::super::{CommandError, Outcome};
use crate::access::{Changed, ChannelUse, ChannelsDefault, DEFAULT_USER, Fate, Selector, User};
use crate::context::Context;
use crate::pubsub::Kind;
use crate::resp::Reply;

pub(super) fn whoami(ctx: &mut Context<'_>) -> Outcome {
    let user = ctx.server.access.look_up(&mut ctx.client.login);
    ctx.reply.bulk_or_null(user.as_ref().map(|user| &user.name[..]));
    Ok(())
}

pub(super) fn users(ctx: &mut Context<'_>) -> Outcome {
    let users = ctx.server.access.all();
    ctx.reply.array(users.len());
    users.iter().for_each(|user| ctx.reply.bulk(&user.name));
    Ok(())
}

pub(super) fn list(ctx: &mut Context<'_>) -> Outcome {
    let users = ctx.server.access.all();
    ctx.reply.array(users.len());
    users.iter().for_each(|user| ctx.reply.bulk(&user.line()));
    Ok(())
}

pub(super) fn getuser(ctx: &mut Context<'_>) -> Outcome {
    let Some(user) = ctx.server.access.find(ctx.args[2]) else {
        ctx.reply.null();
        return Ok(());
    };
    let reply = &mut ctx.reply;
    let (flags, passwords) = (user.flags(), user.passwords());
    reply.map(6);
    reply.bulk(b"flags");
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.bulk(flag.as_bytes()));
    reply.bulk(b"passwords");
    reply.array(passwords.len());
    passwords.iter().for_each(|digest| reply.bulk(digest.as_bytes()));
    let mut selectors = user.selectors();
    selectors.next().iter().for_each(|root| show_selector(reply, root));
    reply.bulk(b"selectors");
    reply.array(user.selectors().count() - 1);
    for selector in selectors {
        reply.map(3);
        show_selector(reply, selector);
    }
    Ok(())
}

/// Three fields of a map.
fn show_selector(reply: &mut Reply<'_>, selector: &Selector) {
    for (field, rules) in [
        ("commands", selector.describe_commands().into_bytes()),
        ("keys", selector.describe_keys()),
        ("channels", selector.describe_channels()),
    ] {
        reply.bulk(field.as_bytes());
        reply.bulk(&rules);
    }
}

pub(super) fn setuser(ctx: &mut Context<'_>) -> Outcome {
    let channels = ChannelsDefault::of(&ctx.server.parameters);
    let (name, rules) = (ctx.args[2], &ctx.args[3..]);
    let changed = ctx.server.access.change(name, rules, channels).map_err(CommandError::err)?;
    end_clients(ctx, &[changed]);
    ctx.reply.ok();
    Ok(())
}

pub(super) fn deluser(ctx: &mut Context<'_>) -> Outcome {
    let names = &ctx.args[2..];
    if names.contains(&DEFAULT_USER) {
        return Err(CommandError::text("ERR The 'default' user cannot be removed"));
    }
    let deleted = names.iter().filter_map(|name| ctx.server.access.delete(name));
    let deleted: Vec<Changed> = deleted.collect();
    end_clients(ctx, &deleted);
    ctx.reply.count(u64::try_from(deleted.len()).unwrap_or(u64::MAX));
    Ok(())
}

pub(super) fn load(ctx: &mut Context<'_>) -> Outcome {
    if !ctx.server.access.has_file() {
        return Err(NO_FILE);
    }
    let channels = ChannelsDefault::of(&ctx.server.parameters);
    let changed = ctx.server.access.load(channels).map_err(CommandError::err)?;
    end_clients(ctx, &changed);
    ctx.reply.ok();
    Ok(())
}

/// Waits for the disk, as it is there; who writes waits with it.
pub(super) fn save(ctx: &mut Context<'_>) -> Outcome {
    match ctx.server.access.save() {
        Ok(true) => {
            ctx.reply.ok();
            Ok(())
        }
        Ok(false) => Err(NO_FILE),
        Err(error) => {
            tracing::error!(%error, "cannot save the users");
            Err(CommandError::text(
                "ERR There was an error trying to save the ACLs. Please check the server logs for \
                 more information",
            ))
        }
    }
}

const NO_FILE: CommandError = CommandError::text(
    "ERR This Redis instance is not configured to use an ACL file. You may want to specify users \
     via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis \
     configuration file set) in order to store users in the Redis configuration.",
);

/// Ends the clients whose user is gone, and those that hear what their user may hear no more.
fn end_clients(ctx: &mut Context<'_>, changed: &[Changed]) {
    for Changed { user, fate } in changed {
        match fate {
            Fate::Stay => {}
            Fate::Gone => end_those(ctx, user, |_| true),
            Fate::HearLess => {
                let ids = too_curious(ctx, user);
                end_those(ctx, user, |id| ids.contains(&id));
            }
        }
    }
}

/// Clients, of whatever user, that hear what this one may not.
fn too_curious(ctx: &Context<'_>, user: &User) -> Vec<u64> {
    ctx.server.pubsub.listeners(|kind, name| {
        let used = if kind == Kind::Pattern { ChannelUse::Pattern } else { ChannelUse::Name };
        !user.may_hear(name, used)
    })
}

fn end_those(ctx: &mut Context<'_>, user: &Arc<User>, mut is_meant: impl FnMut(u64) -> bool) {
    for card in ctx.server.clients.cards() {
        if card.is_of(user) && is_meant(card.id) {
            if card.id == ctx.client.id {
                ctx.client.close = true;
            } else {
                ctx.server.kill(&card);
            }
        }
    }
}
