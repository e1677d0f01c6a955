//! The numbers on the first page.

use super::super::ask::{Kind, Request};
use super::super::document::Figure;
use super::super::figures::{hours, money, number, units};
use super::super::summary::{figure, percent_or_none};
use super::sums::{Sum, per_month};
use super::{Entry, Found};
use std::collections::BTreeMap;

/// As people read the name of a kind.
pub(super) fn spoken(kind: &str) -> String {
    kind.replace('_', " ").replace("gpus", "GPUs")
}

pub(super) fn figures(request: &Request, found: &Found, whole: &Sum, currency: &str) -> Vec<Figure> {
    let amount = |micros: Option<i64>| micros.map_or("–".to_owned(), money);
    let count = number(whole.entries.len() as f64, 0);
    let ongoing = found.entries.iter().filter(|entry| entry.is_ongoing).count();
    let ongoing = match ongoing {
        0 => "none of them goes on".to_owned(),
        1 => "1 of them goes on".to_owned(),
        many => format!("{} of them go on", number(many as f64, 0)),
    };
    let share = match (whole.cost, found.whole_cost_micros) {
        (Some(cost), Some(all)) if all > 0 => {
            format!("{} of the cost of these hours", percent_or_none(units(cost), units(all)))
        }
        (None, _) => "nothing of it has a price".to_owned(),
        _ => String::new(),
    };
    let unpriced = match whole.unpriced_gpu_hours > 0.0 {
        true => format!("{} of them have no price", hours(whole.unpriced_gpu_hours)),
        false => "each has a price".to_owned(),
    };
    let (worst, worst_of) = worst(found);
    let of_worst = worst_of.map_or(String::new(), |micros| format!("{} {currency} of it", money(micros)));
    let open = parts(found).filter(|(entry, _)| entry.is_ongoing);
    let going_on = open.filter_map(|(_, part)| part.cost_micros).reduce(i64::saturating_add);
    let month = whole.cost.and_then(|cost| per_month(found, cost));
    match request.kind {
        Kind::Waste => vec![
            figure("Wasted", amount(whole.cost), currency, share),
            figure("Per month", amount(month), currency, "what 30 days like these would cost".to_owned()),
            figure("GPU-hours", hours(whole.gpu_hours), "GPU-h", unpriced),
            figure("Findings", count, "", ongoing),
            figure("Most of it", worst, "", of_worst),
            figure("Going on", amount(going_on), currency, "of findings that have not ended".to_owned()),
        ],
        _ => vec![
            figure("Cost of failures", amount(whole.cost), currency, share),
            figure("GPU-hours lost", hours(whole.gpu_hours), "GPU-h", unpriced),
            figure("Incidents", count, "", ongoing),
            figure("Jobs hit", number(whole.jobs as f64, 0), "", "attempts that ended too early".to_owned()),
            figure(
                "GPUs down",
                hours(whole.down_gpu_hours),
                "GPU-h",
                whole.down_cost.map_or("of no known cost".to_owned(), |cost| format!("{} {currency}", money(cost))),
            ),
            figure("Most of it", worst, "", of_worst),
        ],
    }
}

/// The kind that costs most, or takes most where nothing has a price.
fn worst(found: &Found) -> (String, Option<i64>) {
    let mut kinds: BTreeMap<&str, (Option<i64>, f64)> = BTreeMap::new();
    for (entry, part) in parts(found) {
        let sum = kinds.entry(&entry.kind).or_default();
        sum.0 = sum.0.into_iter().chain(part.cost_micros).reduce(i64::saturating_add);
        sum.1 += part.gpu_hours;
    }
    let most = kinds.into_iter().max_by(|(_, a), (_, b)| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    most.map_or(("–".to_owned(), None), |(kind, (cost, _))| (spoken(kind), cost))
}

pub(super) fn parts(found: &Found) -> impl Iterator<Item = (&Entry, &super::Part)> {
    found.entries.iter().flat_map(|entry| entry.parts.iter().map(move |part| (entry, part)))
}
