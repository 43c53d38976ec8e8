//! What commands about clusters and replicas mean to a server that is alone.
//!
//! Clients and tools ask them to find out; each gets the answer of a Redis whose cluster mode is
//! off and that has no replicas. What would make it one of several is refused.

use super::arguments::integer;
use super::{Command, CommandError, Flags, Group, Outcome};
use crate::context::Context;

const ADMIN: Flags = Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::STALE);
const FOLLOWS: Flags =
    Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::NO_ASYNC_LOADING).and(Flags::NO_MULTI);
const QUIET: Flags = Flags::LOADING.and(Flags::STALE);

/// This family's part of the table.
pub(crate) const COMMANDS: &[Command] = &[
    Command::new("asking", 1, no_cluster)
        .flags(Flags::FAST)
        .since("3.0.0")
        .summary("Refused: there is no cluster."),
    Command::new("cluster", -2, no_cluster)
        .flags(QUIET)
        .since("3.0.0")
        .complexity("That of the subcommand")
        .summary("Commands about clusters, all refused: there is none.")
        .subcommands(&[
            refused("countkeysinslot", 3),
            refused("getkeysinslot", 4),
            refused("help", 2),
            refused("info", 2),
            refused("keyslot", 3),
            refused("links", 2).since("7.0.0"),
            refused("myid", 2),
            refused("nodes", 2),
            refused("shards", 2).since("7.0.0"),
            refused("slots", 2),
        ]),
    Command::new("failover", -1, failover)
        .flags(ADMIN)
        .since("6.2.0")
        .summary("Refused: there are no replicas."),
    Command::new("psync", -3, followed)
        .flags(FOLLOWS)
        .since("2.8.0")
        .summary("Refused: replicas of Redis cannot follow this server."),
    Command::new("readonly", 1, no_cluster)
        .flags(QUIET.and(Flags::FAST))
        .group(Group::Connection)
        .since("3.0.0")
        .summary("Refused: there is no cluster."),
    Command::new("readwrite", 1, no_cluster)
        .flags(QUIET.and(Flags::FAST))
        .group(Group::Connection)
        .since("3.0.0")
        .summary("Refused: there is no cluster."),
    Command::new("replconf", -1, replconf)
        .flags(ADMIN.and(Flags::LOADING).and(Flags::ALLOW_BUSY))
        .since("3.0.0")
        .summary("Answers what a replica tells of itself; PSYNC is refused then."),
    Command::new("replicaof", 3, replicaof)
        .flags(ADMIN.and(Flags::NO_ASYNC_LOADING))
        .since("5.0.0")
        .summary("Answers OK to NO ONE: it follows nobody, and cannot."),
    Command::new("role", 1, role)
        .flags(QUIET.and(Flags::NOSCRIPT).and(Flags::FAST).and(Flags::DANGEROUS))
        .since("2.8.12")
        .summary("Says that it is a master without replicas."),
    Command::new("slaveof", 3, replicaof)
        .flags(ADMIN.and(Flags::NO_ASYNC_LOADING))
        .summary("REPLICAOF, by its old name."),
    Command::new("sync", 1, followed)
        .flags(FOLLOWS)
        .summary("Refused: replicas of Redis cannot follow this server."),
];

const fn refused(name: &'static str, arity: i32) -> Command {
    Command::new(name, arity, no_cluster)
        .flags(QUIET)
        .since("3.0.0")
        .summary("Refused: there is no cluster.")
}

fn no_cluster(_: &mut Context<'_>) -> Outcome {
    Err(CommandError::text("ERR This instance has cluster support disabled"))
}

/// Reads its arguments all the same: who mistypes one is told that.
fn failover(ctx: &mut Context<'_>) -> Outcome {
    let mut args = &ctx.args[1..];
    if let [word] = args
        && word.eq_ignore_ascii_case(b"abort")
    {
        return Err(CommandError::text("ERR No failover in progress."));
    }
    let (mut has_timeout, mut has_target, mut is_forced) = (false, false, false);
    loop {
        args = match args {
            [] => break,
            [word, timeout, rest @ ..] if !has_timeout && word.eq_ignore_ascii_case(b"timeout") => {
                if integer(timeout)? <= 0 {
                    return Err(CommandError::text("ERR FAILOVER timeout must be greater than 0"));
                }
                has_timeout = true;
                rest
            }
            [word, _, port, rest @ ..] if !has_target && word.eq_ignore_ascii_case(b"to") => {
                integer(port)?;
                has_target = true;
                rest
            }
            [word, rest @ ..] if !is_forced && word.eq_ignore_ascii_case(b"force") => {
                is_forced = true;
                rest
            }
            _ => return Err(CommandError::Syntax),
        }
    }
    Err(CommandError::text("ERR FAILOVER requires connected replicas."))
}

fn replicaof(ctx: &mut Context<'_>) -> Outcome {
    let is_nobody =
        ctx.args[1].eq_ignore_ascii_case(b"no") && ctx.args[2].eq_ignore_ascii_case(b"one");
    if !is_nobody {
        return Err(CommandError::text("ERR kvserver cannot follow another server"));
    }
    ctx.reply.ok();
    Ok(())
}

/// PSYNC and SYNC: followers read the store's change feed, not this protocol.
fn followed(_: &mut Context<'_>) -> Outcome {
    Err(CommandError::text("ERR kvserver cannot be followed by replicas of Redis"))
}

/// `REPLCONF [option value …]`
fn replconf(ctx: &mut Context<'_>) -> Outcome {
    let pairs = &ctx.args[1..];
    if !pairs.len().is_multiple_of(2) {
        return Err(CommandError::Syntax);
    }
    for pair in pairs.chunks(2) {
        let (option, value) = (pair[0].to_ascii_lowercase(), pair[1]);
        match &option[..] {
            b"listening-port" | b"rdb-only" => drop(integer(value)?),
            b"ip-address" | b"capa" | b"version" => {}
            b"rdb-filter-only" => filter(value)?,
            // Only of and to replicas: not answered.
            b"ack" | b"getack" => return Ok(()),
            _ => {
                let option = String::from_utf8_lossy(pair[0]);
                return Err(CommandError::err(format_args!(
                    "Unrecognized REPLCONF option: {option}"
                )));
            }
        }
    }
    ctx.reply.ok();
    Ok(())
}

/// What of a snapshot a replica would have.
fn filter(words: &[u8]) -> Outcome {
    let known: [&[u8]; 2] = [b"", b"functions"];
    for word in words.split(|byte| *byte == b' ') {
        if !known.contains(&word.to_ascii_lowercase().as_slice()) {
            let word = String::from_utf8_lossy(word);
            return Err(CommandError::err(format_args!(
                "Unsupported rdb-filter-only option: {word}"
            )));
        }
    }
    Ok(())
}

fn role(ctx: &mut Context<'_>) -> Outcome {
    ctx.reply.array(3);
    ctx.reply.bulk(b"master");
    ctx.reply.integer(0);
    ctx.reply.array(0);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::command::testing::Fixture;

    #[test]
    fn a_server_alone_says_so() {
        let off = "-ERR This instance has cluster support disabled";
        Fixture::new().check(&[
            ("CLUSTER INFO", off),
            ("CLUSTER SLOTS", off),
            ("ASKING", off),
            ("READONLY", off),
            ("READWRITE", off),
            ("ROLE", "*3 $6 master :0 *0"),
            ("REPLICAOF no one", "+OK"),
            ("SLAVEOF NO ONE", "+OK"),
            ("REPLICAOF 127.0.0.1 6379", "-ERR kvserver cannot follow another server"),
            ("FAILOVER", "-ERR FAILOVER requires connected replicas."),
        ]);
    }

    #[test]
    fn a_replica_is_answered_until_it_wants_to_follow() {
        let refused = "-ERR kvserver cannot be followed by replicas of Redis";
        Fixture::new().check(&[
            ("REPLCONF", "+OK"),
            ("REPLCONF listening-port 6380", "+OK"),
            ("REPLCONF listening-port x", "-ERR value is not an integer or out of range"),
            ("REPLCONF capa eof CAPA psync2", "+OK"),
            ("REPLCONF rdb-filter-only functions", "+OK"),
            ("REPLCONF rdb-filter-only keys", "-ERR Unsupported rdb-filter-only option: keys"),
            ("REPLCONF capa", "-ERR syntax error"),
            ("REPLCONF no such", "-ERR Unrecognized REPLCONF option: no"),
            ("REPLCONF ack 5", ""),
            ("REPLCONF getack *", ""),
            ("PSYNC ? -1", refused),
            ("SYNC", refused),
            ("MULTI", "+OK"),
            ("SYNC", "-ERR Command not allowed inside a transaction"),
        ]);
    }

    #[test]
    fn failover_is_told_of_its_arguments_before_it_is_refused() {
        let (refused, syntax) = ("-ERR FAILOVER requires connected replicas.", "-ERR syntax error");
        Fixture::new().check(&[
            ("FAILOVER ABORT", "-ERR No failover in progress."),
            ("FAILOVER TO host 1 FORCE TIMEOUT 5", refused),
            ("FAILOVER junk", syntax),
            ("FAILOVER FORCE FORCE", syntax),
            ("FAILOVER TIMEOUT", syntax),
            ("FAILOVER TO host", syntax),
            ("FAILOVER TO host x", "-ERR value is not an integer or out of range"),
            ("FAILOVER TIMEOUT 0", "-ERR FAILOVER timeout must be greater than 0"),
        ]);
    }
}
