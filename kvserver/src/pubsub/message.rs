//! One message, and the bytes its subscribers are sent: made once, whoever needs them first.
//!
//! Pure: knows neither clients nor threads.

use std::sync::{Arc, OnceLock};

use super::{Kind, Name};
use crate::resp::{Protocol, Reply};

/// A frame this long is shared by the clients it waits for; a shorter one is copied to each.
const SHARED_BYTES_MIN: usize = 1024;

/// What was published.
#[derive(Debug)]
pub(crate) struct Message {
    number: u64,
    kind: Kind,
    channel: Name,
    payload: Box<[u8]>,
    frame: OnceLock<Frame>,
    /// Patterns with subscribers that the channel matches.
    patterns: Vec<(Name, OnceLock<Frame>)>,
}

impl Message {
    pub(super) fn new(
        number: u64,
        kind: Kind,
        channel: Name,
        payload: Box<[u8]>,
        patterns: Vec<Name>,
    ) -> Self {
        let patterns = patterns.into_iter().map(|pattern| (pattern, OnceLock::new())).collect();
        Message { number, kind, channel, payload, frame: OnceLock::new(), patterns }
    }
    pub(super) fn number(&self) -> u64 {
        self.number
    }
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }
    pub(super) fn channel(&self) -> &Name {
        &self.channel
    }
    #[cfg(test)]
    pub(super) fn payload(&self) -> &[u8] {
        &self.payload
    }
    /// What subscribers of the channel are sent.
    pub(super) fn frame(&self) -> &Frame {
        let word: &[u8] = if self.kind == Kind::Shard { b"smessage" } else { b"message" };
        self.frame.get_or_init(|| Frame::push(&[word, &self.channel, &self.payload]))
    }
    /// What subscribers of each pattern are sent.
    pub(super) fn pattern_frames(&self) -> impl Iterator<Item = (&Name, &Frame)> {
        self.patterns.iter().map(|(pattern, frame)| {
            let push = || Frame::push(&[b"pmessage", pattern, &self.channel, &self.payload]);
            (pattern, frame.get_or_init(push))
        })
    }
}

/// Bytes to send to clients who did not ask just now, in either protocol version.
#[derive(Debug)]
pub(crate) struct Frame {
    /// As RESP2 has it. RESP3 differs in the first byte.
    bytes: Arc<[u8]>,
    is_push: bool,
    /// The same for RESP3, once somebody needs a share of it.
    resp3: OnceLock<Arc<[u8]>>,
}

impl Frame {
    /// A push of bulk strings, an array in RESP2.
    fn push(parts: &[&[u8]]) -> Self {
        let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 16).sum());
        let mut reply = Reply::new(&mut bytes, Protocol::Resp2);
        reply.array(parts.len());
        parts.iter().for_each(|part| reply.bulk(part));
        Frame { bytes: bytes.into(), is_push: true, resp3: OnceLock::new() }
    }

    /// The same bytes in both versions.
    pub(crate) fn line(bytes: Vec<u8>) -> Self {
        Frame { bytes: bytes.into(), is_push: false, resp3: OnceLock::new() }
    }

    /// The first byte, for a version.
    pub(crate) fn head(&self, protocol: Protocol) -> u8 {
        if self.is_push && protocol == Protocol::Resp3 { b'>' } else { self.bytes[0] }
    }
    /// What follows the first byte.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.bytes[1..]
    }
    /// The whole frame with this first byte, if it is long enough to be shared.
    pub(crate) fn shared(&self, head: u8) -> Option<&Arc<[u8]>> {
        if self.bytes.len() < SHARED_BYTES_MIN {
            return None;
        }
        Some(if head == self.bytes[0] {
            &self.bytes
        } else {
            self.resp3.get_or_init(|| {
                let mut bytes = self.bytes.to_vec();
                bytes[0] = head;
                bytes.into()
            })
        })
    }
}
