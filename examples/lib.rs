//! The runnable examples of kvcore; README code is compiled here as doctests.
