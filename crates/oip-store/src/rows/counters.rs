//! The counters that every commit keeps up to date, so that opening a store of a million
//! records counts nothing.

use super::Fault;
use super::field::{Reader, push_int};

const VERSION: u8 = 1;

/// Sizes of the tables, the head of the feed, and the last wanted generation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) feed_head: u64,
    pub(crate) generation: u64,
    pub(crate) nodes: u64,
    pub(crate) records: u64,
    pub(crate) wanted: u64,
    pub(crate) quarantine: u64,
    pub(crate) deferred: u64,
}

impl Counters {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32);
        out.push(VERSION);
        for int in [
            self.feed_head,
            self.generation,
            self.nodes,
            self.records,
            self.wanted,
            self.quarantine,
            self.deferred,
        ] {
            push_int(&mut out, int);
        }
        out
    }

    pub(crate) fn decode(row: &[u8]) -> Result<Self, Fault> {
        let mut reader = Reader::new(row);
        reader.version(VERSION)?;
        let counters = Self {
            feed_head: reader.int()?,
            generation: reader.int()?,
            nodes: reader.int()?,
            records: reader.int()?,
            wanted: reader.int()?,
            quarantine: reader.int()?,
            deferred: reader.int()?,
        };
        reader.end()?;
        Ok(counters)
    }
}
