//! Running the requests of connections that only read, under the shared gate.

use std::sync::Arc;

use super::Worker;

/// Replies leave when there are more bytes of them than this.
const OWED_BYTES_MAX: usize = 128 * 1024;

impl Worker {
    /// Long replies leave before others are made: what has just been written is in the caches.
    pub(super) fn run_readers(&mut self, slots: &[usize]) {
        let mut left = slots;
        while !left.is_empty() {
            let (done, rest) = left.split_at(self.run_some_readers(left));
            if !rest.is_empty() {
                for slot in done {
                    if let Some(connection) = &mut self.connections[*slot] {
                        connection.flush(&self.shared.stats);
                    }
                }
            }
            left = rest;
        }
    }

    /// Runs the first of these connections, up to where their replies grow long; how many.
    fn run_some_readers(&mut self, slots: &[usize]) -> usize {
        let shared = Arc::clone(&self.shared);
        let (turn, observed, done) = {
            let _gate = shared.gate.read();
            let (mut executor, connections) = self.executor(&shared);
            let (mut done, mut owed) = (0, 0);
            for &slot in slots {
                if let Some(connection) = &mut connections[slot] {
                    connection.run(&mut executor, None);
                    owed += connection.output_len();
                }
                done += 1;
                if owed > OWED_BYTES_MAX {
                    break;
                }
            }
            let turn = executor.turn;
            self.post();
            (turn, shared.engine.tip(), done)
        };
        self.hold(&slots[..done], observed);
        self.end_turn(turn, &slots[..done], None);
        done
    }
}
