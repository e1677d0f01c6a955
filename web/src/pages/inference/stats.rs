//! The four headline numbers: requests, how long people wait, what tokens cost, replicas.

use crate::format::{self, NOT_REPORTED, Unit, money};
use crate::inference::{
    Basis, InferenceDetail, failed_ratio, first_token, has_values, is_off, price, replicas, seconds, source_note,
};
use crate::pages::stat::{More, Stat, stat};
use leptos::prelude::*;

pub(super) fn stats(found: &InferenceDetail, basis: Basis) -> impl IntoView + use<> {
    [requests(found), wait(found), cost(found, basis), scale(found)].map(stat).into_iter().collect_view()
}

/// A value and its unit apart, as headlines have them.
fn parts(text: String) -> (String, String) {
    match text.split_once(' ') {
        Some((value, unit)) if text != NOT_REPORTED => (value.to_owned(), unit.to_owned()),
        _ => (text, String::new()),
    }
}

fn requests(found: &InferenceDetail) -> Stat {
    let figures = &found.figures;
    let failed = failed_ratio(figures.failed, figures.requests);
    let rate = figures.requests_per_second.map(|rate| format!("{} a second", format::digits(rate)));
    let note = source_note(&figures.source).map(str::to_owned).or_else(|| {
        let failed = failed.map(|ratio| format!("{} failed", format::percent(ratio)));
        Some([rate, failed].into_iter().flatten().collect::<Vec<_>>().join(" · "))
    });
    Stat {
        label: "Requests",
        hint: "Requests that arrived in the range, and the share of them that failed",
        value: format::compact(figures.requests as f64),
        exact: Some(format::count(figures.requests)),
        more: More::Neutral,
        note: note.unwrap_or_default(),
        needs_attention: failed.is_some_and(|ratio| ratio >= 0.01),
        spark: (figures.source == "requests")
            .then(|| ("", found.over_time.iter().map(|b| Some(b.requests as f64)).collect())),
        ..Stat::default()
    }
}

fn wait(found: &InferenceDetail) -> Stat {
    let (first, token) = (&found.figures.time_to_first_token_seconds, &found.figures.time_per_output_token_seconds);
    let (value, unit) = parts(seconds(first.p95));
    let curves = first_token(found);
    Stat {
        label: "First token, p95",
        hint: "95 of 100 requests see their first token within this time",
        value,
        unit: unit.into(),
        exact: first.p95.map(|p95| format!("{p95} s, 99 of 100 within {}", seconds(first.p99))),
        note: format!("{} median · {} a token at p95", seconds(first.p50), seconds(token.p95)),
        spark: has_values(&curves[1..2]).then(|| ("", curves[1].values.clone())),
        ..Stat::default()
    }
}

fn cost(found: &InferenceDetail, basis: Basis) -> Stat {
    let unit_cost = basis.unit_cost(&found.bill);
    let output = unit_cost.output_micros_per_million_tokens;
    Stat {
        label: "A million generated tokens",
        hint: "What its GPUs cost while they generated, by the tokens that they generated",
        value: price(output),
        exact: output.map(|micros| money::exact(micros, &found.currency)),
        unit: output.map(|_| found.currency.clone()).unwrap_or_default().into(),
        note: match unit_cost.input_micros_per_million_tokens {
            Some(input) => format!("{} for a million of prompts", money::money(input)),
            None if found.bill.bill_micros.is_none() => "its jobs are not known, or have no price".to_owned(),
            None => String::new(),
        },
        ..Stat::default()
    }
}

fn scale(found: &InferenceDetail) -> Stat {
    let scaling = found.scaling.as_ref();
    let utilisation = scaling.and_then(|s| s.utilisation_ratio);
    let note = match (utilisation, scaling.and_then(|s| s.confidence.clone())) {
        (Some(ratio), Some(confidence)) => format!("{} in use · {confidence} confidence", format::percent(ratio)),
        (Some(ratio), None) => format!("{} in use", format::percent(ratio)),
        _ => "too little is known of the last hours".to_owned(),
    };
    Stat {
        label: "Replicas wanted",
        hint: "Replicas that it needs for its objective, of those that run",
        value: replicas(scaling),
        exact: scaling.map(|s| s.text.clone()),
        note,
        needs_attention: is_off(scaling),
        ..Stat::default()
    }
}

/// A number of work, short.
pub(super) fn rate(value: f64) -> String {
    format::value(Unit::PerSecond, value)
}
