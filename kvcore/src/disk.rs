//! Module disk.
