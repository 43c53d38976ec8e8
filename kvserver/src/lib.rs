//! A RESP server over a `kvcore` store.
