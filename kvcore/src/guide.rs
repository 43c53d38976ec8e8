//! The guide: what to type, what it costs, what goes wrong. Documentation only.
//!
//! To be read from the top, or where it burns:
//!
//! 1. [Getting started](getting_started): open, put, get, types of your own, tests
//! 2. [Keys and their order](keys): key types, indexes, prefixes
//! 3. [Durability](durability): what survives what, and how to be fast all the same
//! 4. [Transactions](transactions): one key, batches, serializable closures, snapshots
//! 5. [Iteration](iteration): ranges, counts, queues, pages
//! 6. [Expiry and caches](expiry): sessions, sliding expiry, byte budgets
//! 7. [Large values](large_values): readers, in constant memory
//! 8. [Backup, verify, repair](backup): checkpoints, read-only processes, salvage
//! 9. [Watching keys](watching): what is committed to some keys, within the process
//! 10. [Following a store](following): every change in order, over restarts
//! 11. [Tuning and sizing](sizing): memory, disk and opening, computed
//! 12. [Limits](limits): of keys, values, batches, and of the machine
//! 13. [Errors and what to do](errors)
//! 14. [Asynchronous code](asynchronous): what blocks, and how to wait without a thread
//! 15. [Other stores](comparison): when to choose which
//!
//! Every piece of code in it runs as a test.

#[doc = include_str!("guide/asynchronous.md")]
pub mod asynchronous {}

#[doc = include_str!("guide/backup.md")]
pub mod backup {}

#[doc = include_str!("guide/comparison.md")]
pub mod comparison {}

#[doc = include_str!("guide/durability.md")]
pub mod durability {}

#[doc = include_str!("guide/errors.md")]
pub mod errors {}

#[doc = include_str!("guide/expiry.md")]
pub mod expiry {}

#[doc = include_str!("guide/following.md")]
pub mod following {}

#[doc = include_str!("guide/getting_started.md")]
pub mod getting_started {}

#[doc = include_str!("guide/iteration.md")]
pub mod iteration {}

#[doc = include_str!("guide/keys.md")]
pub mod keys {}

#[doc = include_str!("guide/large_values.md")]
pub mod large_values {}

#[doc = include_str!("guide/limits.md")]
pub mod limits {}

#[doc = include_str!("guide/sizing.md")]
pub mod sizing {}

#[doc = include_str!("guide/transactions.md")]
pub mod transactions {}

#[doc = include_str!("guide/watching.md")]
pub mod watching {}
