//! The store seen from outside: one binary, because linking the engine takes longer than the tests.

mod concurrency;
mod folder;
mod kill;
mod merge;
mod model;
mod nodes;
mod support;
mod tables;
