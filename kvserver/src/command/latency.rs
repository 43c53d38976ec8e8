//! LATENCY.

use super::table::{Entry, table};
use super::{Command, CommandError, Flags, Outcome, introspection};
use crate::context::Context;
use crate::observe::{Histogram, History};

const FLAGS: Flags = Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::LOADING).and(Flags::STALE);
/// Width of a drawing, in characters.
const COLUMNS: usize = 80;
/// A column of a drawing from low to high, one character a row.
const SHADES: [char; 3] = ['_', 'o', '#'];
const ROWS: u64 = 4;

/// This family's part of the table.
pub(crate) const COMMANDS: &[Command] = &[Command::new("latency", -2, container)
    .since("2.8.13")
    .complexity("That of the subcommand.")
    .summary("Commands about how long commands take.")
    .subcommands(&[
        look("doctor", 2, doctor).summary("Says in words what the recorded times mean."),
        look("graph", 3, graph).summary("Draws the times of an event."),
        Command::new("help", 2, help)
            .flags(Flags::LOADING.and(Flags::STALE))
            .since("2.8.13")
            .summary("Lists the subcommands."),
        look("histogram", -2, histogram)
            .since("7.0.0")
            .complexity("O(N), N commands shown")
            .summary("Shows how many calls of commands took how long."),
        look("history", 3, history).summary("Shows the recorded times of an event."),
        look("latest", 2, latest).summary("Shows the last and the worst time of every event."),
        look("reset", -2, reset).summary("Forgets some or all events."),
    ])];

const fn look(name: &'static str, arity: i32, handler: super::Handler) -> Command {
    Command::new(name, arity, handler).flags(FLAGS).since("2.8.13")
}

fn container(_: &mut Context<'_>) -> Outcome {
    Err(CommandError::Syntax)
}

fn help(ctx: &mut Context<'_>) -> Outcome {
    introspection::help(ctx, "latency");
    Ok(())
}

fn event_of(ctx: &Context<'_>) -> (String, Option<History>) {
    let event = String::from_utf8_lossy(ctx.args[2]).into_owned();
    let history = ctx.server.observer.history(&event);
    (event, history)
}

fn latest(ctx: &mut Context<'_>) -> Outcome {
    let histories = ctx.server.observer.histories();
    ctx.reply.array(histories.len());
    for (event, history) in histories {
        let last = history.samples.back().copied();
        ctx.reply.array(4);
        ctx.reply.bulk(event.as_bytes());
        ctx.reply.count(last.map_or(0, |sample| sample.at_s));
        ctx.reply.count(last.map_or(0, |sample| sample.took_ms));
        ctx.reply.count(history.worst_ms);
    }
    Ok(())
}

fn history(ctx: &mut Context<'_>) -> Outcome {
    let samples = event_of(ctx).1.map(|history| history.samples).unwrap_or_default();
    ctx.reply.array(samples.len());
    for sample in samples {
        ctx.reply.array(2);
        ctx.reply.count(sample.at_s);
        ctx.reply.count(sample.took_ms);
    }
    Ok(())
}

fn reset(ctx: &mut Context<'_>) -> Outcome {
    let observer = &ctx.server.observer;
    let events: Vec<String> = if ctx.args.len() > 2 {
        ctx.args[2..].iter().map(|event| String::from_utf8_lossy(event).into_owned()).collect()
    } else {
        observer.histories().into_iter().map(|(event, _)| event.to_owned()).collect()
    };
    let known = events.iter().filter(|event| observer.forget_event(event)).count();
    ctx.reply.count(u64::try_from(known).unwrap_or(u64::MAX));
    Ok(())
}

fn graph(ctx: &mut Context<'_>) -> Outcome {
    let (event, Some(history)) = event_of(ctx) else {
        let event = String::from_utf8_lossy(ctx.args[2]);
        return Err(CommandError::err(format_args!("No samples available for event '{event}'")));
    };
    let text = drawn(&event, &history, ctx.now_ms / 1_000);
    ctx.reply.verbatim(&text);
    Ok(())
}

/// The newest times of an event as columns, with how long ago they were below.
fn drawn(event: &str, history: &History, now_s: u64) -> String {
    let skipped = history.samples.len().saturating_sub(COLUMNS);
    let samples: Vec<_> = history.samples.iter().skip(skipped).collect();
    let times = || samples.iter().map(|sample| sample.took_ms);
    let (high, low) = (times().max().unwrap_or(0), times().min().unwrap_or(0));
    let worst = history.worst_ms;
    let mut text = format!("{event} - high {high} ms, low {low} ms (all time high {worst} ms)\n");
    text.extend(std::iter::repeat_n('-', COLUMNS));
    text.push('\n');
    let shades = SHADES.len() as u64;
    let steps = ROWS * shades - 1;
    let level = |ms: u64| (ms - low) * steps / (high - low).max(1);
    for row in (0..ROWS).rev() {
        for sample in &samples {
            let (level, from) = (level(sample.took_ms), row * shades);
            text.push(match level.checked_sub(from) {
                None => ' ',
                Some(above) => {
                    let shade = usize::try_from(above).unwrap_or(usize::MAX);
                    SHADES[shade.min(SHADES.len() - 1)]
                }
            });
        }
        text.push('\n');
    }
    let ages: Vec<Vec<char>> = samples
        .iter()
        .map(|sample| age(now_s.saturating_sub(sample.at_s)).chars().collect())
        .collect();
    for line in 0..ages.iter().map(Vec::len).max().unwrap_or(0) {
        text.extend(ages.iter().map(|age| age.get(line).copied().unwrap_or(' ')));
        text.push('\n');
    }
    text
}

/// A time ago in its largest unit.
fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn doctor(ctx: &mut Context<'_>) -> Outcome {
    let threshold = ctx.server.parameters.value("latency-monitor-threshold");
    let histories = ctx.server.observer.histories();
    let mut text = String::new();
    if threshold == "0" {
        text.push_str(
            "Nothing is being recorded: latency-monitor-threshold is 0. CONFIG SET it to the \
             number of milliseconds from which a command is too slow for you.\n",
        );
    } else if histories.is_empty() {
        text = format!("No event has taken {threshold} ms or more.\n");
    }
    for (event, history) in histories {
        let times = history.samples.iter().map(|sample| sample.took_ms);
        let count = u64::try_from(history.samples.len()).unwrap_or(u64::MAX).max(1);
        let mean = times.sum::<u64>() / count;
        let worst = history.worst_ms;
        text.push_str(&format!("{event}: {count} recorded, mean {mean} ms, worst {worst} ms.\n"));
        text.push_str(match event {
            "fast-command" => {
                "  Commands that take constant time were slow: something outside of them, such as \
                 a busy processor, a slow disk or swapping, held them up.\n"
            }
            _ => "  SLOWLOG GET shows which commands with how much to do these were.\n",
        });
    }
    ctx.reply.verbatim(&text);
    Ok(())
}

fn histogram(ctx: &mut Context<'_>) -> Outcome {
    let asked = &ctx.args[2..];
    let entries: Vec<&Entry> = if asked.is_empty() {
        table().entries().iter().flat_map(Entry::with_subcommands).collect()
    } else {
        asked.iter().flat_map(|name| named(name)).collect()
    };
    let observer = &ctx.server.observer;
    let found: Vec<(&Entry, Histogram)> =
        entries.into_iter().filter_map(|entry| Some((entry, observer.histogram(entry)?))).collect();
    ctx.reply.map(found.len());
    for (entry, histogram) in found {
        ctx.reply.bulk(entry.full_name.as_bytes());
        ctx.reply.map(2);
        ctx.reply.bulk(b"calls");
        ctx.reply.count(histogram.calls());
        ctx.reply.bulk(b"histogram_usec");
        let steps = histogram.by_microseconds();
        ctx.reply.map(steps.len());
        for (us, calls) in steps {
            ctx.reply.count(us);
            ctx.reply.count(calls);
        }
    }
    Ok(())
}

/// A command and its subcommands, or the subcommand `container|name`.
fn named(name: &[u8]) -> Vec<&'static Entry> {
    introspection::named(name).into_iter().flat_map(Entry::with_subcommands).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::Fixture;
    use crate::observe::Sample;

    #[test]
    fn calls_are_counted_and_reset() {
        let mut at = Fixture::new();
        at.run("SET a 1");
        at.run("SET a 2");
        let shown = at.run("LATENCY HISTOGRAM set get nothing");
        assert!(shown.starts_with("*2\r\n$3\r\nset\r\n*4\r\n$5\r\ncalls\r\n:2\r\n"), "{shown}");
        let stats = at.run("INFO latencystats");
        assert!(stats.contains("latency_percentiles_usec_set:p50="), "{stats}");
        at.run("CONFIG RESETSTAT");
        assert_eq!(at.run("LATENCY HISTOGRAM set"), "*0\r\n");
    }

    #[test]
    fn slow_calls_are_kept_shortened_and_without_passwords() {
        let mut at = Fixture::new();
        at.run("CONFIG SET slowlog-log-slower-than 0 slowlog-max-len 3");
        at.run("SLOWLOG RESET");
        let mut request = vec![b"SADD".to_vec(), b"set".to_vec()];
        request.extend((0..40).map(|n| format!("member {n}").into_bytes()));
        request.push(vec![b'x'; 200]);
        let words: Vec<&[u8]> = request.iter().map(Vec::as_slice).collect();
        at.call(&words);
        let shown = at.run("SLOWLOG GET 1");
        assert!(shown.contains("... (12 more arguments)"), "{shown}");
        at.call(&[b"SET", b"key", &[b'y'; 200]]);
        assert!(at.run("SLOWLOG GET 1").contains("... (72 more bytes)"));
        at.run("CONFIG SET masterauth secret maxclients 99");
        let shown = at.run("SLOWLOG GET -1");
        assert!(shown.contains("(redacted)") && !shown.contains("secret"), "{shown}");
        assert_eq!(at.run("SLOWLOG LEN"), ":3\r\n");
        for count in ["-2", "junk"] {
            let reply = at.run(&format!("SLOWLOG GET {count}"));
            assert!(reply.starts_with("-ERR count should be greater"), "{count}: {reply}");
        }
        at.run("CONFIG SET slowlog-log-slower-than -1");
        at.run("SLOWLOG RESET");
        at.run("SET a b");
        assert_eq!(at.run("SLOWLOG LEN"), ":0\r\n");
    }

    #[test]
    fn what_takes_no_time_is_no_latency_event() {
        let mut at = Fixture::new();
        at.run("CONFIG SET latency-monitor-threshold 10000");
        at.run("SET a b");
        assert_eq!(at.run("LATENCY LATEST"), "*0\r\n");
        assert_eq!(at.run("LATENCY RESET command"), ":0\r\n");
        assert!(at.run("LATENCY GRAPH command").starts_with("-ERR No samples available"));
        assert!(at.run("LATENCY DOCTOR").contains("No event has taken 10000 ms"));
    }

    #[test]
    fn a_drawing_shows_the_range_and_the_ages() {
        let sample = |at_s, took_ms| Sample { at_s, took_ms };
        let samples = [sample(10, 100), sample(70, 300), sample(99, 500)].into();
        let text = drawn("command", &History { samples, worst_ms: 900 }, 100);
        assert!(text.starts_with("command - high 500 ms, low 100 ms (all time high 900 ms)\n"));
        let columns: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(columns, ["  #", "  #", " ##", "_##", "131", "m0s", " s "]);
    }
}
