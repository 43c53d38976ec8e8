//! Scripts, functions and modules: there are none, and none can be added.
//!
//! What asks for them or deletes them is answered as by a Redis that has none, as test suites and
//! tools send it; what would add one is refused.

use super::{Command, CommandError, Flags, Outcome};
use crate::context::Context;
use crate::parameters::Live;

const QUIET: Flags = Flags::LOADING.and(Flags::STALE);
const NOSCRIPT: Flags = Flags::NOSCRIPT;
const LOADS: Flags = Flags::ADMIN.and(NOSCRIPT).and(Flags::NO_ASYNC_LOADING);

/// This family's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new("function", -2, container)
        .since("7.0.0")
        .complexity("That of the subcommand")
        .summary("Commands about functions, of which there are none.")
        .subcommands(&[
            Command::new("flush", -2, function_flush)
                .flags(Flags::WRITE.and(NOSCRIPT))
                .since("7.0.0")
                .summary("Answers OK: there is nothing to delete."),
            Command::new("help", 2, |ctx| help(ctx, "function"))
                .flags(QUIET)
                .since("7.0.0")
                .summary("Lists the subcommands."),
            Command::new("list", -2, empty_array)
                .flags(NOSCRIPT)
                .since("7.0.0")
                .summary("Lists no libraries."),
        ]),
    Command::new("module", -2, container)
        .since("4.0.0")
        .complexity("That of the subcommand")
        .summary("Commands about modules, of which there are none.")
        .subcommands(&[
            Command::new("help", 2, |ctx| help(ctx, "module"))
                .flags(QUIET)
                .since("5.0.0")
                .summary("Lists the subcommands."),
            Command::new("list", 2, empty_array)
                .flags(Flags::ADMIN.and(NOSCRIPT))
                .since("4.0.0")
                .summary("Lists no modules."),
            Command::new("load", -3, module_load)
                .flags(LOADS)
                .since("4.0.0")
                .summary("Refused: modules cannot be loaded."),
            Command::new("loadex", -3, module_load)
                .flags(LOADS)
                .since("7.0.0")
                .summary("Refused: modules cannot be loaded."),
            Command::new("unload", 3, module_unload)
                .flags(LOADS)
                .since("4.0.0")
                .summary("Refused: there are no modules."),
        ]),
    Command::new("script", -2, container)
        .since("2.6.0")
        .complexity("That of the subcommand")
        .summary("Commands about scripts, of which there are none.")
        .subcommands(&[
            Command::new("exists", -3, script_exists)
                .flags(NOSCRIPT)
                .since("2.6.0")
                .complexity("O(N) with N the number of digests")
                .summary("Answers 0 for each digest: no script is known."),
            Command::new("flush", -2, script_flush)
                .flags(NOSCRIPT)
                .since("2.6.0")
                .summary("Answers OK: there is nothing to forget."),
            Command::new("help", 2, |ctx| help(ctx, "script"))
                .flags(QUIET)
                .since("5.0.0")
                .summary("Lists the subcommands."),
            Command::new("kill", 2, script_kill)
                .flags(NOSCRIPT.and(Flags::ALLOW_BUSY))
                .since("2.6.0")
                .summary("Refused: no script runs."),
        ]),
];

/// A container alone is refused by its arity; what it names is another command.
fn container(_: &mut Context<'_>) -> Outcome {
    Err(CommandError::Syntax)
}

fn help(ctx: &mut Context<'_>, name: &str) -> Outcome {
    super::introspection::help(ctx, name);
    Ok(())
}

fn empty_array(ctx: &mut Context<'_>) -> Outcome {
    ctx.reply.array(0);
    Ok(())
}

/// There is nothing to flush; the mode is checked.
fn flush(ctx: &mut Context<'_>, otherwise: CommandError) -> Outcome {
    let is_mode =
        |mode: &[u8]| mode.eq_ignore_ascii_case(b"sync") || mode.eq_ignore_ascii_case(b"async");
    match ctx.args {
        [_, _] => {}
        [_, _, mode] if is_mode(mode) => {}
        _ => return Err(otherwise),
    }
    ctx.reply.ok();
    Ok(())
}

fn function_flush(ctx: &mut Context<'_>) -> Outcome {
    flush(ctx, CommandError::text("ERR FUNCTION FLUSH only supports SYNC|ASYNC option"))
}

fn script_flush(ctx: &mut Context<'_>) -> Outcome {
    flush(ctx, CommandError::text("ERR SCRIPT FLUSH only support SYNC|ASYNC option"))
}

fn script_exists(ctx: &mut Context<'_>) -> Outcome {
    let digests = &ctx.args[2..];
    ctx.reply.array(digests.len());
    digests.iter().for_each(|_| ctx.reply.integer(0));
    Ok(())
}

fn script_kill(_: &mut Context<'_>) -> Outcome {
    Err(CommandError::text("NOTBUSY No scripts in execution right now."))
}

fn module_load(ctx: &mut Context<'_>) -> Outcome {
    check_allowed(ctx)?;
    Err(CommandError::text("ERR Error loading the extension. Please check the server logs."))
}

fn module_unload(ctx: &mut Context<'_>) -> Outcome {
    check_allowed(ctx)?;
    Err(CommandError::text("ERR Error unloading module: no such module with that name"))
}

fn check_allowed(ctx: &Context<'_>) -> Outcome {
    let is_local = ctx.client.card.peer.ip().is_loopback();
    match ctx.server.parameters.number(Live::ModuleCommand) {
        1 => Ok(()),
        2 if is_local => Ok(()),
        _ => Err(CommandError::text(
            "ERR MODULE command not allowed. If the enable-module-command option is set to \
             \"local\", you can run it from a local connection, otherwise you need to set this \
             option in the configuration file, and then restart the server.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use crate::command::testing::Fixture;

    #[test]
    fn there_are_no_scripts_functions_and_modules() {
        let mode = "-ERR SCRIPT FLUSH only support SYNC|ASYNC option";
        Fixture::new().check(&[
            ("SCRIPT EXISTS a b", "*2 :0 :0"),
            ("SCRIPT EXISTS", "-ERR wrong number of arguments for 'script|exists' command"),
            ("SCRIPT FLUSH", "+OK"),
            ("SCRIPT FLUSH async", "+OK"),
            ("SCRIPT FLUSH later", mode),
            ("SCRIPT FLUSH SYNC SYNC", mode),
            ("SCRIPT KILL", "-NOTBUSY No scripts in execution right now."),
            ("SCRIPT LOAD x", "-ERR unknown subcommand 'LOAD'. Try SCRIPT HELP."),
            ("FUNCTION FLUSH sync", "+OK"),
            ("FUNCTION FLUSH x", "-ERR FUNCTION FLUSH only supports SYNC|ASYNC option"),
            ("FUNCTION LIST", "*0"),
            ("MODULE LIST", "*0"),
        ]);
    }

    #[test]
    fn modules_are_refused_by_the_parameter_and_cannot_be_loaded_where_it_allows_them() {
        let mut off = Fixture::new();
        for request in ["MODULE LOAD /m.so", "MODULE LOADEX /m.so ARGS a", "MODULE UNLOAD m"] {
            let reply = off.run(request);
            assert!(reply.starts_with("-ERR MODULE command not allowed."), "{reply}");
        }
        Fixture::with_settings(&[("enable-module-command", "yes")]).check(&[
            (
                "MODULE LOAD /m.so",
                "-ERR Error loading the extension. Please check the server logs.",
            ),
            ("MODULE UNLOAD m", "-ERR Error unloading module: no such module with that name"),
        ]);
    }
}
