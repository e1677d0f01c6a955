//! Services of inference: answers as the API document has them, their numbers in words, and the rows behind pictures.
//! Pure.

mod curves;

pub(crate) use curves::{Curve, curves_sheet, first_token, has_values, kv_cache, per_token, queue, stacked, tokens};

use crate::format::{self, NOT_REPORTED, Unit, money};
use crate::sheet::{self, Field, Sheet, amount, count, measured, micros, named, number, ratio, text};
use contract::answers::Range;

answer! {
    /// `GET /api/v1/inference`.
    pub(crate) struct InferenceServices {
        pub(crate) currency: String,
        pub(crate) services: Vec<InferenceService>,
        pub(crate) services_left_out: u64,
    }
    pub(crate) struct InferenceService {
        pub(crate) service: String,
        pub(crate) figures: InferenceFigures,
        pub(crate) models: Vec<InferenceModel>,
        pub(crate) unpriced_gpu_hours: f64,
        pub(crate) unit_cost: InferenceUnitCost,
        pub(crate) scaling: Option<InferenceScaling>,
    }
    pub(crate) struct InferenceModel {
        pub(crate) model: String,
        pub(crate) figures: InferenceFigures,
    }
    pub(crate) struct InferenceFigures {
        pub(crate) source: String,
        pub(crate) requests: u64,
        pub(crate) failed: u64,
        pub(crate) requests_per_second: Option<f64>,
        pub(crate) input_tokens: u64,
        pub(crate) cached_tokens: Option<u64>,
        pub(crate) output_tokens: u64,
        pub(crate) tokens_per_second: Option<f64>,
        pub(crate) time_to_first_token_seconds: InferenceQuantiles,
        pub(crate) time_per_output_token_seconds: InferenceQuantiles,
        pub(crate) queue_seconds: InferenceQuantiles,
        pub(crate) duration_seconds: InferenceQuantiles,
    }
    pub(crate) struct InferenceQuantiles {
        pub(crate) p50: Option<f64>,
        pub(crate) p90: Option<f64>,
        pub(crate) p95: Option<f64>,
        pub(crate) p99: Option<f64>,
    }
    pub(crate) struct InferenceUnitCost {
        pub(crate) input_micros_per_million_tokens: Option<i64>,
        pub(crate) cached_micros_per_million_tokens: Option<i64>,
        pub(crate) output_micros_per_million_tokens: Option<i64>,
        pub(crate) micros_per_million_tokens: Option<i64>,
    }
    /// `GET /api/v1/inference/{service}`.
    pub(crate) struct InferenceDetail {
        pub(crate) range: Range,
        pub(crate) service: String,
        pub(crate) currency: String,
        pub(crate) figures: InferenceFigures,
        pub(crate) models: Vec<InferenceModel>,
        pub(crate) bucket_seconds: i64,
        pub(crate) over_time: Vec<InferenceBucket>,
        pub(crate) engine: InferenceEngine,
        pub(crate) bill: InferenceBill,
        pub(crate) by: String,
        pub(crate) lines: Vec<InferenceLine>,
        pub(crate) lines_left_out: u64,
        pub(crate) jobs: Vec<String>,
        pub(crate) jobs_left_out: u64,
        pub(crate) scaling: Option<InferenceScaling>,
    }
    pub(crate) struct InferenceBucket {
        pub(crate) time_unix_micros: i64,
        pub(crate) requests: u64,
        pub(crate) failed: u64,
        pub(crate) input_tokens: u64,
        pub(crate) cached_tokens: u64,
        pub(crate) output_tokens: u64,
        pub(crate) time_to_first_token_p50_seconds: Option<f64>,
        pub(crate) time_to_first_token_p95_seconds: Option<f64>,
        pub(crate) time_per_output_token_p50_seconds: Option<f64>,
        pub(crate) time_per_output_token_p95_seconds: Option<f64>,
        pub(crate) queue_p95_seconds: Option<f64>,
    }
    pub(crate) struct InferenceEngine {
        pub(crate) engines: Vec<String>,
        pub(crate) requests_running: Option<f64>,
        pub(crate) requests_waiting: Option<f64>,
        pub(crate) kv_cache_used_ratio: Option<f64>,
        pub(crate) prefix_hit_ratio: Option<f64>,
        pub(crate) over_time: Vec<InferenceEngineBucket>,
    }
    pub(crate) struct InferenceEngineBucket {
        pub(crate) time_unix_micros: i64,
        pub(crate) requests_running: Option<f64>,
        pub(crate) requests_waiting: Option<f64>,
        pub(crate) kv_cache_used_ratio: Option<f64>,
    }
    pub(crate) struct InferenceBill {
        pub(crate) bill_micros: Option<i64>,
        pub(crate) used_micros: i64,
        pub(crate) idle_micros: i64,
        pub(crate) unattributed_micros: i64,
        pub(crate) prefill_micros: i64,
        pub(crate) decode_micros: i64,
        pub(crate) hours_by_time: u64,
        pub(crate) hours_by_tokens: u64,
        pub(crate) gpu_hours: f64,
        pub(crate) unpriced_gpu_hours: f64,
        pub(crate) unbilled_requests: u64,
        pub(crate) on_allocation: InferenceUnitCost,
        pub(crate) on_use: InferenceUnitCost,
    }
    pub(crate) struct InferenceLine {
        pub(crate) kind: String,
        pub(crate) name: Option<String>,
        pub(crate) requests: u64,
        pub(crate) failed: u64,
        pub(crate) input_tokens: u64,
        pub(crate) cached_tokens: u64,
        pub(crate) output_tokens: u64,
        pub(crate) time_to_first_token_p95_seconds: Option<f64>,
        pub(crate) allocated_micros: i64,
        pub(crate) used_micros: i64,
        pub(crate) allocated_micros_per_million_tokens: Option<i64>,
        pub(crate) used_micros_per_million_tokens: Option<i64>,
    }
    pub(crate) struct InferenceScaling {
        pub(crate) replicas: Option<u64>,
        pub(crate) replicas_wanted: Option<u64>,
        pub(crate) confidence: Option<String>,
        pub(crate) text: String,
        pub(crate) work_tokens_per_second: f64,
        pub(crate) capacity_tokens_per_second: Option<f64>,
        pub(crate) is_saturated: bool,
        pub(crate) utilisation_ratio: Option<f64>,
        pub(crate) concurrency: f64,
        pub(crate) periods: u64,
        pub(crate) objective_time_to_first_token_seconds: f64,
        pub(crate) objective_queue_seconds: f64,
        pub(crate) objective_utilisation_ratio: f64,
    }
}

/// What a bill is spread by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Basis {
    /// All of it, idle time too.
    Allocation,
    /// What was worked in.
    Use,
}

/// Value of the address, label, meaning.
pub(crate) const BASES: [(Basis, &str, &str, &str); 2] = [
    (
        Basis::Allocation,
        "",
        "All that is paid",
        "The whole bill of its GPUs; idle time is spread over who asked in its hour",
    ),
    (Basis::Use, "use", "What was used", "Only time in which its GPUs worked; idle time is a line of its own"),
];

/// What lines can be told apart by: value of the address and of the API, label.
pub(crate) const GROUPINGS: [(&str, &str); 3] = [("tenant", "Tenant"), ("user", "User"), ("model", "Model")];

impl Basis {
    pub(crate) fn named(name: &str) -> Self {
        if name == "use" { Self::Use } else { Self::Allocation }
    }

    pub(crate) fn unit_cost(self, bill: &InferenceBill) -> &InferenceUnitCost {
        match self {
            Self::Allocation => &bill.on_allocation,
            Self::Use => &bill.on_use,
        }
    }

    pub(crate) fn of_line(self, line: &InferenceLine) -> i64 {
        match self {
            Self::Allocation => line.allocated_micros,
            Self::Use => line.used_micros,
        }
    }

    pub(crate) fn per_million(self, line: &InferenceLine) -> Option<i64> {
        match self {
            Self::Allocation => line.allocated_micros_per_million_tokens,
            Self::Use => line.used_micros_per_million_tokens,
        }
    }
}

/// The grouping of the address; tenants unless it says so.
pub(crate) fn grouping(name: &str) -> (&'static str, &'static str) {
    GROUPINGS.into_iter().find(|(known, _)| *known == name).unwrap_or(GROUPINGS[0])
}

pub(crate) fn failed_ratio(failed: u64, requests: u64) -> Option<f64> {
    (requests > 0).then(|| failed as f64 / requests as f64)
}

/// `3 of 4`: wanted and running.
pub(crate) fn replicas(scaling: Option<&InferenceScaling>) -> String {
    let number = |n: Option<u64>| n.map_or_else(|| "–".to_owned(), |n| n.to_string());
    match scaling {
        None => "not known".to_owned(),
        Some(InferenceScaling { replicas: None, replicas_wanted: None, .. }) => "not known".to_owned(),
        Some(scaling) => format!("{} of {}", number(scaling.replicas_wanted), number(scaling.replicas)),
    }
}

/// Whether it needs other replicas than run.
pub(crate) fn is_off(scaling: Option<&InferenceScaling>) -> bool {
    scaling
        .is_some_and(|scaling| scaling.replicas_wanted.zip(scaling.replicas).is_some_and(|(wanted, run)| wanted > run))
}

/// What a line is called.
pub(crate) fn line_name(line: &InferenceLine, by: &str) -> String {
    match line.kind.as_str() {
        "named" => line.name.clone().unwrap_or_default(),
        "unnamed" => format!("requests without a {by}"),
        "others" => "all others".to_owned(),
        "idle" => "idle: held and not worked in".to_owned(),
        _ => "worked in hours without a known request".to_owned(),
    }
}

/// Whether the line is about requests.
pub(crate) fn asks(line: &InferenceLine) -> bool {
    !matches!(line.kind.as_str(), "idle" | "unattributed")
}

/// Where figures come from, where that is not plain.
pub(crate) fn source_note(source: &str) -> Option<&'static str> {
    (source == "engine").then_some("from its engines' histograms; no single request is known")
}

/// What a reader of the unit costs has to know.
pub(crate) fn bill_notes(bill: &InferenceBill) -> Vec<String> {
    let mut notes = Vec::new();
    if bill.unpriced_gpu_hours > 0.0 {
        notes.push(format!("{} have no price and are in no amount.", format::gpu_hours(bill.unpriced_gpu_hours)));
    }
    if bill.unbilled_requests > 0 {
        let requests = format::counted(bill.unbilled_requests, "request");
        notes.push(format!("{requests} came in hours that the ledger does not have yet, or not of these GPUs."));
    }
    match (bill.hours_by_time, bill.hours_by_tokens) {
        (0, 0) => {}
        (_, 0) => notes.push("Prompts and answers are told apart by the time that each took.".to_owned()),
        (0, _) => notes.push(
            "Prompts and answers are told apart by tokens, four of a prompt for one generated: no request says when \
             its first token came."
                .to_owned(),
        ),
        (timed, other) => notes.push(format!(
            "Prompts and answers are told apart by time in {}, by tokens in {}.",
            format::counted(timed, "hour"),
            format::counted(other, "hour")
        )),
    }
    notes
}

/// A price of a million tokens, or that it is not known.
pub(crate) fn price(micros: Option<i64>) -> String {
    micros.map_or_else(|| "not known".to_owned(), money::money)
}

/// Seconds with their unit, or that they were not reported.
pub(crate) fn seconds(value: Option<f64>) -> String {
    format::maybe(Unit::Seconds, value)
}

/// The table of services as a file.
pub(crate) fn services_sheet(found: &InferenceServices) -> Sheet {
    let per = |what: &str| format!("{what} per million, {}", found.currency);
    let heads = vec![
        text("Service", "service"),
        number("Requests", "requests"),
        number("Failed", "failed_ratio"),
        number("First token, p95", "time_to_first_token_p95_seconds"),
        number("Per token, p95", "time_per_output_token_p95_seconds"),
        number("Tokens a second", "tokens_per_second"),
        number(per("Prompt"), "input_micros_per_million_tokens"),
        number(per("Answer"), "output_micros_per_million_tokens"),
        number("Replicas", "replicas"),
        number("Wanted", "replicas_wanted"),
    ];
    let row = |one: &InferenceService| {
        let (figures, scaling) = (&one.figures, one.scaling.as_ref());
        let whole = |n: Option<u64>| n.map_or_else(sheet::missing, count);
        vec![
            named(&one.service),
            count(figures.requests),
            ratio(failed_ratio(figures.failed, figures.requests)),
            measured(Unit::Seconds, figures.time_to_first_token_seconds.p95),
            measured(Unit::Seconds, figures.time_per_output_token_seconds.p95),
            amount(figures.tokens_per_second),
            micros(one.unit_cost.input_micros_per_million_tokens),
            micros(one.unit_cost.output_micros_per_million_tokens),
            whole(scaling.and_then(|s| s.replicas)),
            whole(scaling.and_then(|s| s.replicas_wanted)),
        ]
    };
    Sheet { name: "inference".to_owned(), heads, rows: found.services.iter().map(row).collect() }
}

/// Who asked, and what it cost; the rows sum to the bill.
pub(crate) fn lines_sheet(found: &InferenceDetail, basis: Basis) -> Sheet {
    let by = grouping(&found.by);
    let heads = vec![
        text(by.1, by.0),
        number("Requests", "requests"),
        number("Failed", "failed_ratio"),
        number("Prompt tokens", "input_tokens"),
        number("From cache", "cached_tokens"),
        number("Generated", "output_tokens"),
        number("First token, p95", "time_to_first_token_p95_seconds"),
        number(format!("Cost, {}", found.currency), "cost_micros"),
        number(format!("Per million, {}", found.currency), "micros_per_million_tokens"),
    ];
    let row = |line: &InferenceLine| {
        let asked =
            |field: Field| if asks(line) { field } else { Field { shown: String::new(), exact: String::new() } };
        vec![
            named(line_name(line, by.0)),
            asked(count(line.requests)),
            asked(ratio(failed_ratio(line.failed, line.requests))),
            asked(count(line.input_tokens)),
            asked(count(line.cached_tokens)),
            asked(count(line.output_tokens)),
            asked(measured(Unit::Seconds, line.time_to_first_token_p95_seconds)),
            micros(found.bill.bill_micros.map(|_| basis.of_line(line))),
            asked(micros(basis.per_million(line))),
        ]
    };
    Sheet {
        name: format!("inference-{}-by-{}", found.service, by.0),
        heads,
        rows: found.lines.iter().map(row).collect(),
    }
}

/// A number of the services' table, whose head names the unit; a dash where it is not known.
pub(crate) fn shown(unit: Unit, value: Option<f64>) -> (String, String) {
    match value.filter(|value| value.is_finite()) {
        Some(value) => (format::value(unit, value), value.to_string()),
        None => ("–".to_owned(), NOT_REPORTED.to_owned()),
    }
}

#[cfg(test)]
mod tests;
