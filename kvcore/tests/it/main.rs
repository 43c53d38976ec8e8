//! Integration tests of kvcore: one binary.

#[cfg(test)]
mod api;
#[cfg(test)]
mod async_use;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod changes;
#[cfg(test)]
mod checkpoint;
#[cfg(test)]
mod complaints;
#[cfg(test)]
mod compression;
#[cfg(test)]
mod concurrency;
#[cfg(test)]
mod corruption;
#[cfg(test)]
mod costs;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod disk;
#[cfg(all(test, feature = "tracing"))]
mod events;
#[cfg(test)]
mod expiring;
#[cfg(test)]
mod full_disk;
#[cfg(test)]
mod large;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod migration;
#[cfg(test)]
mod model;
#[cfg(test)]
mod next_ids;
#[cfg(test)]
mod prepared;
#[cfg(test)]
mod read_only;
#[cfg(test)]
mod reads;
#[cfg(test)]
mod regressions;
#[cfg(test)]
mod salvage;
#[cfg(test)]
mod short_lived;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod transactions;
#[cfg(test)]
mod verify;
#[cfg(test)]
mod walk;
#[cfg(test)]
mod watching;
