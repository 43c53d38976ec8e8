//! Threads whose work can wait come after those whose work cannot.
//!
//! Knows the operating system, and stands beside what else does. Does not know what threads do.
//!
//! On Linux a priority is a thread's; elsewhere it is the whole process's, and nothing changes.

/// A weight of about a tenth: each step takes a fifth (man 7 sched, "The nice value").
#[cfg(any(target_os = "linux", target_os = "android"))]
const STEPS: i32 = 10;

/// Others come before the calling thread, for good: the way back takes a privilege.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn lower_priority() {
    // What fails leaves a thread like any other.
    let _ = rustix::process::nice(STEPS);
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn lower_priority() {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::{STEPS, lower_priority};
    use rustix::process::getpriority_process;

    #[test]
    fn priority_is_lowered_of_the_calling_thread_only() {
        let before = getpriority_process(None).unwrap();
        let lowered = std::thread::spawn(|| {
            lower_priority();
            getpriority_process(None).unwrap()
        });
        assert_eq!(lowered.join().unwrap(), (before + STEPS).min(19));
        assert_eq!(getpriority_process(None).unwrap(), before);
    }
}
