//! A bound on the memory of a child process, page cache included: a control group of its own.
//!
//! Needs Linux and the right to make control groups (root, or a delegated group). Both versions
//! of the interface are known. Where it is not possible the error says what to do instead.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::Result;

/// The environment variable that tells a child the group to join.
pub(crate) const GROUP: &str = "KV_BENCH_MEMORY_GROUP";

/// Where control groups are mounted.
const ROOT: &str = "/sys/fs/cgroup";

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A control group, removed when dropped.
#[derive(Debug)]
pub(crate) struct Group(PathBuf);

impl Group {
    /// A group below that of this process, whose processes have this much memory together.
    pub(crate) fn new(bytes: u64) -> Result<Group> {
        Group::create(bytes).map_err(|e| {
            format!(
                "no control group with a memory limit ({e}); run as root, or give up the limit \
                 with `--suite` and start all of it under `systemd-run --user --scope \
                 -p MemoryMax={bytes}`"
            )
            .into()
        })
    }

    fn create(bytes: u64) -> io::Result<Group> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("kv-bench-{}-{number}", std::process::id());
        let (parent, limit) = parent()?;
        let group = Group(parent.join(name));
        fs::create_dir(&group.0)?;
        fs::write(group.0.join(limit), bytes.to_string())?;
        Ok(group)
    }

    /// Its directory.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Its processes have ended. What cannot be removed is empty and does no harm.
        let _ = fs::remove_dir(&self.0);
    }
}

/// The group of this process, and the name of the file that holds the limit.
fn parent() -> io::Result<(PathBuf, &'static str)> {
    let groups = fs::read_to_string("/proc/self/cgroup")?;
    let of_version_1 = groups.lines().find_map(|line| line.split_once(":memory:"));
    if let Some((_, path)) = of_version_1 {
        let path = Path::new(ROOT).join("memory").join(path.trim_start_matches('/'));
        return Ok((path, "memory.limit_in_bytes"));
    }
    let path = groups.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    Ok((Path::new(ROOT).join(path.trim_start_matches('/')), "memory.max"))
}

/// In a child: joins the group it was told to, if any.
pub(crate) fn join_group() -> Result<()> {
    let Some(group) = std::env::var_os(GROUP) else { return Ok(()) };
    let processes = Path::new(&group).join("cgroup.procs");
    Ok(fs::write(processes, std::process::id().to_string())?)
}
