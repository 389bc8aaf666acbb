//! Which units a replica should take and which it should give up: rules only.

use std::collections::{BTreeMap, BTreeSet};

use super::Unit;
use crate::store::leases::Lease;

/// What a replica should do about leases.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Units that nobody living holds, for this replica to try.
    pub(crate) take: Vec<Unit>,
    /// Units to give up, because another replica has less than its share.
    pub(crate) give_up: Vec<Unit>,
}

/// Plans so that, over all `living` replicas, each comes to hold its share of `units`, give or take one.
///
/// Replicas plan on their own and at different times; the database decides who gets what both try for.
pub(crate) fn plan(owner: &str, units: &BTreeSet<Unit>, leases: &[Lease], living: &[String]) -> Plan {
    let mut held_by: BTreeMap<&Unit, &str> = BTreeMap::new();
    let mut counts: BTreeMap<&str, usize> = living.iter().map(|member| (member.as_str(), 0)).collect();
    for lease in leases.iter().filter(|lease| units.contains(&lease.unit)) {
        if let Some(count) = counts.get_mut(lease.owner.as_str()) {
            *count += 1;
            held_by.insert(&lease.unit, &lease.owner);
        }
    }

    let share = units.len().div_ceil(living.len().max(1));
    let held = counts.get(owner).copied().unwrap_or(0);
    if held < share {
        let mut free: Vec<&Unit> = units.iter().filter(|unit| !held_by.contains_key(unit)).collect();
        // Each replica tries the free units in an order of its own, so that they seldom try for the same.
        free.sort_by_key(|unit| preference(owner, unit));
        let take = free.into_iter().take(share - held).cloned().collect();
        return Plan { take, give_up: Vec::new() };
    }

    let lowest_share = units.len() / living.len().max(1);
    let lacking: usize = counts.values().map(|count| lowest_share.saturating_sub(*count)).sum();
    let surplus = (held - lowest_share).min(lacking);
    let mut own: Vec<&Unit> = held_by.iter().filter(|(_, holder)| **holder == owner).map(|(unit, _)| *unit).collect();
    own.sort_by_key(|unit| preference(owner, unit));
    let give_up = own.into_iter().rev().take(surplus).cloned().collect();
    Plan { take: Vec::new(), give_up }
}

fn preference(owner: &str, unit: &Unit) -> u32 {
    crc32fast::hash(format!("{owner} {unit}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(count: u32) -> BTreeSet<Unit> {
        let tenant: kit::TenantId = "shop".try_into().unwrap();
        (0..count).map(|partition| Unit { tenant: tenant.clone(), partition: Some(partition) }).collect()
    }

    fn lease(unit: &Unit, owner: &str) -> Lease {
        Lease { unit: unit.clone(), owner: owner.to_owned(), epoch: 1 }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn one_replica_takes_everything() {
        let planned = plan("a", &units(8), &[], &names(&["a"]));

        assert_eq!(planned.take.len(), 8);
        assert!(planned.give_up.is_empty());
    }

    #[test]
    fn units_of_the_dead_are_free() {
        let units = units(4);
        let leases: Vec<Lease> = units.iter().map(|unit| lease(unit, "dead")).collect();

        assert_eq!(plan("a", &units, &leases, &names(&["a"])).take.len(), 4);
    }

    #[test]
    fn replicas_settle_on_equal_shares_and_then_rest() {
        let units = units(8);
        let living = names(&["a", "b", "c"]);
        let mut leases: Vec<Lease> = units.iter().map(|unit| lease(unit, "a")).collect();

        for _ in 0..10 {
            for member in &living {
                let planned = plan(member, &units, &leases, &living);
                for unit in planned.give_up {
                    leases.retain(|lease| lease.unit != unit);
                }
                for unit in planned.take {
                    leases.retain(|lease| lease.unit != unit);
                    leases.push(lease(&unit, member));
                }
            }
        }

        for member in &living {
            let held = leases.iter().filter(|lease| lease.owner == *member).count();
            assert!((2..=3).contains(&held), "{member} holds {held}");
            assert_eq!(plan(member, &units, &leases, &living), Plan::default());
        }
    }
}
