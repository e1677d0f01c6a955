//! What no job has used, and what no GPU carries: on its own line, or spread over those who pay for GPU time.

use super::super::money::Micros;
use super::super::period::HOUR_MICROS;
use super::super::policy::{Idle, Overhead, Policy, Spread};
use super::super::rows::{Category, GpuPlace, LedgerRow, Owner, Unit};
use super::sheet::Sheet;
use rust_decimal::Decimal;
use std::collections::HashMap;
use std::sync::Arc;

/// Cluster, none for all; and pool, none for all of the cluster.
type Group = (Option<Arc<str>>, Option<Arc<str>>);

/// Who pays for GPU time in the hour, and for how many microseconds, by cluster and pool.
#[derive(Default)]
pub(super) struct Payers {
    groups: HashMap<Group, HashMap<usize, (Arc<Owner>, u64)>>,
    wanted: Wanted,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Wanted {
    #[default]
    No,
    Yes,
}

impl Payers {
    /// Keeps accounts only where a policy asks for them.
    pub(super) fn for_policy(policy: &Policy) -> Self {
        let spreads = matches!(policy.idle, Idle::Spread(_)) || policy.overheads.iter().any(|o| o.spread.is_some());
        Self { groups: HashMap::new(), wanted: if spreads { Wanted::Yes } else { Wanted::No } }
    }

    pub(super) fn clear(&mut self) {
        self.groups.clear();
    }

    /// The GPU time of a row.
    pub(super) fn add(&mut self, row: &LedgerRow) {
        if self.wanted == Wanted::No {
            return;
        }
        let micros = (row.quantity * HOUR_MICROS as f64).round() as u64;
        let cluster = Some(Arc::clone(&row.place.cluster));
        let pool = row.place.pool.clone().map(|pool| (cluster.clone(), Some(pool)));
        for group in [Some((None, None)), Some((cluster, None)), pool].into_iter().flatten() {
            // Equal owners are one allocation.
            let payers = self.groups.entry(group).or_default();
            let payer = payers.entry(Arc::as_ptr(&row.owner) as usize).or_insert_with(|| (Arc::clone(&row.owner), 0));
            payer.1 = payer.1.saturating_add(micros);
        }
    }

    /// Owners in their order with their weights; none where nobody pays.
    fn weights(&self, group: &Group, spread: Spread) -> Vec<(Arc<Owner>, u64)> {
        let payers = self.groups.get(group).into_iter().flat_map(HashMap::values).filter(|(_, micros)| *micros > 0);
        let mut weights: Vec<(Arc<Owner>, u64)> = payers.cloned().collect();
        weights.sort_unstable();
        if spread == Spread::Even {
            weights.iter_mut().for_each(|(_, weight)| *weight = 1);
        }
        weights
    }
}

/// Moves the hour's idle rows into the ledger, as the policy has it.
pub(super) fn idle(sheet: &mut Sheet<'_>) {
    let idle = std::mem::take(&mut sheet.idle);
    match &sheet.policy.idle {
        Idle::OwnLine => sheet.rows.extend(idle),
        Idle::PoolOwner(owners) => {
            for mut row in idle {
                if let Some(owner) = row.place.pool.as_ref().and_then(|pool| owners.get(pool)) {
                    let (team, cost_centre) = (Arc::clone(&owner.team), Arc::clone(&owner.cost_centre));
                    row.owner = sheet.owners.one(Owner { team, project: None, cost_centre });
                }
                sheet.rows.push(row);
            }
        }
        Idle::Spread(spread) => {
            let mut known: HashMap<Group, Vec<(Arc<Owner>, u64)>> = HashMap::new();
            for row in idle {
                let group = (Some(Arc::clone(&row.place.cluster)), row.place.pool.clone());
                let weights = known.entry(group).or_insert_with_key(|group| sheet.payers.weights(group, *spread));
                spread_row(row, weights, &mut sheet.rows);
            }
        }
    }
}

/// One row becomes one for each owner, which sum to it; without owners it stays.
fn spread_row(row: LedgerRow, over: &[(Arc<Owner>, u64)], rows: &mut Vec<LedgerRow>) {
    if over.is_empty() {
        rows.push(row);
        return;
    }
    let weights: Vec<u64> = over.iter().map(|(_, weight)| *weight).collect();
    let total: f64 = weights.iter().map(|weight| *weight as f64).sum();
    let (electricity, cost) = (row.electricity.unwrap_or_default(), row.cost.unwrap_or_default());
    let electricities = electricity.split(&weights);
    let costs = (cost - electricity).split(&weights);
    for (at, (owner, weight)) in over.iter().enumerate() {
        let part = *weight as f64 / total;
        rows.push(LedgerRow {
            owner: Arc::clone(owner),
            quantity: row.quantity * part,
            cost: row.cost.map(|_| costs[at] + electricities[at]),
            electricity: row.electricity.map(|_| electricities[at]),
            energy_joules: row.energy_joules.map(|joules| joules * part),
            ..row.clone()
        });
    }
}

/// Adds the hour's part of each overhead.
pub(super) fn overheads(sheet: &mut Sheet<'_>) {
    if sheet.hour >= sheet.known_to {
        return;
    }
    for overhead in &sheet.policy.overheads {
        let Some((before, after, hours)) = overhead.hours(sheet.hour) else { continue };
        let Some(cost) = hour_cost(sheet, overhead, (before, after, hours)) else { continue };
        let place = GpuPlace { cluster: overhead.cluster.clone().unwrap_or_default(), ..GpuPlace::default() };
        let row = LedgerRow {
            hour_micros: sheet.hour,
            place: Arc::new(place),
            gpu_uuid: None,
            parent_gpu_uuid: None,
            job: None,
            owner: sheet.unowned(),
            state: None,
            category: Category::Overhead,
            quantity: 1.0 / hours as f64,
            unit: Unit::Months,
            rate: Some(overhead.per_month),
            priced_by: None,
            cost: Some(cost),
            electricity: None,
            energy_joules: None,
            overhead: Some(Arc::clone(&overhead.name)),
        };
        let weights = overhead.spread.map(|spread| sheet.payers.weights(&(overhead.cluster.clone(), None), spread));
        spread_row(row, &weights.unwrap_or_default(), &mut sheet.rows);
    }
}

/// Rounded so that the hours of a month sum to it.
fn hour_cost(sheet: &mut Sheet<'_>, overhead: &Overhead, (before, after, hours): (i64, i64, i64)) -> Option<Micros> {
    let mut until = |hour: i64| {
        let product = overhead.per_month * Decimal::from(hour);
        sheet.cost(product / Decimal::from(hours), Decimal::ONE, HOUR_MICROS as u64, || overhead.name.to_string())
    };
    Some(until(after)? - until(before)?)
}
