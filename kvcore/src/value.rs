//! Values as bytes: owned, or pinned in a mapped file.
