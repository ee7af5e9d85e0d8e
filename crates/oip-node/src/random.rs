//! Random numbers from the operating system.

use std::convert::Infallible;

use aws_lc_rs::rand;
use rand_core::{TryCryptoRng, TryRng};

/// `N` random bytes; `None` if the system gives none.
pub(crate) fn bytes<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).ok()?;
    Some(bytes)
}

/// A random number; time stands in if the system gives none, since ids need to differ, not to be secret.
pub(crate) fn number() -> u64 {
    bytes().map_or_else(crate::clock::wall_ms, u64::from_ne_bytes)
}

/// How far this node's states lie behind its clock: thousandths of a millisecond, as many as a
/// double of today's times tells apart. One that differs from that of other nodes keeps what they
/// write in the same millisecond from being mixed, key by key.
pub(crate) fn state_lag_ms() -> f64 {
    (number() % 1_000) as f64 / 1_000.0
}

/// The system's source, for the vault. The process ends rather than seal with predictable keys.
pub(crate) struct SystemRandom;

impl TryRng for SystemRandom {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_ne_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        rand::fill(out).expect("the operating system gives random numbers");
        Ok(())
    }
}

impl TryCryptoRng for SystemRandom {}
