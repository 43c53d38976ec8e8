//! Is there an order of the commands that explains every reply?
//!
//! Goes through a history in the order of time and keeps every state the object may be in, each
//! with the commands that run and have taken effect in it. When a reply comes, its command must
//! have taken effect, so those that run are tried in every order until it has; what cannot answer
//! what it did is no way to go on. Where nothing is left, no order explains the history.

use std::collections::HashSet;

use super::model::{Action, State, Step};
use crate::kill::Reply;

/// A command and what became of it.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) object: usize,
    pub(super) action: Action,
    /// None: in flight at a crash.
    pub(super) reply: Option<Reply>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// A request is about to be sent.
    Begin(usize),
    /// Its reply has been read.
    End(usize),
    /// The server is gone; what was in flight then does not take effect any more.
    Crash,
}

/// Calls, and their events in the order of time.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    pub(super) calls: Vec<Call>,
    pub(super) events: Vec<Event>,
}

impl History {
    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }
    /// What concerns one object, which no other command changes.
    pub(super) fn of(&self, object: usize) -> History {
        let concerns = |event: &&Event| match event {
            Event::Begin(at) | Event::End(at) => self.calls[*at].object == object,
            Event::Crash => true,
        };
        let events = self.events.iter().filter(concerns).copied().collect();
        History { calls: self.calls.clone(), events }
    }
    /// How many commands that may wait have got something.
    pub(super) fn served(&self) -> usize {
        let got = |call: &&Call| {
            matches!(&call.action, Action::One(step) if step.waits())
                && call.reply.as_ref().is_some_and(|reply| *reply != Reply::Array(Vec::new()))
        };
        self.calls.iter().filter(got).count()
    }
    /// A history by hand: command, reply, and the times of request and reply.
    pub(super) fn made_of(
        calls: &[(Step, Option<Reply>, [usize; 2])],
        crash: Option<usize>,
    ) -> History {
        let mut events: Vec<(usize, Event)> =
            crash.map(|at| (at, Event::Crash)).into_iter().collect();
        let mut history = History::default();
        for (at, (step, reply, [begin, end])) in calls.iter().enumerate() {
            let action = Action::One(step.clone());
            events.push((*begin, Event::Begin(at)));
            if reply.is_some() {
                events.push((*end, Event::End(at)));
            }
            history.calls.push(Call { object: 0, action, reply: reply.clone() });
        }
        events.sort_by_key(|(time, _)| *time);
        history.events = events.into_iter().map(|(_, event)| event).collect();
        history
    }
}

/// A state the object may be in, and the calls under way that have taken effect in it.
type Possible = (State, Vec<usize>);

/// Every way to let some of the calls take effect now.
fn closure(history: &History, running: &[usize], from: HashSet<Possible>) -> HashSet<Possible> {
    let mut seen = from.clone();
    let mut left: Vec<Possible> = from.into_iter().collect();
    while let Some((state, done)) = left.pop() {
        for &at in running.iter().filter(|at| !done.contains(at)) {
            let Call { object, action, reply, .. } = &history.calls[at];
            let Some(after) = action.apply(*object, &state, reply.as_ref()) else { continue };
            let mut done = done.clone();
            done.push(at);
            done.sort_unstable();
            if seen.insert((after.clone(), done.clone())) {
                left.push((after, done));
            }
        }
    }
    seen
}

/// Nothing, or what cannot be explained.
pub(super) fn check(history: &History) -> Result<(), String> {
    let mut possible = HashSet::from([(State::default(), Vec::new())]);
    let mut running: Vec<usize> = Vec::new();
    for (n, event) in history.events.iter().enumerate() {
        match *event {
            Event::Begin(at) => running.push(at),
            Event::End(at) => {
                let (ready, rest): (HashSet<Possible>, HashSet<Possible>) =
                    possible.iter().cloned().partition(|(_, done)| done.contains(&at));
                let mut after = closure(history, &running, rest);
                after.retain(|(_, done)| done.contains(&at));
                after.extend(ready);
                if after.is_empty() {
                    return Err(explain(history, n, &running, &possible));
                }
                running.retain(|other| *other != at);
                possible = after
                    .into_iter()
                    .map(|(state, done)| (state, done.into_iter().filter(|d| *d != at).collect()))
                    .collect();
            }
            Event::Crash => {
                let all = closure(history, &running, possible);
                possible = all.into_iter().map(|(state, _)| (state, Vec::new())).collect();
                running.clear();
            }
        }
    }
    Ok(())
}

fn explain(history: &History, n: usize, running: &[usize], possible: &HashSet<Possible>) -> String {
    let at = |event: &Event| match event {
        Event::Begin(at) => format!("begin {at} {:?}", history.calls[*at]),
        Event::End(at) => format!("end   {at}"),
        Event::Crash => "crash".to_owned(),
    };
    let before: Vec<String> = history.events[n.saturating_sub(40)..=n].iter().map(at).collect();
    let states: Vec<_> = possible.iter().take(5).collect();
    format!(
        "event {n} of {}: nothing explains the last reply\n{}\nunder way: {running:?}\nit may \
         have been, among {}: {states:#?}",
        history.events.len(),
        before.join("\n"),
        possible.len()
    )
}
