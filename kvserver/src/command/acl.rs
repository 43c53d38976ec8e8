//! ACL, and how clients authenticate.
//!
//! There is one user, `default`, who may do everything; its passwords are in [`crate::access`].

#[cfg(test)]
mod tests;

use super::arguments::integer;
use super::introspection::{CATEGORIES, categories, help};
use super::table::{Entry, table};
use super::{Command, CommandError, Flags, Outcome};
use crate::access::{DEFAULT_USER, Failure, hex};
use crate::context::Context;
use crate::parameters::Parameters;

const QUIET: Flags = Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE);
const ADMIN: Flags = QUIET.and(Flags::ADMIN);
/// Failures shown if no count is given.
const FAILURES_DEFAULT: i64 = 10;
/// Bits of a generated password.
const BITS_DEFAULT: i64 = 256;
const BITS_MAX: i64 = 4096;

/// This family's part of the table.
pub(crate) const COMMANDS: &[Command] = &[Command::new("acl", -2, container)
    .since("6.0.0")
    .complexity("That of the subcommand")
    .summary("Commands about users and what they may do.")
    .subcommands(&[
        sub("cat", -2, cat).summary("Lists the ACL categories, or the commands inside a category."),
        sub("deluser", -3, deluser)
            .flags(ADMIN)
            .summary("Deletes users; the only one cannot be deleted."),
        sub("dryrun", -4, dryrun)
            .flags(ADMIN)
            .since("7.0.0")
            .summary("Tells whether a user may run a command, without running it."),
        sub("genpass", -2, genpass).summary("Generates a password of 256 or so many random bits."),
        sub("getuser", 3, getuser).flags(ADMIN).summary("Lists the rules of a user."),
        sub("help", 2, own_help).summary("Lists the subcommands."),
        sub("list", 2, list).flags(ADMIN).summary("Shows all users as lines of rules."),
        sub("load", 2, no_file)
            .flags(ADMIN)
            .summary("Would read users from a file; there is none."),
        sub("log", -2, log)
            .flags(ADMIN)
            .complexity("O(N), N entries shown")
            .summary("Shows who failed to authenticate, or forgets it."),
        sub("save", 2, no_file).flags(ADMIN).summary("Would write users to a file; there is none."),
        sub("setuser", -3, setuser)
            .flags(ADMIN)
            .complexity("O(N), N rules given")
            .summary("Changes the passwords of the user default, and whether it may log in."),
        sub("users", 2, users).flags(ADMIN).summary("Lists the users."),
        sub("whoami", 2, whoami).summary("Says as which user this connection speaks."),
    ])];

const fn sub(name: &'static str, arity: i32, handler: super::Handler) -> Command {
    Command::new(name, arity, handler).flags(QUIET).since("6.0.0")
}

/// Makes the client the user `name`, if the password is right.
pub(super) fn log_in(ctx: &mut Context<'_>, name: &[u8], password: &[u8]) -> Outcome {
    let access = &ctx.server.access;
    if access.admits(name, password) {
        ctx.client.is_authenticated = true;
        return Ok(());
    }
    let client = ctx.client.card.line(ctx.now_ms);
    let mut failure = Failure::new(ctx.args[0], name, client, ctx.now_ms);
    failure.is_in_exec = ctx.client.is_in_exec;
    access.failures.add(failure, failures_max(&ctx.server.parameters));
    Err(CommandError::text("WRONGPASS invalid username-password pair or user is disabled."))
}

fn failures_max(parameters: &Parameters) -> usize {
    parameters.value("acllog-max-len").parse().unwrap_or(usize::MAX)
}

/// AUTH with one argument, or two.
pub(super) fn auth(ctx: &mut Context<'_>) -> Outcome {
    match ctx.args {
        [_, _] if ctx.server.access.user().is_without_password() => {
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

fn whoami(ctx: &mut Context<'_>) -> Outcome {
    ctx.reply.bulk(DEFAULT_USER);
    Ok(())
}

fn users(ctx: &mut Context<'_>) -> Outcome {
    ctx.reply.array(1);
    ctx.reply.bulk(DEFAULT_USER);
    Ok(())
}

fn list(ctx: &mut Context<'_>) -> Outcome {
    let user = ctx.server.access.user();
    let mut line = format!("user default {}", if user.is_on() { "on" } else { "off" });
    if user.is_without_password() {
        line.push_str(" nopass");
    }
    line.push_str(" sanitize-payload");
    user.passwords().iter().for_each(|digest| line.push_str(&format!(" #{digest}")));
    line.push_str(" ~* &* +@all");
    ctx.reply.array(1);
    ctx.reply.bulk(line.as_bytes());
    Ok(())
}

fn getuser(ctx: &mut Context<'_>) -> Outcome {
    if ctx.args[2] != DEFAULT_USER {
        ctx.reply.null();
        return Ok(());
    }
    let (user, reply) = (ctx.server.access.user(), &mut ctx.reply);
    let mut flags = vec![if user.is_on() { "on" } else { "off" }];
    flags.extend(user.is_without_password().then_some("nopass"));
    flags.push("sanitize-payload");
    reply.map(6);
    reply.bulk(b"flags");
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.bulk(flag.as_bytes()));
    let passwords = user.passwords();
    reply.bulk(b"passwords");
    reply.array(passwords.len());
    passwords.iter().for_each(|digest| reply.bulk(digest.as_bytes()));
    for (field, rule) in [("commands", "+@all"), ("keys", "~*"), ("channels", "&*")] {
        reply.bulk(field.as_bytes());
        reply.bulk(rule.as_bytes());
    }
    reply.bulk(b"selectors");
    reply.array(0);
    Ok(())
}

fn setuser(ctx: &mut Context<'_>) -> Outcome {
    if ctx.args[2] != DEFAULT_USER {
        return Err(CommandError::text("ERR there is only the user default with all rights"));
    }
    ctx.server.access.change(&ctx.args[3..]).map_err(|(rule, error)| {
        let rule = String::from_utf8_lossy(rule);
        CommandError::err(format_args!("Error in ACL SETUSER modifier '{rule}': {error}"))
    })?;
    ctx.reply.ok();
    Ok(())
}

fn deluser(ctx: &mut Context<'_>) -> Outcome {
    if ctx.args[2..].contains(&DEFAULT_USER) {
        return Err(CommandError::text("ERR The 'default' user cannot be removed"));
    }
    ctx.reply.integer(0);
    Ok(())
}

fn no_file(_: &mut Context<'_>) -> Outcome {
    Err(CommandError::text(
        "ERR This Redis instance is not configured to use an ACL file. You may want to specify \
         users via the ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a \
         Redis configuration file set) in order to store users in the Redis configuration.",
    ))
}

/// The entries of the table, subcommands included.
fn entries() -> impl Iterator<Item = &'static Entry> {
    table().entries().iter().flat_map(Entry::with_subcommands)
}

fn cat(ctx: &mut Context<'_>) -> Outcome {
    let found: Vec<&str> = match ctx.args {
        [_, _] => {
            let is_used = |name: &&&str| entries().any(|entry| categories(entry).contains(*name));
            CATEGORIES.iter().filter(is_used).map(|name| &name[1..]).collect()
        }
        [_, _, name] => {
            let wanted = format!("@{}", String::from_utf8_lossy(name).to_ascii_lowercase());
            if !CATEGORIES.contains(&wanted.as_str()) {
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

fn unknown_form(name: &str) -> CommandError {
    CommandError::err(format_args!(
        "unknown subcommand or wrong number of arguments for '{name}'. Try ACL HELP."
    ))
}

/// Passwords come from the system: the chance that a request is given can be foretold.
fn genpass(ctx: &mut Context<'_>) -> Outcome {
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

fn dryrun(ctx: &mut Context<'_>) -> Outcome {
    let [_, _, user, request @ ..] = ctx.args else { return Err(CommandError::Syntax) };
    if *user != DEFAULT_USER {
        let user = String::from_utf8_lossy(user);
        return Err(CommandError::err(format_args!("User '{user}' not found")));
    }
    let entry = table().resolve(request[0], request.get(1).copied()).ok_or_else(|| {
        let name = String::from_utf8_lossy(request[0]);
        CommandError::err(format_args!("Command '{name}' not found"))
    })?;
    if !entry.command.accepts(request.len()) {
        return Err(CommandError::Arity(entry.full_name.as_str().into()));
    }
    ctx.reply.ok();
    Ok(())
}

fn log(ctx: &mut Context<'_>) -> Outcome {
    let count = match ctx.args {
        [_, _] => FAILURES_DEFAULT,
        [_, _, word] if word.eq_ignore_ascii_case(b"reset") => {
            ctx.server.access.failures.clear();
            ctx.reply.ok();
            return Ok(());
        }
        [_, _, count] => integer(count)?,
        _ => return Err(unknown_form("LOG")),
    };
    let failures = ctx.server.access.failures.newest(usize::try_from(count).unwrap_or(0));
    ctx.reply.array(failures.len());
    failures.iter().for_each(|failure| show_failure(ctx, failure));
    Ok(())
}

fn show_failure(ctx: &mut Context<'_>, failure: &Failure) {
    let (now_ms, reply) = (ctx.now_ms, &mut ctx.reply);
    let timestamp = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    reply.map(10);
    reply.bulk(b"count");
    reply.count(failure.count);
    let context = if failure.is_in_exec { &b"multi"[..] } else { b"toplevel" };
    for (field, value) in [
        ("reason", &b"auth"[..]),
        ("context", context),
        ("object", &failure.command),
        ("username", &failure.user),
    ] {
        reply.bulk(field.as_bytes());
        reply.bulk(value);
    }
    let age_ms = now_ms.saturating_sub(failure.last_ms);
    reply.bulk(b"age-seconds");
    reply.double_text(&format!("{}.{:03}", age_ms / 1000, age_ms % 1000));
    reply.bulk(b"client-info");
    reply.bulk(failure.client.as_bytes());
    for (field, n) in [
        ("entry-id", timestamp(failure.id)),
        ("timestamp-created", timestamp(failure.first_ms)),
        ("timestamp-last-updated", timestamp(failure.last_ms)),
    ] {
        reply.bulk(field.as_bytes());
        reply.integer(n);
    }
}
