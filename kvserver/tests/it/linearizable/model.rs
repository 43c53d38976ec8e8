//! An object, what clients do with it, and what that answers.

use std::collections::VecDeque;

use crate::kill::Reply;

/// A register, a counter and two lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct State {
    register: Option<u64>,
    counter: i64,
    lists: [VecDeque<u64>; 2],
}

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Left,
    Right,
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Get,
    Set(u64),
    /// SET … GET.
    Swap(u64),
    Add(i64),
    Push(usize, End, u64),
    Pop(usize, End),
    /// The same, by a command that waits a while.
    WaitPop(usize, End),
    /// From one list to the other.
    Move(usize, End, End),
    WaitMove(usize, End, End),
    Range(usize),
}

/// What takes effect at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    One(Step),
    Multi(Vec<Step>),
    /// WATCH and GET have seen this; then MULTI, SET and EXEC.
    Replace {
        seen: Option<u64>,
        new: u64,
    },
}

impl End {
    fn word(self) -> &'static str {
        match self {
            End::Left => "LEFT",
            End::Right => "RIGHT",
        }
    }
    fn letter(self) -> char {
        match self {
            End::Left => 'L',
            End::Right => 'R',
        }
    }
}

fn bulk(value: Option<u64>) -> Reply {
    Reply::Bulk(value.map(|value| value.to_string().into_bytes()))
}

fn ok() -> Reply {
    Reply::Simple("OK".to_owned())
}

impl Step {
    /// The request, in words.
    pub(super) fn request(&self, object: usize) -> String {
        let list = |n: &usize| format!("o{object}:l{n}");
        match self {
            Step::Get => format!("GET o{object}:r"),
            Step::Set(value) => format!("SET o{object}:r {value}"),
            Step::Swap(value) => format!("SET o{object}:r {value} GET"),
            Step::Add(n) => format!("INCRBY o{object}:c {n}"),
            Step::Push(n, end, value) => format!("{}PUSH {} {value}", end.letter(), list(n)),
            Step::Pop(n, end) => format!("{}POP {}", end.letter(), list(n)),
            Step::WaitPop(n, end) => format!("B{}POP {} 0.02", end.letter(), list(n)),
            Step::Move(n, from, to) => {
                format!("LMOVE {} {} {} {}", list(n), list(&(1 - n)), from.word(), to.word())
            }
            Step::WaitMove(n, from, to) => {
                format!("BLMOVE {} {} {} {} 0.02", list(n), list(&(1 - n)), from.word(), to.word())
            }
            Step::Range(n) => format!("LRANGE {} 0 -1", list(n)),
        }
    }

    /// Takes effect; the reply.
    fn apply(&self, object: usize, state: &mut State) -> Reply {
        match *self {
            Step::Get => bulk(state.register),
            Step::Set(value) => {
                state.register = Some(value);
                ok()
            }
            Step::Swap(value) => bulk(state.register.replace(value)),
            Step::Add(n) => {
                state.counter += n;
                Reply::Int(state.counter)
            }
            Step::Push(n, end, value) => {
                state.push(n, end, value);
                Reply::Int(i64::try_from(state.lists[n].len()).unwrap())
            }
            Step::Pop(n, end) => bulk(state.pop(n, end)),
            Step::WaitPop(n, end) => match state.pop(n, end) {
                Some(value) => {
                    let key = Reply::Bulk(Some(format!("o{object}:l{n}").into_bytes()));
                    Reply::Array(vec![key, bulk(Some(value))])
                }
                None => Reply::Array(Vec::new()),
            },
            Step::Move(n, from, to) => bulk(state.shift(n, from, to)),
            Step::WaitMove(n, from, to) => match state.shift(n, from, to) {
                Some(value) => bulk(Some(value)),
                None => Reply::Array(Vec::new()),
            },
            Step::Range(n) => {
                Reply::Array(state.lists[n].iter().map(|value| bulk(Some(*value))).collect())
            }
        }
    }
    /// True if a client waits where there is nothing.
    pub(super) fn waits(&self) -> bool {
        matches!(self, Step::WaitPop(..) | Step::WaitMove(..))
    }
}

impl Action {
    /// The object after this, if it can answer `reply` now; any reply will do where there is none.
    pub(super) fn apply(
        &self,
        object: usize,
        state: &State,
        reply: Option<&Reply>,
    ) -> Option<State> {
        let mut after = state.clone();
        let said = match self {
            Action::One(step) => step.apply(object, &mut after),
            Action::Multi(steps) => {
                Reply::Array(steps.iter().map(|step| step.apply(object, &mut after)).collect())
            }
            Action::Replace { seen, new } if *seen == state.register => {
                after.register = Some(*new);
                Reply::Array(vec![ok()])
            }
            // Somebody was faster.
            Action::Replace { .. } => Reply::Array(Vec::new()),
        };
        if let (Action::Replace { .. }, Some(Reply::Array(got))) = (self, reply)
            && got.is_empty()
        {
            // What was seen may be back meanwhile: values are new, but there may be none at all.
            return Some(state.clone());
        }
        reply.is_none_or(|reply| *reply == said).then_some(after)
    }
}

impl State {
    fn push(&mut self, n: usize, end: End, value: u64) {
        match end {
            End::Left => self.lists[n].push_front(value),
            End::Right => self.lists[n].push_back(value),
        }
    }
    fn pop(&mut self, n: usize, end: End) -> Option<u64> {
        match end {
            End::Left => self.lists[n].pop_front(),
            End::Right => self.lists[n].pop_back(),
        }
    }
    fn shift(&mut self, n: usize, from: End, to: End) -> Option<u64> {
        let value = self.pop(n, from)?;
        self.push(1 - n, to, value);
        Some(value)
    }
}
