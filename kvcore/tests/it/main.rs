//! Integration tests of kvcore: one binary.

mod api;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod concurrency;
#[cfg(test)]
mod corruption;
mod disk;
#[cfg(test)]
mod model;
#[cfg(test)]
mod regressions;
#[cfg(test)]
mod support;
