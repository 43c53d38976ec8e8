//! What the operating system says about this process, for INFO, and about its threads.
//!
//! The only file of the server that reads files; it opens nothing a client names.

use std::fs;
use std::time::Duration;

/// Memory of the process, in bytes; zero where the system does not tell.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// Resident, of every kind.
    pub(crate) resident: u64,
    /// Resident and not backed by files: what the data structures take.
    pub(crate) anonymous: u64,
    /// The most that ever was resident.
    pub(crate) peak: u64,
}

/// Reads the memory of this process. About 20 µs.
pub(crate) fn memory() -> Memory {
    let Ok(status) = fs::read_to_string("/proc/self/status") else { return Memory::default() };
    let kib = |field: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let digits = line.and_then(|line| line.split_whitespace().nth(1));
        digits.and_then(|digits| digits.parse::<u64>().ok()).unwrap_or(0) * 1024
    };
    Memory { resident: kib("VmRSS"), anonymous: kib("RssAnon"), peak: kib("VmHWM") }
}

/// The machine's memory in bytes; zero where the system does not tell.
pub(crate) fn machine_memory() -> u64 {
    let Ok(info) = fs::read_to_string("/proc/meminfo") else { return 0 };
    let line = info.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let digits = line.and_then(|line| line.split_whitespace().next());
    digits.and_then(|digits| digits.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Seconds of processor time, in the system and in the program.
pub(crate) fn cpu_seconds() -> (f64, f64) {
    let Ok(stat) = fs::read_to_string("/proc/self/stat") else { return (0.0, 0.0) };
    // The name may hold anything, a parenthesis too; the fields begin after the last one.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let ticks: Vec<f64> = fields.skip(11).take(2).filter_map(|n| n.parse().ok()).collect();
    // The unit is 1/100 s on every Linux system in use.
    match ticks[..] {
        [user, system] => (system / 100.0, user / 100.0),
        _ => (0.0, 0.0),
    }
}

/// The processor time that the calling thread has taken; a system call.
pub(crate) fn thread_time() -> Duration {
    let taken = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(taken).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn linux_tells_memory_and_time() {
        let memory = memory();
        assert!(memory.resident > 0 && memory.anonymous <= memory.resident);
        assert!(machine_memory() >= memory.resident);
        assert!(cpu_seconds().1 >= 0.0);
    }

    #[test]
    fn a_thread_that_works_takes_time() {
        let before = thread_time();
        while thread_time() == before {}
        assert!(thread_time() > before);
    }
}
