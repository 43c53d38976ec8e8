//! One client: its socket, what it has sent, what it is owed.
//!
//! Reads and writes bytes; what runs in between is the executor's business.

use std::io::Read;
use std::sync::atomic::Ordering::Relaxed;

use mio::net::TcpStream;

use crate::access::Access;
use crate::client::{Buffers, ClientState};
use crate::command::Flags;
use crate::command::table::Entry;
use crate::data::{Ahead, Named, Position, Round};
use crate::executor::Executor;
use crate::inbox::{Inbox, Next, Received};
use crate::output::Output;
use crate::output_limits::{Excess, OutputLimits};
use crate::pause::Pause;
use crate::pubsub::Frame;
use crate::resp::{Limits, Reply};
use crate::shared::{Shared, now_ms};
use crate::staging::Staging;
use crate::stats::Stats;

/// While more than this waits to be sent, nothing of the client is read or run. What is written
/// to a socket at once should come from the processor's caches.
const OUTPUT_BYTES_PAUSE: usize = 256 * 1024;
/// More than this is never kept for a client: the connection is closed.
const OUTPUT_BYTES_MAX: usize = 1 << 30;

/// The same as long as a client has not authenticated.
const STRANGER_OUTPUT_BYTES_PAUSE: usize = 16 * 1024;
/// More than this is not kept for such a client once its socket takes no more.
const STRANGER_OUTPUT_BYTES_MAX: usize = 1024;
/// What the protocol allows such a client, as in Redis.
const STRANGER_LIMITS: Limits =
    Limits { args_max: 10, bulk_len_max: 16 * 1024, authenticated: false };

/// Reads of unread input before a connection is closed.
const READS_AT_END_MAX: usize = 64;

/// A connection, owned by its worker.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) client: ClientState,
    /// The last of its worker's periods in which it had a request.
    pub(crate) spoke_in: u64,
    inbox: Option<Box<Inbox>>,
    out: Output,
    /// Since when more waits to be sent than the soft limit of its class allows.
    excess: Excess,
    /// The socket may have bytes for us.
    readable: bool,
    /// The inbox may hold requests that have not been looked for.
    unparsed: bool,
    /// The peer has ended its side: read until the end at once, no edge will come.
    peer_closed: bool,
    writable: bool,
    /// Its replies wait until this is durable; meanwhile nothing of it is read or run.
    held_until: Option<Position>,
    /// Not all of its output has left at the last attempt.
    is_behind: bool,
    /// A request of it waits for the end of a pause, and its worker has still to note it.
    newly_postponed: bool,
    /// Requests and errors after which the connection ends, once its output has left.
    closing: bool,
    dead: bool,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, mut client: ClientState) -> Self {
        client.staging = Staging::by_helper();
        Connection {
            stream,
            client,
            spoke_in: 0,
            inbox: None,
            out: Output::default(),
            excess: Excess::default(),
            readable: true,
            unparsed: false,
            peer_closed: false,
            writable: true,
            held_until: None,
            is_behind: false,
            newly_postponed: false,
            closing: false,
            dead: false,
        }
    }

    pub(crate) fn note_event(&mut self, event: &mio::event::Event) {
        self.readable |= event.is_readable() || event.is_read_closed();
        self.peer_closed |= event.is_read_closed();
        self.writable |= event.is_writable();
        self.dead |= event.is_error();
    }

    /// Reads what is there and finds the requests in it. `lend` gives an empty inbox.
    pub(crate) fn receive(
        &mut self,
        limits: &Limits,
        input_bytes_max: usize,
        lend: impl FnOnce() -> Box<Inbox>,
        shared: &Shared,
    ) {
        if self.waiting() > 0 || self.is_paused() || self.closing || self.dead {
            return;
        }
        if self.unparsed {
            self.parse(limits, &shared.access);
            return;
        }
        if !self.readable {
            return;
        }
        let inbox = self.inbox.get_or_insert_with(lend);
        let received = match inbox.receive(&mut self.stream) {
            Ok(Received::Drained(count)) => {
                self.readable = self.peer_closed;
                count
            }
            Ok(Received::More(count)) => count,
            Ok(Received::Closed) => {
                self.closing = true;
                return;
            }
            Err(_) => {
                self.dead = true;
                return;
            }
        };
        let received = u64::try_from(received).unwrap_or(0);
        self.client.traffic.input_bytes += received;
        shared.stats.input_bytes.fetch_add(received, Relaxed);
        self.parse(limits, &shared.access);
        if received > 0 && self.waiting() == 0 {
            self.note_activity();
        }
        let Some(inbox) = &self.inbox else { return };
        if inbox.waiting() == 0 && inbox.len() > input_bytes_max {
            let (id, len_bytes) = (self.client.id, inbox.len());
            tracing::warn!(id, len_bytes, "closing a client that exceeds its query buffer");
            self.dead = true;
        }
    }

    /// Finds the requests in what has been received. Of a client that has not authenticated, only
    /// up to one that may do so: what comes after it may be long.
    fn parse(&mut self, limits: &Limits, access: &Access) {
        let Some(inbox) = &mut self.inbox else {
            self.unparsed = false;
            return;
        };
        if self.client.is_authenticated || access.is_open() {
            inbox.parse(limits);
            self.unparsed = false;
        } else {
            self.unparsed = inbox.parse_until(&STRANGER_LIMITS, |entry| {
                entry.is_some_and(|entry| entry.command.flags.has(Flags::NO_AUTH))
            });
        }
    }
    /// How much may wait to be sent before nothing is read or run.
    fn output_pause(&self) -> usize {
        let is_stranger = !self.client.is_authenticated;
        if is_stranger { STRANGER_OUTPUT_BYTES_PAUSE } else { OUTPUT_BYTES_PAUSE }
    }
    /// Ends a connection that has not authenticated and does not read what it is answered.
    pub(crate) fn check_stranger(&mut self, access: &Access) {
        if self.client.is_authenticated || access.is_open() || self.is_held() {
            return;
        }
        let len_bytes = self.out.len();
        if len_bytes > STRANGER_OUTPUT_BYTES_MAX && !self.dead {
            let id = self.client.id;
            tracing::warn!(id, len_bytes, "closing a stranger that does not read");
            self.dead = true;
        }
    }

    /// Requests that could run now.
    pub(crate) fn waiting(&self) -> usize {
        self.inbox.as_ref().map_or(0, |inbox| inbox.waiting())
    }
    pub(crate) fn is_runnable(&self) -> bool {
        !self.dead && !self.closing && !self.is_paused() && self.has_work()
    }
    /// True while the server, not the client, is to act next.
    pub(crate) fn waits_for_server(&self) -> bool {
        self.is_held()
            || self.client.staging.is_waiting()
            || self.client.blocked.is_some()
            || self.client.is_postponed
    }
    /// True if another worker may serve it from now on: it has sent nothing that has not been
    /// answered, has all its answers, and nobody knows its place.
    pub(crate) fn may_move(&self) -> bool {
        let is_quiet = self.inbox.is_none() && self.out.len() == 0 && !self.wants_turn();
        let is_well = self.writable && !self.peer_closed && !self.closing && !self.dead;
        is_quiet && is_well && !self.waits_for_server() && !self.client.hears()
    }
    /// When bytes moved last, in milliseconds since the Unix epoch.
    pub(crate) fn active_ms(&self) -> u64 {
        self.client.card.seen.lock().active_ms
    }
    /// Bytes have moved without a request that has run.
    fn note_activity(&self) {
        self.client.card.seen.lock().active_ms = now_ms();
    }
    fn has_work(&self) -> bool {
        let work = |inbox: &Inbox| inbox.waiting() > 0 || inbox.error().is_some();
        self.inbox.as_ref().is_some_and(|inbox| work(inbox))
    }
    /// The keys of waiting requests that are worth fetching this far before they run.
    pub(crate) fn keys_to_fetch(&self, ahead: Ahead) -> impl Iterator<Item = &[u8]> {
        self.inbox.iter().flat_map(move |inbox| inbox.keys_to_fetch(ahead))
    }
    /// The names of elements that are.
    pub(crate) fn names_to_fetch(&self, ahead: Ahead) -> impl Iterator<Item = Named<'_>> {
        self.inbox.iter().flat_map(move |inbox| inbox.names_to_fetch(ahead))
    }
    /// True if one of the waiting requests may write.
    pub(crate) fn may_write(&self) -> bool {
        self.inbox.as_ref().is_some_and(|inbox| inbox.may_write())
    }
    fn is_paused(&self) -> bool {
        self.waits_for_server() || self.out.len() > self.output_pause()
    }
    /// True if there is something to do without waiting for an event.
    pub(crate) fn wants_turn(&self) -> bool {
        let can_go_on = (self.readable || self.unparsed) && !self.closing;
        !self.dead && !self.is_paused() && (can_go_on || self.is_runnable())
    }
    pub(crate) fn is_finished(&self) -> bool {
        // Who waits and has ended its side is gone, whatever it has sent before that.
        let waits = self.client.blocked.is_some() || self.client.is_postponed;
        let has_left = self.peer_closed && waits;
        self.dead || has_left || (self.closing && self.out.len() == 0)
    }
    /// True once for each request that waits for the end of a pause.
    pub(crate) fn take_newly_postponed(&mut self) -> bool {
        std::mem::take(&mut self.newly_postponed)
    }
    /// The pause that a request waits for is over, or the connection is.
    pub(crate) fn end_postponement(&mut self, pause: &Pause) {
        if std::mem::take(&mut self.client.is_postponed) {
            pause.count(false);
            self.client.card.set_blocked(false);
        }
    }
    /// The client's wait is over, with this answer.
    pub(crate) fn unblock(&mut self, reply: &[u8]) {
        if let Some(blocked) = self.client.blocked.take() {
            blocked.answer(reply, self.out.buffer());
        }
    }

    /// Runs the waiting requests, as far as the output allows.
    pub(crate) fn run(
        &mut self,
        executor: &mut Executor<'_>,
        mut round: Option<&mut Round<'_, '_>>,
    ) {
        let pause = self.output_pause();
        let Some(inbox) = &mut self.inbox else { return };
        let (client, out) = (&mut self.client, &mut self.out);
        let mut last: Option<&'static Entry> = None;
        inbox.take(|entry, args| {
            client.traffic.commands += 1;
            let posted = executor.outbox.len();
            executor.execute(entry, args, client, out.buffer(), round.as_deref_mut());
            last = entry.or(last);
            if client.staging.is_wanted() || client.is_postponed {
                client.traffic.commands -= 1;
                return Next::Keep;
            }
            // What it has told itself comes before its next reply.
            let hears_itself = executor.outbox.len() != posted && client.hears();
            let is_over = client.close || client.blocked.is_some();
            let stop = is_over || hears_itself || out.len() > pause;
            if stop { Next::Stop } else { Next::GoOn }
        });
        executor.end_run();
        if client.is_postponed {
            executor.shared.pause.count(true);
            self.newly_postponed = true;
            client.card.set_blocked(true);
        }
        if let (0, Some(error), None) = (inbox.waiting(), inbox.error(), &client.blocked) {
            let text = format!("ERR {error}");
            executor.shared.stats.error(&text);
            Reply::new(out.buffer(), client.protocol).error(&text);
            client.close = true;
        }
        if client.close {
            inbox.discard();
            self.closing = true;
        }
        let buffers = Buffers { input: inbox.len(), output: out.len() };
        client.publish(last, executor.time.now_ms(), buffers);
        self.dead |= self.out.len() > OUTPUT_BYTES_MAX;
    }

    /// Appends a frame the client did not ask for just now.
    pub(crate) fn push(&mut self, frame: &Frame) {
        if self.closing || self.dead {
            return;
        }
        let head = frame.head(self.client.protocol);
        match frame.shared(head) {
            Some(shared) => self.out.share(shared),
            None => {
                self.out.buffer().push(head);
                self.out.buffer().extend_from_slice(frame.rest());
            }
        }
        self.dead |= self.out.len() > OUTPUT_BYTES_MAX;
    }

    /// Ends the connection if more waits to be sent than `limits` allow; true if it may have to
    /// end later although nothing happens meanwhile.
    pub(crate) fn check_output(&mut self, limits: &OutputLimits, now_ms: impl Fn() -> u64) -> bool {
        let limit = limits.of(self.client.class());
        if limit.is_none() {
            return false;
        }
        let len_bytes = self.out.len();
        if self.excess.is_too_much(limit, len_bytes, now_ms) && !self.dead {
            tracing::warn!(self.client.id, len_bytes, "closing a client that does not read");
            self.dead = true;
        }
        !self.dead && self.excess.is_begun()
    }

    /// How many bytes wait to be sent.
    pub(crate) fn output_len(&self) -> usize {
        self.out.len()
    }
    /// Where the output ends now: what is after this belongs to the round that begins.
    pub(crate) fn output_end(&self) -> usize {
        self.out.end()
    }
    /// The replies after `end` were not true, as the store failed: one error takes their place.
    pub(crate) fn fail_from(&mut self, end: usize, cause: &dyn std::fmt::Display) {
        self.out.truncate(end);
        self.fail(cause);
    }
    fn fail(&mut self, cause: &dyn std::fmt::Display) {
        let text = format_args!("ERR the store failed: {cause}");
        Reply::new(self.out.buffer(), self.client.protocol).error(&text);
        self.closing = true;
    }
    /// The replies that wait for a sync will never be true.
    pub(crate) fn fail_held(&mut self, cause: &dyn std::fmt::Display) {
        self.held_until = None;
        self.out.discard();
        self.fail(cause);
    }

    /// Keeps the replies until `position` is durable.
    pub(crate) fn hold_until(&mut self, position: Position) {
        if self.out.len() > 0 {
            self.held_until = Some(position);
        }
    }
    pub(crate) fn is_held(&self) -> bool {
        self.held_until.is_some()
    }
    /// Lets the replies go if `durable` has reached what they tell.
    pub(crate) fn release(&mut self, durable: Position) {
        if self.held_until.is_some_and(|position| position <= durable) {
            self.held_until = None;
        }
    }

    /// Sends what may be sent.
    pub(crate) fn flush(&mut self, stats: &Stats) {
        if self.held_until.is_some() || !self.writable {
            return;
        }
        let before = self.out.len();
        match self.out.write(&mut self.stream) {
            Ok(taken) => self.writable = taken,
            Err(_) => self.dead = true,
        }
        let count = u64::try_from(before - self.out.len()).unwrap_or(0);
        self.client.traffic.output_bytes += count;
        stats.output_bytes.fetch_add(count, Relaxed);
        self.out.tidy();
        let is_behind = self.out.len() > 0;
        if is_behind {
            self.client.card.seen.lock().buffers.output = self.out.len();
        }
        // Otherwise what has left is the reply to a request, and when that ran is known.
        if std::mem::replace(&mut self.is_behind, is_behind) && count > 0 {
            self.note_activity();
        }
    }

    /// The inbox, if nothing is in it.
    pub(crate) fn give_back_inbox(&mut self) -> Option<Box<Inbox>> {
        self.inbox.take_if(|inbox| inbox.is_empty())
    }

    /// Says goodbye, so that the last reply is not lost to bytes that were never read.
    pub(crate) fn end(&mut self) {
        if self.closing && self.stream.shutdown(std::net::Shutdown::Write).is_ok() {
            let mut rest = [0; 4096];
            for _ in 0..READS_AT_END_MAX {
                if !matches!(self.stream.read(&mut rest), Ok(count) if count > 0) {
                    break;
                }
            }
        }
    }
}
