//! INFO: sections of fields, read by people, clients and test suites.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::access::Reason;
use crate::command::connection::REDIS_VERSION;
use crate::command::memory::ratio;
use crate::command::table::{Entry, table};
use crate::command::{CommandError, Outcome};
use crate::context::Context;
use crate::process;
use crate::pubsub::Kind;
use crate::shared::Shared;

type Section = (&'static str, fn(&mut Context<'_>, &mut String) -> Result<(), CommandError>);

/// In the order Redis writes them.
const SECTIONS: [Section; 13] = [
    ("Server", server),
    ("Clients", clients),
    ("Memory", memory),
    ("Persistence", persistence),
    ("Stats", stats),
    ("Replication", replication),
    ("CPU", cpu),
    ("Modules", nothing),
    ("Commandstats", commandstats),
    ("Errorstats", errorstats),
    ("Latencystats", latencystats),
    ("Cluster", cluster),
    ("Keyspace", keyspace),
];

/// Written only if asked for by name, or with `all`.
const ON_REQUEST: [&str; 2] = ["Commandstats", "Latencystats"];

pub(super) fn info(ctx: &mut Context<'_>) -> Outcome {
    let wanted: Vec<String> = ctx.args[1..]
        .iter()
        .map(|word| String::from_utf8_lossy(word).to_ascii_lowercase())
        .collect();
    let has = |word: &str| wanted.iter().any(|wanted| wanted == word);
    let everything = has("all") || has("everything");
    let defaults = wanted.is_empty() || has("default");
    let mut text = String::new();
    for (name, write) in SECTIONS {
        let by_default = defaults && !ON_REQUEST.contains(&name);
        if everything || by_default || has(&name.to_ascii_lowercase()) {
            if !text.is_empty() {
                text.push_str("\r\n");
            }
            line(&mut text, format_args!("# {name}"));
            write(ctx, &mut text)?;
        }
    }
    ctx.reply.verbatim(&text);
    Ok(())
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = write!(text, "{line}\r\n");
}

/// `name:value` lines.
macro_rules! fields {
    ($text:expr, $($name:ident : $value:expr),* $(,)?) => {
        $(line($text, format_args!(concat!(stringify!($name), ":{}"), $value));)*
    };
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Relaxed)
}

#[expect(clippy::unnecessary_wraps, reason = "all sections have one type")]
fn nothing(_: &mut Context<'_>, _: &mut String) -> Outcome {
    Ok(())
}

fn server(ctx: &mut Context<'_>, text: &mut String) -> Outcome {
    let shared = ctx.server;
    let uptime = ctx.now_ms.saturating_sub(shared.started_ms) / 1000;
    fields!(text,
        redis_version: REDIS_VERSION,
        kvserver_version: env!("CARGO_PKG_VERSION"),
        redis_mode: "standalone",
        os: std::env::consts::OS,
        arch_bits: usize::BITS,
        multiplexing_api: "mio",
        process_id: std::process::id(),
        run_id: shared.run_id,
        tcp_port: shared.addr.port(),
        server_time_usec: ctx.now_ms * 1000,
        uptime_in_seconds: uptime,
        uptime_in_days: uptime / 86_400,
        configured_hz: shared.parameters.value("hz"),
        executable: "",
        config_file: "",
        io_threads_active: u8::from(shared.config.threads > 1),
    );
    Ok(())
}

fn clients(ctx: &mut Context<'_>, text: &mut String) -> Outcome {
    let shared = ctx.server;
    let blocked = shared.blocked.figures();
    fields!(text,
        connected_clients: shared.clients.len(),
        cluster_connections: 0,
        maxclients: shared.parameters.clients_max(),
        blocked_clients: blocked.clients + shared.pause.waiting(),
        tracking_clients: 0,
        pubsub_clients: shared.pubsub.clients(),
        watching_clients: shared.watches.clients(),
        clients_in_timeout_table: blocked.timed,
        total_watched_keys: shared.watches.keys(),
        total_blocking_keys: blocked.keys,
        total_blocking_keys_on_nokey: 0,
    );
    Ok(())
}

fn memory(ctx: &mut Context<'_>, text: &mut String) -> Outcome {
    let (process, machine) = (process::memory(), process::machine_memory());
    let shared = ctx.server;
    let parameters = &shared.parameters;
    let memory = shared.engine.memory();
    let (used, startup) = (memory.held, shared.memory_at_start.min(memory.held));
    let peak = read(&shared.stats.memory_peak).max(used);
    let percent = |part, whole| format!("{:.2}%", ratio(part, whole) * 100.0);
    fields!(text,
        used_memory: used,
        used_memory_human: human(used),
        used_memory_rss: process.resident,
        used_memory_rss_human: human(process.resident),
        used_memory_peak: peak,
        used_memory_peak_human: human(peak),
        used_memory_peak_perc: percent(used, peak),
        used_memory_overhead: startup,
        used_memory_startup: startup,
        used_memory_dataset: used - startup,
        used_memory_dataset_perc: percent(used - startup, used),
        used_memory_anonymous: process.anonymous,
        used_memory_rss_peak: process.peak,
        allocator_allocated: process.anonymous,
        allocator_active: process.anonymous,
        allocator_resident: process.resident,
        total_system_memory: machine,
        total_system_memory_human: human(machine),
        used_memory_lua: 0,
        used_memory_vm_eval: 0,
        used_memory_lua_human: human(0),
        used_memory_scripts_eval: 0,
        number_of_cached_scripts: 0,
        number_of_functions: 0,
        number_of_libraries: 0,
        used_memory_vm_functions: 0,
        used_memory_vm_total: 0,
        used_memory_vm_total_human: human(0),
        used_memory_functions: 0,
        used_memory_scripts: 0,
        used_memory_scripts_human: human(0),
        maxmemory: parameters.value("maxmemory"),
        maxmemory_human: human(parameters.value("maxmemory").parse().unwrap_or(0)),
        maxmemory_policy: parameters.value("maxmemory-policy"),
        mem_fragmentation_ratio: format!("{:.2}", ratio(process.resident, used)),
        mem_fragmentation_bytes: process.resident.saturating_sub(used),
        mem_not_counted_for_evict: memory.leaving,
        mem_replication_backlog: 0,
        mem_total_replication_buffers: 0,
        mem_clients_slaves: 0,
        mem_clients_normal: shared.clients.buffer_bytes(),
        mem_cluster_links: 0,
        mem_aof_buffer: 0,
        mem_allocator: "libc",
        active_defrag_running: 0,
        lazyfree_pending_objects: memory.leaving_entries,
        lazyfreed_objects: 0,
    );
    Ok(())
}

/// `12.34M`, as Redis writes it.
fn human(bytes: u64) -> String {
    let units = [(1u64 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")];
    for (unit, name) in units {
        if bytes >= unit {
            let hundredths = u128::from(bytes) * 100 / u128::from(unit);
            return format!("{}.{:02}{name}", hundredths / 100, hundredths % 100);
        }
    }
    format!("{bytes}B")
}

fn persistence(ctx: &mut Context<'_>, text: &mut String) -> Outcome {
    let shared = ctx.server;
    let unsaved = read(&shared.stats.changes).saturating_sub(read(&shared.stats.changes_saved));
    let store = shared.engine.stats();
    fields!(text,
        loading: 0,
        async_loading: 0,
        rdb_changes_since_last_save: unsaved,
        rdb_bgsave_in_progress: u8::from(shared.background.saving.load(Relaxed)),
        rdb_last_save_time: read(&shared.background.last_save_s),
        rdb_last_bgsave_status: "ok",
        rdb_current_bgsave_time_sec: -1,
        aof_enabled: 1,
        aof_rewrite_in_progress: u8::from(shared.background.merging.load(Relaxed)),
        aof_rewrite_scheduled: 0,
        aof_last_rewrite_time_sec: -1,
        aof_current_rewrite_time_sec: -1,
        aof_last_bgrewrite_status: "ok",
        aof_last_write_status: "ok",
        store_data_files: store.files.len(),
        store_live_bytes: store.live_bytes,
        store_dead_bytes: store.dead_bytes,
        store_blobs: store.blobs,
        store_rolls: store.rolls,
        store_merges: store.merges,
        store_syncs: store.syncs,
        orphan_check_in_progress: u8::from(shared.background.orphans.is_running.load(Relaxed)),
        orphans_removed: read(&shared.background.orphans.removed),
    );
    Ok(())
}

fn stats(ctx: &mut Context<'_>, text: &mut String) -> Outcome {
    let stats = &ctx.server.stats;
    let denied = |reason| ctx.server.access.failures.count(reason);
    fields!(text,
        total_connections_received: read(&stats.connections),
        total_commands_processed: stats.calls(),
        total_net_input_bytes: read(&stats.input_bytes),
        total_net_output_bytes: read(&stats.output_bytes),
        rejected_connections: read(&stats.connections_rejected),
        sync_full: 0,
        sync_partial_ok: 0,
        sync_partial_err: 0,
        expired_keys: read(&stats.expired),
        evicted_keys: read(&stats.evicted),
        evicted_clients: 0,
        keyspace_hits: read(&stats.hits),
        keyspace_misses: read(&stats.misses),
        pubsub_channels: ctx.server.pubsub.names(Kind::Channel),
        pubsub_patterns: ctx.server.pubsub.names(Kind::Pattern),
        pubsubshard_channels: ctx.server.pubsub.names(Kind::Shard),
        latest_fork_usec: 0,
        total_forks: 0,
        tracking_total_keys: 0,
        acl_access_denied_auth: denied(Reason::Auth),
        acl_access_denied_cmd: denied(Reason::Command),
        acl_access_denied_key: denied(Reason::Key),
        acl_access_denied_channel: denied(Reason::Channel),
        unexpected_error_replies: 0,
        total_error_replies: read(&stats.error_replies),
    );
    Ok(())
}

fn replication(ctx: &mut Context<'_>, text: &mut String) -> Outcome {
    fields!(text,
        role: "master",
        connected_slaves: 0,
        master_failover_state: "no-failover",
        master_replid: ctx.server.run_id,
        master_repl_offset: 0,
        repl_backlog_active: 0,
    );
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "all sections have one type")]
fn cpu(_: &mut Context<'_>, text: &mut String) -> Outcome {
    let (system, user) = process::cpu_seconds();
    line(text, format_args!("used_cpu_sys:{system:.6}"));
    line(text, format_args!("used_cpu_user:{user:.6}"));
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "all sections have one type")]
fn cluster(_: &mut Context<'_>, text: &mut String) -> Outcome {
    fields!(text, cluster_enabled: 0);
    Ok(())
}

fn commandstats(ctx: &mut Context<'_>, text: &mut String) -> Outcome {
    for entry in table().entries() {
        entry.with_subcommands().for_each(|entry| commandstat(ctx.server, entry, text));
    }
    Ok(())
}

fn commandstat(shared: &Shared, entry: &Entry, text: &mut String) {
    let of = shared.stats.command(entry);
    let (calls, usec) = (read(&of.calls), read(&of.usec));
    let (rejected, failed) = (read(&of.rejected), read(&of.failed));
    if calls + rejected + failed > 0 {
        let hundredths = (u128::from(usec) * 100).checked_div(u128::from(calls)).unwrap_or(0);
        line(
            text,
            format_args!(
                "cmdstat_{}:calls={calls},usec={usec},usec_per_call={}.{:02},\
                 rejected_calls={rejected},failed_calls={failed}",
                entry.full_name,
                hundredths / 100,
                hundredths % 100
            ),
        );
    }
}

fn latencystats(ctx: &mut Context<'_>, text: &mut String) -> Outcome {
    let percents = ctx.server.parameters.value("latency-tracking-info-percentiles");
    for entry in table().entries().iter().flat_map(Entry::with_subcommands) {
        let Some(histogram) = ctx.server.observer.histogram(entry) else { continue };
        let shown: Vec<String> = percents
            .split_whitespace()
            .filter_map(|percent| Some((percent, percent.parse().ok()?)))
            .map(|(percent, value)| format!("p{percent}={:.3}", histogram.percentile_us(value)))
            .collect();
        let name = &entry.full_name;
        line(text, format_args!("latency_percentiles_usec_{name}:{}", shown.join(",")));
    }
    Ok(())
}

fn errorstats(ctx: &mut Context<'_>, text: &mut String) -> Outcome {
    for (code, count) in ctx.server.stats.errors() {
        line(text, format_args!("errorstat_{code}:count={count}"));
    }
    Ok(())
}

fn keyspace(ctx: &mut Context<'_>, text: &mut String) -> Outcome {
    let figures = ctx.server.engine.expiring();
    for index in 0..ctx.data.count() {
        let keys = ctx.db_at(index).len()?;
        if keys > 0 {
            let expires = figures.get(index).copied().unwrap_or(0);
            line(text, format_args!("db{index}:keys={keys},expires={expires},avg_ttl=0"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_for_people_have_two_decimals() {
        assert_eq!(human(5), "5B");
        assert_eq!(human(1536), "1.50K");
        assert_eq!(human(u64::MAX), "17179869183.99G");
    }
}
