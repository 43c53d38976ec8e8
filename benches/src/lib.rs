//! The measuring harness behind the benches `engine` and `compare`.
//!
//! Knows engines only through [`engine::Engine`]; each has one adapter in [`engines`]. Does not
//! know the libtest harness: the benches have `main` functions of their own.
//!
//! # Rules of measurement
//!
//! M1. Every engine gets the same keys and values in the same order, with the same sync mode.
//! M2. Engines take turns round by round, in rotated order, each turn in a process of its own.
//! M3. What is read is checked in full, inside the timed section, for every engine alike.
//! M4. Medians over rounds are reported, with the spread beside them.

pub mod args;
pub mod child;
pub mod data;
pub mod engine;
pub mod engines;
pub mod histogram;
pub mod instructions;
pub mod key;
pub mod limits;
pub mod measure;
mod memory_limit;
pub mod plan;
mod raw_file;
pub mod report;
pub mod rounds;
pub mod suite;
pub mod turn;
pub mod work;
pub mod zipf;

/// An error of a measurement: the run stops and says why.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// What measuring functions return.
pub type Result<T, E = BoxError> = std::result::Result<T, E>;
