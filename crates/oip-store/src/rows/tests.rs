//! Rows: round trips, order, damage.
