//! Integration tests of kvcore: one binary.

mod api;
mod crash;
mod disk;
#[cfg(test)]
mod model;
#[cfg(test)]
mod regressions;
#[cfg(test)]
mod support;
