//! Whether a client may run what it asks for, and what it is told if not.
//!
//! Only clients come here that are not known to be free to do everything; what users may do is the
//! business of [`crate::access`].

use super::failures_max;
use crate::access::{Access, Denial, Failure, Reason, Request, User};
use crate::client::{Buffers, ClientState};
use crate::command::table::{Entry, table};
use crate::command::{CommandError, Flags};
use crate::context::Context;
use crate::shared::Shared;

const NO_KEY: &str = "No permissions to access a key";
const NOAUTH: &str = "NOAUTH Authentication required.";

/// Whether a request may run, be queued, or be run again after a wait. Its arity has been checked.
#[cold]
pub(crate) fn permit(
    entry: &'static Entry,
    args: &[&[u8]],
    client: &mut ClientState,
    server: &Shared,
) -> Result<(), CommandError> {
    let access = &server.access;
    let is_in = client.is_authenticated || access.is_open();
    if !is_in && !entry.command.flags.has(Flags::NO_AUTH) {
        return Err(CommandError::text(NOAUTH));
    }
    let Some(user) = access.look_up(&mut client.login) else { return Err(gone(client)) };
    if user.is_free() {
        if is_in {
            client.login.set_free();
        }
        return Ok(());
    }
    if entry.command.flags.has(Flags::NO_MULTI) && client.transaction.is_some() {
        // Refused for that, whoever asks.
        return Ok(());
    }
    let Err(denial) = user.check(&Request::new(entry, args)) else { return Ok(()) };
    let is_in_multi = client.transaction.is_some();
    note(&user, (entry, args), denial, entry, is_in_multi, client, server);
    Err(CommandError::Other(format!("NOPERM {}", refusal(&user, entry, denial)).into()))
}

/// Whether EXEC may still run a request that was queued.
#[inline]
pub(crate) fn permit_queued(
    entry: &'static Entry,
    ctx: &mut Context<'_>,
) -> Result<(), CommandError> {
    match ctx.client.login.is_free_in(ctx.server.access.epoch()) {
        true => Ok(()),
        false => check_queued(entry, ctx),
    }
}

#[cold]
fn check_queued(entry: &'static Entry, ctx: &mut Context<'_>) -> Result<(), CommandError> {
    let access = &ctx.server.access;
    let Some(user) = access.look_up(&mut ctx.client.login) else { return Err(gone(ctx.client)) };
    let Err(denial) = user.check(&Request::new(entry, ctx.args)) else { return Ok(()) };
    let exec = table().find(b"exec").unwrap_or(entry);
    note(&user, (entry, ctx.args), denial, exec, true, ctx.client, ctx.server);
    let reason = match denial {
        Denial::Command => "no permission to execute the command or subcommand",
        Denial::Key(_) => "no permission to touch the specified keys",
        Denial::Channel(_) => "no permission to access one of the channels used as arguments",
    };
    let text = format!(
        "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC \
         call. This command is no longer allowed for the following reason: {reason}"
    );
    ctx.server.stats.error(&text);
    Err(CommandError::Other(text.into()))
}

/// Refuses what reads keys that its arguments do not name to who may not read all.
pub(crate) fn need_all_keys(ctx: &mut Context<'_>) -> Result<(), CommandError> {
    match may_read_all(ctx) {
        true => Ok(()),
        false => Err(CommandError::Other(format!("NOPERM {NO_KEY}").into())),
    }
}

/// True if the client may use this command, and read every key there is with it.
pub(crate) fn may_read_all(ctx: &mut Context<'_>) -> bool {
    let access = &ctx.server.access;
    if ctx.client.login.is_free_in(access.epoch()) {
        return true;
    }
    let entry = table().resolve(ctx.args[0], ctx.args.get(1).copied());
    match (access.look_up(&mut ctx.client.login), entry) {
        (Some(user), Some(entry)) => user.may_read_all(&Request::new(entry, ctx.args)),
        _ => false,
    }
}

/// The user was deleted after the client had become it.
fn gone(client: &mut ClientState) -> CommandError {
    client.is_authenticated = false;
    client.close = true;
    CommandError::text(NOAUTH)
}

/// What a user is told of a refusal; keys and channels are named only to those who may ask.
fn refusal(user: &User, entry: &Entry, denial: Denial) -> String {
    match denial {
        Denial::Command => {
            let (name, command) = (String::from_utf8_lossy(&user.name), &entry.full_name);
            format!("User {name} has no permissions to run the '{command}' command")
        }
        Denial::Key(_) => NO_KEY.to_owned(),
        Denial::Channel(_) => "No permissions to access a channel".to_owned(),
    }
}

/// The same for ACL DRYRUN.
pub(super) fn whole_refusal(user: &User, entry: &Entry, args: &[&[u8]], denial: Denial) -> String {
    let (what, at) = match denial {
        Denial::Command => return refusal(user, entry, denial),
        Denial::Key(at) => ("key", at),
        Denial::Channel(at) => ("channel", at),
    };
    let (name, object) = (String::from_utf8_lossy(&user.name), String::from_utf8_lossy(args[at]));
    format!("User {name} has no permissions to access the '{object}' {what}")
}

/// Writes a refusal down, for ACL LOG. `shown` is what the client runs.
fn note(
    user: &User,
    (entry, args): (&Entry, &[&[u8]]),
    denial: Denial,
    shown: &'static Entry,
    is_in_multi: bool,
    client: &ClientState,
    server: &Shared,
) {
    let object = match denial {
        Denial::Command => entry.full_name.as_bytes(),
        Denial::Key(at) | Denial::Channel(at) => args[at],
    };
    let now_ms = server.engine.now_ms();
    client.publish(Some(shown), now_ms, Buffers::default());
    let line = client.card.line(now_ms);
    let mut failure = Failure::new((Reason::of(denial), object), &user.name, line, now_ms);
    failure.is_in_multi = is_in_multi;
    server.access.failures.add(failure, failures_max(&server.parameters));
}

/// The rules have changed while a client was subscribing: what it may not hear it must not keep.
pub(crate) fn recheck(ctx: &mut Context<'_>, entry: &'static Entry) -> bool {
    let access: &Access = &ctx.server.access;
    if ctx.client.login.is_current(access.epoch()) || ctx.client.login.is_free_in(access.epoch()) {
        return true;
    }
    let user = access.look_up(&mut ctx.client.login);
    user.is_some_and(|user| user.check(&Request::new(entry, ctx.args)).is_ok())
}
