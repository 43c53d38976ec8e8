//! How many files the system lets this process open, which bounds how many clients it can serve.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors the server needs for itself: data files, reactors, the log.
const FILES_RESERVED: u64 = 512;

/// Raises the limit of open files of this process, as far as the system allows, so that this many
/// clients can be served; how many can be, at most as many as asked for.
///
/// Never lowers the limit.
///
/// ```
/// assert_eq!(kvserver::make_room_for_clients(1), 1);
/// ```
pub fn make_room_for_clients(wanted: usize) -> usize {
    let needed = u64::try_from(wanted).unwrap_or(u64::MAX).saturating_add(FILES_RESERVED);
    let limit = getrlimit(Resource::Nofile);
    let Some(current) = limit.current.filter(|current| *current < needed) else { return wanted };
    let allowed = limit.maximum.unwrap_or(u64::MAX).min(needed);
    let raised = Rlimit { current: Some(allowed), maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the limit of open files");
        return fitting(current, wanted);
    }
    fitting(allowed, wanted)
}

fn fitting(files: u64, wanted: usize) -> usize {
    let room = files.saturating_sub(FILES_RESERVED).max(files / 2).max(1);
    wanted.min(usize::try_from(room).unwrap_or(usize::MAX))
}

/// Refuses a number of clients that the system has no room for; the text is Redis' own.
pub(crate) fn check_clients_max(value: &str) -> Result<(), String> {
    // The parameter's bounds fit.
    let wanted = value.parse().unwrap_or(usize::MAX);
    match make_room_for_clients(wanted) {
        room if room < wanted => Err(format!(
            "The operating system is not able to handle the specified number of clients, try with \
             {room}"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_descriptors_are_kept_for_the_server() {
        assert_eq!(fitting(1024, 10_000), 512);
        assert_eq!(fitting(10_512, 10_000), 10_000);
        assert_eq!(fitting(100, 10_000), 50);
        assert_eq!(fitting(0, 10_000), 1);
    }
}
