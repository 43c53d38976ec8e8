//! What the runnable examples share: where their stores live. README code is compiled here too.

use std::{
    io,
    path::{Path, PathBuf},
};

/// The examples of `README.md`, compiled and run as documentation tests.
#[doc = include_str!("../README.md")]
#[cfg(doctest)]
pub struct Readme;

/// The directory of an example's store: the one given, or one that is removed at the end.
#[derive(Debug)]
pub struct StoreDir {
    path: PathBuf,
    /// Removes the directory when it is dropped.
    _temporary: Option<tempfile::TempDir>,
}

impl StoreDir {
    /// Takes the program's argument of this number as the directory, or makes a temporary one.
    ///
    /// # Errors
    ///
    /// When no temporary directory can be made.
    pub fn from_argument(number: usize) -> io::Result<StoreDir> {
        if let Some(given) = std::env::args_os().nth(number) {
            return Ok(StoreDir { path: given.into(), _temporary: None });
        }
        let temporary = tempfile::tempdir()?;
        Ok(StoreDir { path: temporary.path().join("store"), _temporary: Some(temporary) })
    }

    /// Where the store is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}
