//! One row of the tables of parameters: name, check, default, and what it does here.
//!
//! Pure data; the tables by subject are the files beside this one.

use super::kind::Kind;
use crate::shared::Shared;

/// Whether CONFIG SET may change a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// At any time.
    Free,
    /// At the start only.
    Fixed,
    /// At the start only; may be set again to what it is, as tools that restore settings do.
    Same,
}

/// What happens after a parameter was set, with its new value.
pub(super) type Then = fn(&Shared, &str);

/// Whether a value can be made true, before it is set; and why not.
pub(super) type Check = fn(&str) -> Result<(), String>;

/// A number that is accepted, brought between bounds of its own.
pub(super) type Adjust = fn(u64) -> u64;

/// A parameter. Built with the methods below, so that tables stay readable.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) alias: &'static str,
    pub(super) kind: Kind,
    pub(super) access: Access,
    /// Given only to who asks for it by its whole name.
    pub(super) is_hidden: bool,
    pub(super) default: &'static str,
    pub(super) live: Option<Live>,
    pub(super) check: Option<Check>,
    pub(super) adjust: Option<Adjust>,
    pub(super) then: Option<Then>,
    pub(super) effect: &'static str,
}

impl Parameter {
    /// The text to remember, or why it is refused; `current` is what it would replace.
    pub(super) fn accept(&self, value: &[u8], current: &str) -> Result<String, String> {
        let accepted = self.kind.accept(value, current)?;
        Ok(match (self.adjust, accepted.parse()) {
            (Some(adjust), Ok(number)) => adjust(number).to_string(),
            _ => accepted,
        })
    }
    /// A parameter that is checked and remembered.
    pub(super) const fn new(name: &'static str, kind: Kind, default: &'static str) -> Self {
        Parameter {
            name,
            alias: "",
            kind,
            access: Access::Free,
            is_hidden: false,
            default,
            live: None,
            check: None,
            adjust: None,
            then: None,
            effect: "",
        }
    }
    /// Its other name.
    pub(super) const fn alias(mut self, alias: &'static str) -> Self {
        self.alias = alias;
        self
    }
    pub(super) const fn fixed(mut self) -> Self {
        self.access = Access::Fixed;
        self
    }
    pub(super) const fn same(mut self) -> Self {
        self.access = Access::Same;
        self
    }
    pub(super) const fn hidden(mut self) -> Self {
        self.is_hidden = true;
        self
    }
    /// Its value can be read as a number without a lock, see [`super::Parameters::number`].
    pub(super) const fn live(mut self, live: Live) -> Self {
        self.live = Some(live);
        self
    }
    /// Asked by CONFIG SET before it changes it.
    pub(super) const fn check(mut self, check: Check) -> Self {
        self.check = Some(check);
        self
    }
    /// What it becomes without a word if it is accepted.
    pub(super) const fn adjust(mut self, adjust: Adjust) -> Self {
        self.adjust = Some(adjust);
        self
    }
    /// Called after CONFIG SET has changed it, outside of all locks but the gate.
    pub(super) const fn then(mut self, then: Then) -> Self {
        self.then = Some(then);
        self
    }
    /// What it does here, in a few words, for the reference page. Without one it is only
    /// remembered.
    pub(super) const fn effect(mut self, effect: &'static str) -> Self {
        self.effect = effect;
        self
    }
}

/// The parameters that are read often: as numbers, `yes` as 1, one of several words as its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Live {
    AppendFsync,
    BulkLenMax,
    CheckOrphans,
    ClientsMax,
    DebugCommand,
    InputBytesMax,
    LatencyThresholdMs,
    LatencyTracking,
    LfuDecayTime,
    LfuLogFactor,
    MaxMemory,
    MaxMemoryPolicy,
    MaxMemorySamples,
    ModuleCommand,
    NotifiedEvents,
    SlowlogLenMax,
    SlowlogSlowerThanUs,
    TcpKeepaliveS,
    TimeoutS,
}

impl Live {
    /// One more than the last one's place.
    pub(super) const COUNT: usize = Live::TimeoutS.place() + 1;

    /// Its place among the numbers.
    #[inline]
    pub(super) const fn place(self) -> usize {
        self as usize
    }
}
