//! Going through the frames of a data file from its start, with bounded memory.
//!
//! Knows a file and where frames follow each other. Decides nothing about damage.

use super::{
    DataFile, FILE_HEADER_LEN, FrameError, FrameView, Parsed, find_next_frame, parse_frame,
};
use crate::error::Result;

/// Goes from frame to frame, over the map where there is one and through a window otherwise.
#[derive(Debug)]
pub(crate) struct FrameWalk<'f> {
    file: &'f DataFile,
    at: u64,
    end: u64,
    window: Vec<u8>,
    window_at: u64,
    /// Up to where the system was asked to bring mapped bytes into memory.
    asked: u64,
}

/// What was found at the walk's place.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// A whole frame at this offset; the walk stands behind it.
    Frame(u64, FrameView<'a>),
    /// Nothing but zeros, or the end of the walk, from this offset.
    End(u64),
    /// Bytes at this offset that are no frame; the walk stays.
    Damaged(u64, FrameError),
}

/// Bytes read at a time where the file is not mapped.
const WINDOW_BYTES: usize = 1 << 20;
/// The window is refilled when fewer bytes than this are left in it.
const LOOK_AHEAD_BYTES: usize = 64 << 10;

/// Keeps a window of mapped bytes ahead of the walk coming; says up to where they were asked for.
#[inline]
fn read_ahead(file: &DataFile, at: u64, asked: u64) -> u64 {
    let window = WINDOW_BYTES as u64;
    if at + window < asked {
        return asked;
    }
    let from = asked.max(at);
    file.read_ahead(from, 2 * WINDOW_BYTES);
    from + 2 * window
}

impl<'f> FrameWalk<'f> {
    /// A walk over the first `end` bytes of the file.
    pub(crate) fn new(file: &'f DataFile, end: u64) -> FrameWalk<'f> {
        let at = FILE_HEADER_LEN as u64;
        let end = end.min(file.written());
        FrameWalk { file, at, end, window: Vec::new(), window_at: 0, asked: at }
    }

    /// Goes on from here, wherever that is.
    pub(crate) fn seek(&mut self, at: u64) {
        self.at = at;
    }

    /// Where it stands.
    pub(crate) fn place(&self) -> u64 {
        self.at
    }

    /// Looks at the frame that starts here and steps over it.
    pub(crate) fn step(&mut self) -> Result<Step<'_>> {
        let at = self.at;
        if at >= self.end {
            return Ok(Step::End(at));
        }
        let left = usize::try_from(self.end - at).unwrap_or(usize::MAX);
        let (key, file) = (self.file.key, self.file);
        let bytes = if let Some(bytes) = file.mapped(at, left) {
            self.asked = read_ahead(file, at, self.asked);
            bytes
        } else {
            self.fill(at, left)?;
            let from = usize::try_from(at - self.window_at).unwrap_or(usize::MAX);
            &self.window[from..]
        };
        Ok(match parse_frame(bytes, key, at) {
            Parsed::End => Step::End(at),
            Parsed::Damaged(e) => Step::Damaged(at, e),
            Parsed::Frame(frame) => {
                self.at = at + frame.len as u64;
                Step::Frame(at, frame)
            }
        })
    }

    /// Makes the window hold the whole frame at `at`, or all that is left.
    fn fill(&mut self, at: u64, left: usize) -> Result<()> {
        if self.held(at) < LOOK_AHEAD_BYTES.min(left) {
            self.load(at, WINDOW_BYTES.min(left))?;
        }
        let from = usize::try_from(at - self.window_at).unwrap_or(usize::MAX);
        match parse_frame(&self.window[from..], self.file.key, at) {
            Parsed::Damaged(FrameError::Truncated { needed, .. }) if needed <= left => {
                self.load(at, needed)
            }
            _ => Ok(()),
        }
    }

    /// Bytes from `at` on that are in the window.
    fn held(&self, at: u64) -> usize {
        let end = self.window_at + self.window.len() as u64;
        if at < self.window_at { 0 } else { usize::try_from(end.saturating_sub(at)).unwrap_or(0) }
    }

    fn load(&mut self, at: u64, len: usize) -> Result<()> {
        self.window.resize(len, 0);
        self.window_at = at;
        self.file.read_exact_at(&mut self.window, at)
    }

    /// Looks for a frame behind damage or zeros and stands before it; false if there is none.
    pub(crate) fn skip_to_next(&mut self) -> Result<bool> {
        let from = self.at + 1;
        if from >= self.end {
            return Ok(false);
        }
        let left = usize::try_from(self.end - from).unwrap_or(usize::MAX);
        let file = self.file;
        let found = file.with_bytes(from, left, |bytes| find_next_frame(bytes, file.key, from))?;
        match found {
            Some(at) => {
                self.at = at;
                Ok(true)
            }
            None => Ok(false),
        }
    }
}
