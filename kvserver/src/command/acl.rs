//! ACL, and how clients authenticate.
//!
//! Who the users are and what they may do is in [`crate::access`].

mod log;
mod look;
mod permit;
#[cfg(test)]
mod tests;
mod users;

use super::introspection::help;
use super::{Command, CommandError, Flags, Outcome};
use crate::access::{DEFAULT_USER, Failure, Login, Reason};
use crate::client::Buffers;
use crate::command::table::table;
use crate::context::Context;
use log::failures_max;
pub(crate) use permit::{may_read_all, need_all_keys, permit, permit_queued, recheck};

const QUIET: Flags = Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE);
const ADMIN: Flags = QUIET.and(Flags::ADMIN);
const ALL: &str = "O(N), N users with their rules";

/// This family's part of the table.
pub(crate) const COMMANDS: &[Command] = &[Command::new("acl", -2, container)
    .since("6.0.0")
    .complexity("That of the subcommand")
    .summary("Commands about users and what they may do.")
    .subcommands(&[
        sub("cat", -2, look::cat)
            .summary("Lists the ACL categories, or the commands inside a category."),
        sub("deluser", -3, users::deluser)
            .flags(ADMIN)
            .complexity("O(N), N clients")
            .summary("Deletes users, and closes the connections of their clients."),
        sub("dryrun", -4, look::dryrun)
            .flags(ADMIN)
            .since("7.0.0")
            .summary("Tells whether a user may run a command, without running it."),
        sub("genpass", -2, look::genpass)
            .summary("Generates a password of 256 or so many random bits."),
        sub("getuser", 3, users::getuser).flags(ADMIN).summary("Lists the rules of a user."),
        sub("help", 2, own_help).summary("Lists the subcommands."),
        sub("list", 2, users::list)
            .flags(ADMIN)
            .complexity(ALL)
            .summary("Shows all users as lines of rules."),
        sub("load", 2, users::load)
            .flags(ADMIN)
            .complexity(ALL)
            .summary("Replaces all users by those of the file of users."),
        sub("log", -2, log::log)
            .flags(ADMIN)
            .complexity("O(N), N entries shown")
            .summary("Shows who failed to authenticate or was refused something, or forgets it."),
        sub("save", 2, users::save)
            .flags(ADMIN)
            .complexity(ALL)
            .summary("Writes all users to the file of users."),
        sub("setuser", -3, users::setuser)
            .flags(ADMIN)
            .complexity("O(N), N rules given")
            .summary("Makes a user or changes one, by all rules given or none."),
        sub("users", 2, users::users).flags(ADMIN).complexity(ALL).summary("Lists the users."),
        sub("whoami", 2, users::whoami).summary("Says as which user this connection speaks."),
    ])];

const fn sub(name: &'static str, arity: i32, handler: super::Handler) -> Command {
    Command::new(name, arity, handler).flags(QUIET).since("6.0.0")
}

/// Makes the client the user `name`, if the password is right.
pub(super) fn log_in(ctx: &mut Context<'_>, name: &[u8], password: &[u8]) -> Outcome {
    let access = &ctx.server.access;
    if let Some(user) = access.admits(name, password) {
        ctx.client.is_authenticated = true;
        ctx.client.log_in(Login::new(user));
        return Ok(());
    }
    let entry = table().resolve(ctx.args[0], None);
    ctx.client.publish(entry, ctx.now_ms, Buffers::default());
    let client = ctx.client.card.line(ctx.now_ms);
    let mut failure = Failure::new((Reason::Auth, ctx.args[0]), name, client, ctx.now_ms);
    failure.is_in_multi = ctx.client.is_in_exec;
    access.failures.add(failure, failures_max(&ctx.server.parameters));
    Err(CommandError::text("WRONGPASS invalid username-password pair or user is disabled."))
}

/// AUTH with one argument, or two.
pub(super) fn auth(ctx: &mut Context<'_>) -> Outcome {
    match ctx.args {
        [_, _] if ctx.server.access.default_user().is_without_password() => {
            return Err(CommandError::text(
                "ERR AUTH <password> called without any password configured for the default user. \
                 Are you sure your configuration is correct?",
            ));
        }
        [_, password] => log_in(ctx, DEFAULT_USER, password)?,
        [_, name, password] => log_in(ctx, name, password)?,
        _ => return Err(CommandError::Syntax),
    }
    ctx.reply.ok();
    Ok(())
}

/// ACL alone is refused by its arity; what it names is another command.
fn container(_: &mut Context<'_>) -> Outcome {
    Err(CommandError::Syntax)
}

fn own_help(ctx: &mut Context<'_>) -> Outcome {
    help(ctx, "acl");
    Ok(())
}

fn unknown_form(name: &str) -> CommandError {
    CommandError::err(format_args!(
        "unknown subcommand or wrong number of arguments for '{name}'. Try ACL HELP."
    ))
}
