//! What one address may cost this node: bytes and souls stored, values of the future, keys looked
//! at, signatures checked.
//!
//! Owns the numbers in memory, as buckets that fill up with use and drain with time; what is stored
//! for good is counted by the store, by author. Refuses nothing itself: it says whether a bucket is
//! full. Peers that the operator named are not counted.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::config::RelayQuotas;

/// Addresses remembered. Each is a hundred bytes; when there are more, the one that was counted
/// longest ago is forgotten, which costs an attacker as many addresses as it gains.
const ADDRESSES_MAX: usize = 10_000;

const MINUTE_MS: f64 = 60_000.0;
const DAY_MS: f64 = 24.0 * 60.0 * MINUTE_MS;

/// Values of the future that one address may have waiting: a tenth of all that are kept, and they
/// fall due within ten minutes.
const DEFERRED_MAX: f64 = 1_000.0;
const DEFERRED_MS: f64 = 10.0 * MINUTE_MS;

/// Keys and souls looked at for ranges: about a second of one core each minute.
const SCANNED_MAX: f64 = 1_000_000.0;

/// Signatures checked: about six seconds of one core, then a tenth of it.
const CHECKED_MAX: f64 = 100_000.0;

/// Gets for what is not here: a large page at once, then 300 a second. Each costs every configured peer a message,
/// and the peer remembers that it was asked.
const MISSED_MAX: f64 = 20_000.0;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cost {
    /// Bytes of values that won.
    Bytes,
    /// Nodes that were new.
    Souls,
    /// Values whose state lies ahead of the clock.
    Deferred,
    /// Keys and souls looked at for ranges.
    Scanned,
    /// Signatures checked.
    Checked,
    /// Gets for what is not here, which the peers that this node dialled are asked for.
    Missed,
}

const COSTS: usize = 6;

/// The buckets of all addresses.
#[derive(Debug)]
pub(crate) struct Allowances {
    /// Level at which a bucket is full, and the time in which a full one drains.
    limits: [(f64, f64); COSTS],
    addresses: HashMap<IpAddr, Spent>,
}

#[derive(Debug, Clone, Copy)]
struct Spent {
    levels: [f64; COSTS],
    at_ms: u64,
}

impl Allowances {
    pub(crate) fn new(quotas: &RelayQuotas) -> Self {
        let of = |max: u64| if max == 0 { f64::INFINITY } else { max as f64 };
        Self {
            limits: [
                (of(quotas.peer_bytes_per_day), DAY_MS),
                (of(quotas.peer_souls_per_day), DAY_MS),
                (DEFERRED_MAX, DEFERRED_MS),
                (SCANNED_MAX, MINUTE_MS),
                (CHECKED_MAX, MINUTE_MS),
                (MISSED_MAX, MINUTE_MS),
            ],
            addresses: HashMap::new(),
        }
    }

    /// Whether `address` has used up its allowance of `cost`.
    pub(crate) fn is_used_up(&self, address: IpAddr, cost: Cost, now_ms: u64) -> bool {
        let (max, _) = self.limits[cost as usize];
        self.addresses
            .get(&address)
            .is_some_and(|spent| self.level(spent, cost as usize, now_ms) >= max)
    }

    /// Counts `amount` of `cost`. The last use may go beyond the allowance; it is then paid off
    /// before there is more.
    pub(crate) fn spend(&mut self, address: IpAddr, cost: Cost, amount: u64, now_ms: u64) {
        if amount == 0 {
            return;
        }
        if !self.addresses.contains_key(&address) && self.addresses.len() >= ADDRESSES_MAX {
            self.forget_oldest();
        }
        let mut spent = self.addresses.get(&address).copied().unwrap_or(Spent {
            levels: [0.0; COSTS],
            at_ms: now_ms,
        });
        for at in 0..COSTS {
            spent.levels[at] = self.level(&spent, at, now_ms);
        }
        spent.at_ms = spent.at_ms.max(now_ms);
        spent.levels[cost as usize] += amount as f64;
        self.addresses.insert(address, spent);
    }

    fn level(&self, spent: &Spent, at: usize, now_ms: u64) -> f64 {
        let (max, drain_ms) = self.limits[at];
        let passed_ms = now_ms.saturating_sub(spent.at_ms) as f64;
        if max.is_infinite() {
            return 0.0;
        }
        (spent.levels[at] - passed_ms * max / drain_ms).max(0.0)
    }

    fn forget_oldest(&mut self) {
        let oldest = self.addresses.iter().min_by_key(|(_, spent)| spent.at_ms);
        if let Some((&address, _)) = oldest {
            self.addresses.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const ME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

    fn allowances(peer_bytes_per_day: u64) -> Allowances {
        Allowances::new(&RelayQuotas {
            peer_bytes_per_day,
            ..RelayQuotas::default()
        })
    }

    #[test]
    fn an_allowance_is_used_up_at_its_bound_and_not_before() {
        let mut allowances = allowances(100);
        allowances.spend(ME, Cost::Bytes, 99, 0);
        assert!(!allowances.is_used_up(ME, Cost::Bytes, 0));
        allowances.spend(ME, Cost::Bytes, 1, 0);
        assert!(allowances.is_used_up(ME, Cost::Bytes, 0));
        assert!(!allowances.is_used_up(ME, Cost::Souls, 0));
        assert!(!allowances.is_used_up(OTHER, Cost::Bytes, 0));
    }

    #[test]
    fn it_comes_back_with_time_and_debts_are_paid_first() {
        let mut allowances = allowances(100);
        allowances.spend(ME, Cost::Bytes, 150, 0);
        let half_a_day = (DAY_MS / 2.0) as u64;
        assert!(allowances.is_used_up(ME, Cost::Bytes, half_a_day));
        assert!(!allowances.is_used_up(ME, Cost::Bytes, half_a_day + 1_000));
        allowances.spend(ME, Cost::Bytes, 100, 2 * half_a_day);
        assert!(allowances.is_used_up(ME, Cost::Bytes, 2 * half_a_day));
    }

    #[test]
    fn no_bound_is_never_used_up() {
        let mut allowances = allowances(0);
        allowances.spend(ME, Cost::Bytes, u64::MAX, 0);
        assert!(!allowances.is_used_up(ME, Cost::Bytes, 0));
    }

    #[test]
    fn a_clock_set_back_gives_nothing_away() {
        let mut allowances = allowances(100);
        allowances.spend(ME, Cost::Bytes, 100, 10_000);
        allowances.spend(ME, Cost::Souls, 1, 0);
        assert!(allowances.is_used_up(ME, Cost::Bytes, 10_000));
    }

    #[test]
    fn the_table_of_addresses_is_bounded() {
        let mut allowances = allowances(100);
        for number in 0..=u32::try_from(ADDRESSES_MAX).unwrap() {
            let address = IpAddr::V4(Ipv4Addr::from_bits(number));
            allowances.spend(address, Cost::Bytes, 100, u64::from(number));
        }
        assert_eq!(allowances.addresses.len(), ADDRESSES_MAX);
        let last = IpAddr::V4(Ipv4Addr::from_bits(ADDRESSES_MAX as u32));
        assert!(allowances.is_used_up(last, Cost::Bytes, ADDRESSES_MAX as u64));
    }
}
