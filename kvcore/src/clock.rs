//! Module clock.
