//! Module keydir.
