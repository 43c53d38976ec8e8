//! Module key.
