//! What all workers share.

/// Parameters, statistics and the registry of clients.
#[derive(Debug)]
pub(crate) struct Shared {
    /// `proto-max-bulk-len`: the longest string a command may make.
    pub(crate) proto_max_bulk_len: std::sync::atomic::AtomicU64,
}

impl Shared {
    /// The longest string a command may make, in bytes (`proto-max-bulk-len`).
    pub(crate) fn string_len_max(&self) -> u64 {
        self.proto_max_bulk_len.load(std::sync::atomic::Ordering::Relaxed)
    }
}
