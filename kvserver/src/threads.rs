//! The threads of the server, each of which is missed when it ends too early.
//!
//! Does not know what they do.
//!
//! # Laws
//!
//! H1. A thread that panics is told of. Without it some clients would wait for ever, and new ones
//!     would be given to nobody: the server ends instead, and whoever watches it starts it again.

use std::thread::{self, JoinHandle};

use crate::error::Error;

/// Starts a thread; `panicked` is called with its name if it panics, before it ends.
pub(crate) fn spawn(
    name: &str,
    panicked: impl FnOnce(String) + Send + 'static,
    run: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, Error> {
    let alarm = Alarm(Some((name.to_owned(), panicked)));
    let guarded = move || {
        let _alarm = alarm;
        run();
    };
    let builder = thread::Builder::new().name(name.to_owned());
    builder.spawn(guarded).map_err(Error::io("cannot start a thread"))
}

/// Waits for the end of threads. Their panics have been told of.
pub(crate) fn join(threads: &mut Vec<JoinHandle<()>>) {
    for thread in threads.drain(..) {
        if thread.join().is_err() {
            tracing::error!("a thread of the server panicked");
        }
    }
}

/// Rings if it is dropped by a panic.
struct Alarm<F: FnOnce(String)>(Option<(String, F)>);

impl<F: FnOnce(String)> Drop for Alarm<F> {
    fn drop(&mut self) {
        if let (true, Some((name, panicked))) = (thread::panicking(), self.0.take()) {
            panicked(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn h1_a_thread_that_panics_is_told_of_and_one_that_ends_is_not() {
        let (told, names) = channel();
        let panicking = told.clone();
        let mut threads = vec![
            spawn("calm", move |name| told.send(name).unwrap(), || {}).unwrap(),
            spawn("wild", move |name| panicking.send(name).unwrap(), || panic!("a bug")).unwrap(),
        ];
        join(&mut threads);
        assert_eq!(names.iter().collect::<Vec<_>>(), ["wild"]);
    }
}
