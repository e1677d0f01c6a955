//! Charges that are stated: a row for each day.

use super::super::charges::Charge;
use super::super::rows::{GpuPlace, LedgerRow};
use super::sheet::Sheet;
use std::sync::Arc;

/// Adds the rows of days that begin in the hour, of charges in their order.
pub(super) fn charges(sheet: &mut Sheet<'_>, charges: &[Charge]) {
    for charge in charges {
        let Some((from, to)) = charge.day(sheet.hour, sheet.known_to) else { continue };
        let Some(cost) = charge.cost_until(to).zip(charge.cost_until(from)).map(|(to, from)| to - from) else {
            continue;
        };
        let place = GpuPlace { cluster: charge.cluster.clone().unwrap_or_default(), ..GpuPlace::default() };
        let owner = sheet.owners.one(charge.owner.clone());
        sheet.rows.push(LedgerRow {
            hour_micros: sheet.hour,
            place: Arc::new(place),
            gpu_uuid: None,
            parent_gpu_uuid: None,
            job: None,
            owner,
            state: None,
            category: charge.category,
            quantity: quantity(charge) * charge.part(from, to),
            unit: charge.unit,
            rate: Some(charge.rate),
            priced_by: Some(Arc::clone(&charge.by)),
            cost: Some(cost),
            electricity: None,
            energy_joules: None,
            overhead: Some(Arc::clone(&charge.name)),
        });
    }
}

/// It is bounded, and so a float.
fn quantity(charge: &Charge) -> f64 {
    rust_decimal::prelude::ToPrimitive::to_f64(&charge.quantity).unwrap_or(f64::MAX)
}
