//! The four headline numbers: cost, hours, their rate, and what nobody used.

use crate::costs::table::beside;
use crate::costs::{Priced, priced, rate, share};
use crate::format::{self, NOT_REPORTED, money};
use crate::pages::stat::{More, Stat, stat};
use contract::answers::Costs;
use leptos::prelude::*;

pub(super) fn totals(found: &Costs) -> impl IntoView + use<> {
    [cost(found), hours(found), per_hour(found), idle(found)].map(stat).into_iter().collect_view()
}

const NOT_KNOWN: &str = "not known";

fn cost(found: &Costs) -> Stat {
    let is_known = priced(found.gpu_hours, found.unpriced_gpu_hours) != Priced::Nothing || found.cost_micros != 0;
    let before = found.before_micros.filter(|_| is_known);
    let change = format::change(found.cost_micros as f64, before.map(|b| b as f64));
    Stat {
        label: "Cost",
        hint: "Of all hours in the range that have a price",
        value: if is_known { money::money(found.cost_micros) } else { NOT_KNOWN.to_owned() },
        exact: is_known.then(|| money::exact(found.cost_micros, &found.currency)),
        unit: if is_known { found.currency.clone() } else { String::new() }.into(),
        change: change.map(|c| (format::signed_percent(c), c)),
        note: match found.before_micros {
            None => "nothing known before".to_owned(),
            Some(before) => format!("{} before", money::money(before)),
        },
        ..Stat::default()
    }
}

fn hours(found: &Costs) -> Stat {
    let note = match priced(found.gpu_hours, found.unpriced_gpu_hours) {
        Priced::All => "all of them have a price".to_owned(),
        Priced::Partly => format!("{} have no price", format::gpu_hours(found.unpriced_gpu_hours)),
        Priced::Nothing => "none of them has a price".to_owned(),
    };
    Stat {
        label: "GPU-hours",
        hint: "Hours of all GPUs in the range, with and without a price",
        value: format::compact(found.gpu_hours),
        exact: Some(format!("{} GPU-h", found.gpu_hours)),
        unit: "GPU-h".into(),
        needs_attention: priced(found.gpu_hours, found.unpriced_gpu_hours) != Priced::All,
        note,
        ..Stat::default()
    }
}

fn per_hour(found: &Costs) -> Stat {
    let rate = rate(found.cost_micros, found.gpu_hours, found.unpriced_gpu_hours);
    Stat {
        label: "Cost per GPU-hour",
        hint: "Cost of all hours that have a price, by their number",
        value: rate.map_or_else(|| NOT_KNOWN.to_owned(), money::money),
        exact: rate.map(|r| money::exact(r, &format!("{} per GPU-h", found.currency))),
        unit: rate.map(|_| format!("{} / GPU-h", found.currency)).unwrap_or_default().into(),
        note: beside_money(found),
        ..Stat::default()
    }
}

/// Electricity and what it emitted, as far as both are known.
fn beside_money(found: &Costs) -> String {
    let (kwh, kg) = beside(&found.energy);
    let energy = found.energy.measured_joules.filter(|_| kwh.is_some());
    let energy = energy.map_or_else(|| format!("energy {NOT_REPORTED}"), format::energy);
    let carbon = kg.map_or_else(|| format!("CO2e {NOT_REPORTED}"), |kg| format!("{} kg CO2e", format::compact(kg)));
    format!("{energy} · {carbon}")
}

fn idle(found: &Costs) -> Stat {
    let part = share(found.idle_micros, found.cost_micros);
    let unowned = match found.unowned_micros {
        0 => String::new(),
        micros => format!(" · {} unowned", money::money(micros)),
    };
    let exact = format!(
        "{} held by no job, {} without an owner",
        money::exact(found.idle_micros, &found.currency),
        money::exact(found.unowned_micros, &found.currency)
    );
    Stat {
        label: "Held by no job",
        hint: "Cost of GPUs that no job held, of the whole cost",
        value: part.map_or_else(|| NOT_KNOWN.to_owned(), |p| format!("{:.1}", p * 100.0)),
        exact: Some(exact),
        unit: if part.is_some() { "%" } else { "" }.into(),
        more: More::Bad,
        note: format!("{} unused{unowned}", money::money(found.idle_micros)),
        ..Stat::default()
    }
}
