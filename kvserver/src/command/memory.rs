//! MEMORY: what keys take in memory, by our own accounting.
//!
//! Values are on the disk and count for nothing here; keys, fields and members, and what is known
//! of each to find its value, are all that stays in memory.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering::Relaxed;

use super::{Command, CommandError, Flags, Group, KeyFlags, KeySpec, Outcome};
use crate::context::Context;
use crate::data::{Collection, Direction, WHOLE};
use crate::double;
use crate::eviction;
use crate::number::parse_i64;
use crate::process;

/// Elements looked at for their length, unless SAMPLES says otherwise.
const SAMPLES: usize = 5;
/// Below this nothing is worth a diagnosis.
const LITTLE_BYTES: u64 = 5 << 20;

/// This family's part of the table.
pub(crate) const COMMANDS: &[Command] = &[Command::new("memory", -2, help)
    .since("4.0.0")
    .complexity("That of the subcommand")
    .summary("Answers questions about memory.")
    .subcommands(&[
        Command::new("doctor", 2, doctor)
            .since("4.0.0")
            .summary("Says what is remarkable about the memory in use."),
        Command::new("help", 2, help)
            .flags(Flags::LOADING.and(Flags::STALE))
            .since("4.0.0")
            .summary("Lists the subcommands."),
        Command::new("malloc-stats", 2, malloc_stats)
            .since("4.0.0")
            .summary("Says that the allocator keeps no statistics."),
        Command::new("purge", 2, purge)
            .since("4.0.0")
            .summary("Does nothing: the allocator gives back by itself."),
        Command::new("stats", 2, stats)
            .since("4.0.0")
            .complexity("O(N) with N the number of databases")
            .summary("Returns figures about memory."),
        Command::new("usage", -3, usage)
            .flags(Flags::READONLY)
            .group(Group::Server)
            .keys(&[KeySpec::one(2, KeyFlags::RO)])
            .since("4.0.0")
            .complexity("O(N) with N the number of samples")
            .summary("Returns the memory that a key and its elements take; not their values."),
    ])];

fn help(ctx: &mut Context<'_>) -> Outcome {
    super::introspection::help(ctx, "memory");
    Ok(())
}

/// `MEMORY USAGE key [SAMPLES count]`
fn usage(ctx: &mut Context<'_>) -> Outcome {
    let args = ctx.args;
    let samples = match &args[3..] {
        [] => SAMPLES,
        [word, count] if word.eq_ignore_ascii_case(b"SAMPLES") => {
            let count = parse_i64(count).ok_or(CommandError::NotInteger)?;
            match usize::try_from(count).map_err(|_| CommandError::Syntax)? {
                0 => usize::MAX,
                count => count,
            }
        }
        _ => return Err(CommandError::Syntax),
    };
    ctx.data.set_quiet(true);
    let Some((_, collection)) = ctx.db().collection(args[2])? else {
        ctx.reply.null();
        return Ok(());
    };
    let mut bytes = ctx.db().key_bytes(args[2])?;
    if let Some(collection) = collection {
        bytes += elements_bytes(ctx, collection, samples)?;
    }
    ctx.reply.count(bytes);
    Ok(())
}

/// From the lengths of the first elements, as if the others were like them.
fn elements_bytes(
    ctx: &mut Context<'_>,
    collection: Collection<'_>,
    samples: usize,
) -> Result<u64, CommandError> {
    let mut db = ctx.db();
    let count = db.count(collection, WHOLE)?;
    let each = db.element_bytes();
    let (mut seen, mut bytes) = (0, 0);
    db.walk(collection, WHOLE, Direction::Ascending, samples, |element| {
        seen += 1;
        bytes += u128::from(each) + u128::try_from(element.sub().len()).unwrap_or(0);
        Ok(ControlFlow::Continue(()))
    })?;
    let all = (bytes * u128::from(count)).checked_div(seen).unwrap_or(0);
    Ok(u64::try_from(all).unwrap_or(u64::MAX))
}

/// `MEMORY STATS`
fn stats(ctx: &mut Context<'_>) -> Outcome {
    let memory = ctx.server.engine.memory();
    let resident = process::memory().resident;
    let startup = ctx.server.memory_at_start;
    let (keys, dataset) = (ctx.server.engine.keys(), memory.held.saturating_sub(startup));
    let peak = ctx.server.stats.memory_peak.load(Relaxed).max(memory.held);
    let used: Vec<usize> =
        (0..ctx.data.count()).filter(|index| ctx.server.engine.len_of(*index) > 0).collect();
    let before = [
        ("peak.allocated", peak),
        ("total.allocated", memory.held),
        ("startup.allocated", startup),
        ("replication.backlog", 0),
        ("clients.slaves", 0),
        ("clients.normal", ctx.server.clients.buffer_bytes()),
        ("cluster.links", 0),
        ("aof.buffer", 0),
        ("lua.caches", 0),
        ("functions.caches", 0),
    ];
    let behind = [
        ("overhead.total", startup),
        ("keys.count", keys),
        ("keys.bytes-per-key", dataset.checked_div(keys).unwrap_or(0)),
        ("dataset.bytes", dataset),
    ];
    ctx.reply.map(before.len() + used.len() + behind.len() + 5);
    let figure = |ctx: &mut Context<'_>, name: &str, bytes: u64| {
        ctx.reply.bulk(name.as_bytes());
        ctx.reply.count(bytes);
    };
    before.iter().for_each(|(name, bytes)| figure(ctx, name, *bytes));
    for index in used {
        let (of_keys, of_elements) = ctx.server.engine.memory_of(index);
        ctx.reply.bulk(format!("db.{index}").as_bytes());
        ctx.reply.map(2);
        figure(ctx, "keys.bytes", of_keys);
        figure(ctx, "elements.bytes", of_elements);
    }
    behind.iter().for_each(|(name, bytes)| figure(ctx, name, *bytes));
    let share = |part: u64, whole: u64| ratio(part, whole) * 100.0;
    let ratios = [
        ("dataset.percentage", share(dataset, memory.held)),
        ("peak.percentage", share(memory.held, peak)),
        ("fragmentation", ratio(resident, memory.held)),
    ];
    for (name, value) in ratios {
        ctx.reply.bulk(name.as_bytes());
        ctx.reply.double_text(&double::to_text(value));
    }
    figure(ctx, "fragmentation.bytes", resident.saturating_sub(memory.held));
    figure(ctx, "leaving.bytes", memory.leaving);
    Ok(())
}

/// A ratio of two figures, for people: rounding does not matter.
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    let float = |n: u64| {
        let halves =
            [n >> 32, n & u64::from(u32::MAX)].map(|half| u32::try_from(half).unwrap_or(0));
        f64::from(halves[0]) * 4_294_967_296.0 + f64::from(halves[1])
    };
    if whole == 0 { 0.0 } else { float(part) / float(whole) }
}

/// `MEMORY DOCTOR`
fn doctor(ctx: &mut Context<'_>) -> Outcome {
    let memory = ctx.server.engine.memory();
    let resident = process::memory().resident;
    let bound = eviction::bound(ctx.server);
    let mut findings = Vec::new();
    if memory.held < LITTLE_BYTES {
        findings.push("The keys take so little memory that there is nothing to find.".to_owned());
    } else {
        if memory.leaving > memory.held / 4 {
            findings.push(format!(
                "{} of {} bytes belong to deleted collections, and are being freed.",
                memory.leaving, memory.held
            ));
        }
        if bound > 0 && memory.staying() > bound {
            findings.push(format!(
                "Keys take {} bytes, beyond maxmemory ({bound}); see maxmemory-policy.",
                memory.staying()
            ));
        }
        if resident > memory.held.saturating_mul(2) {
            findings.push(format!(
                "{resident} bytes are resident, {} of them for keys: the rest is mostly data \
                 files in the page cache, which the system takes back when it needs it.",
                memory.held
            ));
        }
        if findings.is_empty() {
            findings.push("Nothing remarkable.".to_owned());
        }
    }
    ctx.reply.verbatim(&format!("{}\n", findings.join("\n")));
    Ok(())
}

/// `MEMORY MALLOC-STATS`
fn malloc_stats(ctx: &mut Context<'_>) -> Outcome {
    ctx.reply.bulk(b"Stats not supported for the current allocator");
    Ok(())
}

/// `MEMORY PURGE`
fn purge(ctx: &mut Context<'_>) -> Outcome {
    ctx.reply.ok();
    Ok(())
}

#[cfg(test)]
mod tests;
