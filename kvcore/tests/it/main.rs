//! Integration tests of kvcore: one binary.

#[cfg(test)]
mod api;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod tidy;
