//! Integration tests of kvcore: one binary.

#[cfg(test)]
mod api;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod compression;
#[cfg(test)]
mod corruption;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod large;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod model;
#[cfg(test)]
mod regressions;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tidy;
