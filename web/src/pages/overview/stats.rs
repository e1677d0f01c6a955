//! The four headline numbers.

use crate::charts::share;
use crate::format::{self, money};
use crate::pages::stat::{More, Stat, stat};
use contract::ByState;
use contract::answers::{Costs, Overview, Severity};
use leptos::prelude::*;

/// Of a range up to now the hours that are not over yet are missing: one of a day, and so more of less.
const WHOLE_RATIO: f64 = 0.95;

/// The first is money where there are prices, and hours where there are none.
pub(super) fn stats(found: &Overview, costs: Option<&Costs>) -> impl IntoView + use<> {
    let first = costs.filter(|costs| costs.has_prices).map_or_else(|| hours(found), |costs| spent(found, costs));
    [first, active(found), in_vain(found), broken(found)].map(stat).into_iter().collect_view()
}

fn spent(found: &Overview, costs: &Costs) -> Stat {
    let change = format::change(costs.cost_micros as f64, costs.before_micros.map(|b| b as f64));
    let unpriced = (costs.unpriced_gpu_hours > 0.0)
        .then(|| format!("{} without a price", format::gpu_hours(costs.unpriced_gpu_hours)));
    let all = share::total(&found.gpu_hours);
    // What is charged so far cannot be compared with a whole range before.
    let change = change.filter(|_| costs.gpu_hours >= all * WHOLE_RATIO);
    // An hour is charged once it is over: until then its cost is unknown and not nothing.
    let is_known = costs.gpu_hours > 0.0 || all == 0.0;
    let charged = if !is_known {
        format!("{} GPU-h are not charged yet", format::compact(all))
    } else if costs.gpu_hours < all {
        format!("{} of {} GPU-h charged", format::compact(costs.gpu_hours), format::compact(all))
    } else {
        format!("for {} GPU-h", format::compact(all))
    };
    Stat {
        label: "Spent",
        hint: "Cost of all hours in the range that have a price; an hour is charged once it is over",
        value: if is_known { money::money(costs.cost_micros) } else { "not yet".to_owned() },
        exact: is_known.then(|| money::exact(costs.cost_micros, &costs.currency)),
        unit: if is_known { costs.currency.clone().into() } else { "".into() },
        change: change.map(|c| (format::signed_percent(c), c)),
        more: More::Neutral,
        note: unpriced.unwrap_or(charged),
        ..Stat::default()
    }
}

fn series(found: &Overview, of: impl Fn(&ByState<f64>) -> Option<f64>) -> Vec<Option<f64>> {
    found.over_time.iter().map(|b| of(&b.gpus)).collect()
}

fn hours(found: &Overview) -> Stat {
    let total = share::total(&found.gpu_hours);
    let before = share::comparable(found.gpu_hours_before.as_ref()).map(share::total);
    Stat {
        label: "GPU-hours",
        hint: "Hours of all GPUs in the range, whatever they did",
        value: format::compact(total),
        unit: "GPU-h".into(),
        change: format::change(total, before).map(|c| (format::signed_percent(c), c)),
        more: More::Neutral,
        note: before.map_or_else(String::new, |b| format!("{} before", format::compact(b))),
        spark: Some(("", series(found, |g| Some(share::total(g))))),
        ..Stat::default()
    }
}

fn active(found: &Overview) -> Stat {
    let now = share::active_ratio(&found.gpu_hours);
    let before = share::comparable(found.gpu_hours_before.as_ref()).and_then(share::active_ratio);
    let change = now.zip(before).map(|(now, before)| now - before);
    Stat {
        label: "Active share",
        hint: "Active hours of all hours with telemetry",
        value: now.map_or_else(|| format::NOT_REPORTED.to_owned(), |r| format!("{:.1}", r * 100.0)),
        unit: if now.is_some() { "%" } else { "" }.into(),
        change: change.map(|c| (format::points(c), c)),
        more: More::Good,
        note: before.map_or_else(String::new, |b| format!("{} before", format::percent(b))),
        spark: Some(("active", series(found, share::active_ratio))),
        ..Stat::default()
    }
}

fn in_vain(found: &Overview) -> Stat {
    let total = share::held_in_vain(&found.gpu_hours);
    let before = share::comparable(found.gpu_hours_before.as_ref()).map(share::held_in_vain);
    Stat {
        label: "Held but not working",
        hint: "Hours in which a job held a GPU without using it: held, idle and held, empty",
        value: format::compact(total),
        unit: "GPU-h".into(),
        change: format::change(total, before).map(|c| (format::signed_percent(c), c)),
        more: More::Bad,
        note: format!(
            "{} idle, {} empty",
            format::compact(found.gpu_hours.held_idle),
            format::compact(found.gpu_hours.held_empty)
        ),
        spark: Some(("held", series(found, |g| Some(share::held_in_vain(g))))),
        ..Stat::default()
    }
}

fn broken(found: &Overview) -> Stat {
    let now = &found.gpus_now;
    let critical = found.attention.iter().filter(|a| a.severity == Severity::Critical).count();
    let note = match (now.unknown, critical) {
        (0, 0) => "all others report".to_owned(),
        (0, n) => format::counted(n as u64, "critical finding"),
        (unknown, _) => format!("{} not reporting", format::counted(unknown, "GPU")),
    };
    Stat {
        label: "GPUs down",
        hint: "Off the bus, or on a node out of service, at the end of the range",
        value: format::count(now.down),
        more: More::Bad,
        note,
        spark: Some(("down", series(found, |g| Some(g.down)))),
        ..Stat::default()
    }
}
