//! As whom a client speaks.

use std::sync::Arc;

use super::User;

/// A client's user, as far as the client has heard of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Login {
    /// As it was in `epoch`; `None`: `default`, which has not been looked up.
    pub(super) user: Option<Arc<User>>,
    /// The epoch of what is known of it; none is 0.
    pub(super) epoch: u64,
    /// The epoch in which the client was found to be free to do everything.
    free_in: u64,
}

impl Login {
    /// As this user, which may have changed since it was looked up.
    pub(crate) fn new(user: Arc<User>) -> Self {
        Login { user: Some(user), epoch: 0, free_in: 0 }
    }
    /// The user, as it was when it was looked up; `None` is `default`.
    pub(crate) fn user(&self) -> Option<&Arc<User>> {
        self.user.as_ref()
    }
    /// True if nothing has to be asked: the client may do everything, and nobody has changed
    /// anything since that was found out.
    #[inline]
    pub(crate) fn is_free_in(&self, epoch: u64) -> bool {
        self.free_in == epoch
    }
    /// The client may do everything, until something is changed.
    pub(crate) fn set_free(&mut self) {
        self.free_in = self.epoch;
    }
    /// True if nothing has changed since the last request was allowed.
    pub(crate) fn is_current(&self, epoch: u64) -> bool {
        self.epoch == epoch
    }
}
