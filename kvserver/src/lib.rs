//! A RESP server over a `kvcore` store.

mod glob;
mod lcs;
mod long_double;
mod number;
