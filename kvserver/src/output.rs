//! What a client is owed and has not been sent.
//!
//! Replies are bytes in one buffer. A long frame that many clients get is kept once: each has its
//! place in the stream and a share of the frame.
//!
//! Knows bytes and how to write them. Does not know what they mean.
//!
//! # Laws
//!
//! O1. What leaves is what was put in, in that order, whatever part of it the socket takes.
//! O2. Memory follows what has not been sent: empty buffers that have grown are given back, or
//!     kept for other connections, a bounded number for each worker.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use std::sync::Arc;

/// A buffer that has grown beyond this is given back when it is empty.
const KEPT_BYTES_MAX: usize = 16 * 1024;
/// Bytes that have been sent stay in front of the others up to this many.
const SENT_BYTES_MAX: usize = 1 << 20;
/// Pieces handed to the system at once.
const PIECES_MAX: usize = 32;

/// Buffers of a worker that wait for the next connection with long replies, and how long each is
/// at most. Few are ever needed, as replies leave before many have gathered.
const SPARES_MAX: usize = 8;
const SPARE_BYTES_MAX: usize = 1 << 20;

thread_local! { static SPARES: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) }; }

/// Gives a buffer that has grown to the worker's other connections, or back to the system.
fn give_up(mut bytes: Vec<u8>) {
    if bytes.capacity() <= SPARE_BYTES_MAX {
        bytes.clear();
        SPARES.with_borrow_mut(|spares| {
            if spares.len() < SPARES_MAX {
                spares.push(bytes);
            }
        });
    }
}

/// A frame among the bytes.
#[derive(Debug)]
struct Shared {
    /// It stands before `bytes[at]`.
    at: usize,
    frame: Arc<[u8]>,
}

/// The output of one connection.
#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    /// How many of `bytes` have left.
    sent: usize,
    shared: VecDeque<Shared>,
    /// How much of the first shared frame has left.
    shared_sent: usize,
    /// Bytes in all shared frames.
    shared_bytes: usize,
}

impl Output {
    /// Where replies are appended. Nothing before its present end may be changed.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = SPARES.with_borrow_mut(|spares| spares.pop().unwrap_or_default());
        }
        &mut self.bytes
    }
    /// The end of the buffer, to come back to with [`Output::truncate`].
    pub(crate) fn end(&self) -> usize {
        self.bytes.len()
    }
    /// How many bytes wait.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.sent + self.shared_bytes - self.shared_sent
    }
    /// Appends a frame without copying it.
    pub(crate) fn share(&mut self, frame: &Arc<[u8]>) {
        self.shared_bytes += frame.len();
        self.shared.push_back(Shared { at: self.bytes.len(), frame: Arc::clone(frame) });
    }
    /// Forgets what came after `end`, and has not begun to leave.
    pub(crate) fn truncate(&mut self, end: usize) {
        while let Some(last) = self.shared.back()
            && last.at > end
        {
            self.shared_bytes -= last.frame.len();
            self.shared.pop_back();
        }
        self.bytes.truncate(end.max(self.sent));
    }
    /// Forgets everything that has not begun to leave.
    pub(crate) fn discard(&mut self) {
        self.bytes.truncate(self.sent);
        let begun = usize::from(self.shared_sent > 0);
        self.shared.truncate(begun);
        self.shared_bytes = self.shared.iter().map(|shared| shared.frame.len()).sum();
    }

    /// Writes as much as `to` takes now; false if it takes no more.
    pub(crate) fn write(&mut self, to: &mut impl Write) -> io::Result<bool> {
        while self.len() > 0 {
            let result = if self.shared.is_empty() {
                to.write(&self.bytes[self.sent..])
            } else {
                self.write_pieces(to)
            };
            match result {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.advance(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn write_pieces(&self, to: &mut impl Write) -> io::Result<usize> {
        let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
        let (mut count, mut at, mut skip) = (0, self.sent, self.shared_sent);
        let mut add = |piece| {
            if count < PIECES_MAX {
                pieces[count] = IoSlice::new(piece);
                count += 1;
            }
        };
        for Shared { at: before, frame } in self.shared.iter().take(PIECES_MAX / 2) {
            if at < *before {
                add(&self.bytes[at..*before]);
                at = *before;
            }
            add(&frame[skip..]);
            skip = 0;
        }
        if self.shared.len() <= PIECES_MAX / 2 && at < self.bytes.len() {
            add(&self.bytes[at..]);
        }
        to.write_vectored(&pieces[..count])
    }

    /// The next `count` bytes have left.
    fn advance(&mut self, mut count: usize) {
        while let Some(first) = self.shared.front() {
            let before = (first.at - self.sent).min(count);
            self.sent += before;
            count -= before;
            let left = first.frame.len() - self.shared_sent;
            if self.sent < first.at || count < left {
                self.shared_sent += count;
                return;
            }
            count -= left;
            self.shared_bytes -= first.frame.len();
            self.shared_sent = 0;
            self.shared.pop_front();
        }
        self.sent += count;
    }

    /// Gives back the room of what has left.
    pub(crate) fn tidy(&mut self) {
        if self.len() == 0 {
            self.bytes.clear();
            self.sent = 0;
            if self.bytes.capacity() > KEPT_BYTES_MAX {
                give_up(std::mem::take(&mut self.bytes));
            }
            if self.shared.capacity() > PIECES_MAX {
                self.shared = VecDeque::new();
            }
        } else if self.sent > SENT_BYTES_MAX {
            self.bytes.drain(..self.sent);
            self.shared.iter_mut().for_each(|shared| shared.at -= self.sent);
            self.sent = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes at most `step` bytes at once, and blocks after every third call.
    struct Reluctant {
        got: Vec<u8>,
        step: usize,
        calls: usize,
    }
    impl Write for Reluctant {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.calls += 1;
            if self.calls.is_multiple_of(3) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let count = bytes.len().min(self.step);
            self.got.extend_from_slice(&bytes[..count]);
            Ok(count)
        }
        fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
            let all: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter().copied()).collect();
            self.write(&all)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn o1_bytes_and_shared_frames_leave_in_order_whatever_the_socket_takes() {
        for seed in 0..300 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let (mut output, mut wanted) = (Output::default(), Vec::new());
            let step = rng.usize(1..200);
            let mut to = Reluctant { got: Vec::new(), step, calls: 0 };
            for _ in 0..rng.usize(1..120) {
                let piece: Vec<u8> = (0..rng.usize(1..60)).map(|_| rng.u8(..)).collect();
                wanted.extend_from_slice(&piece);
                if rng.bool() {
                    output.share(&piece.into());
                } else {
                    output.buffer().extend_from_slice(&piece);
                }
                if rng.u8(..8) == 0 {
                    output.write(&mut to).unwrap();
                    output.tidy();
                    assert_eq!(output.len(), wanted.len() - to.got.len(), "seed {seed}");
                }
            }
            while !output.write(&mut to).unwrap() {}
            assert_eq!(to.got, wanted, "seed {seed}");
            assert_eq!(output.len(), 0);
        }
    }

    #[test]
    fn truncating_takes_back_what_came_after_the_mark() {
        let mut output = Output::default();
        output.buffer().extend_from_slice(b"ab");
        output.share(&b"cd"[..].into());
        let end = output.end();
        output.buffer().extend_from_slice(b"ef");
        output.share(&b"gh"[..].into());
        output.truncate(end);
        let mut got = Vec::new();
        output.write(&mut got).unwrap();
        assert_eq!(got, b"abcd");
        output.discard();
        assert_eq!(output.len(), 0);
    }

    #[test]
    fn o2_what_was_sent_holds_no_memory() {
        let mut output = Output::default();
        output.buffer().resize(1 << 20, 0);
        (0..100).for_each(|_| output.share(&vec![0; 5000].into()));
        output.write(&mut io::sink()).unwrap();
        output.tidy();
        assert!(output.bytes.capacity() <= KEPT_BYTES_MAX);
        assert!(output.shared.capacity() <= PIECES_MAX);
    }
}
