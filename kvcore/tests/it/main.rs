//! Integration tests of kvcore: one binary.

#[cfg(test)]
#[cfg(test)]
#[cfg(test)]
mod api;
mod calls;
mod crash;
mod disk;
mod model;
mod regressions;
mod support;
mod tidy;
