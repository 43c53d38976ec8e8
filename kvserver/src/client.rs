//! The state of a connection that commands see and change.

use crate::resp::Protocol;

/// One client's state, owned by the worker that serves it.
#[derive(Debug)]
pub(crate) struct ClientState {
    /// Never used twice.
    pub(crate) id: u64,
    /// The selected database.
    pub(crate) db: usize,
    pub(crate) protocol: Protocol,
}
