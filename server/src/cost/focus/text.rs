//! Texts that charges are named by: SKUs, descriptions, tags, times.

use super::super::rows::Category;
use super::{FocusRow, FocusSource};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

/// What is sold, the same whatever the price.
pub(super) fn sku(source: &FocusSource) -> String {
    match source.category {
        Category::Gpu | Category::Idle => format!("gpu-{}", slug(source.gpu_model.as_deref().unwrap_or("unknown"))),
        other => other.as_str().to_owned(),
    }
}

/// Lower case letters and digits, with single dashes between them.
fn slug(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

/// What is sold at which price: the SKU is part of it, so that it has one SKU.
pub(super) fn sku_price(source: &FocusSource) -> String {
    let kind = source.price_kind.as_deref().unwrap_or("none");
    let line = source.price_line.map(|line| format!(":{line}")).unwrap_or_default();
    format!("{}:{kind}:{}{line}", sku(source), source.price_version.as_deref().unwrap_or("none"))
}

/// The line of the book that reserved the capacity.
pub(super) fn reservation(source: &FocusSource) -> String {
    let line = source.price_line.map(|line| format!(":{line}")).unwrap_or_default();
    let kind = source.price_kind.as_deref().unwrap_or("reserved");
    format!("{kind}:{}{line}", source.price_version.as_deref().unwrap_or("none"))
}

pub(super) fn meter(category: Category) -> &'static str {
    match category {
        Category::Gpu | Category::Idle => "GPU time",
        Category::Cpu => "CPU time",
        Category::Memory => "Memory time",
        Category::Overhead => "Shared overhead",
        Category::Storage => "Storage",
        Category::Network => "Network traffic",
        Category::Other => "Other charge",
    }
}

pub(super) fn description(row: &FocusRow) -> String {
    let source = &row.of;
    let what = match source.category {
        Category::Idle => "Idle GPU time".to_owned(),
        other => meter(other).to_owned(),
    };
    let model = source.gpu_model.as_deref().map(|model| format!(" of {model}")).unwrap_or_default();
    let job = source.job_id.as_deref().map(|job| format!(" for job {job}")).unwrap_or_default();
    let corrects = source.corrects.as_deref().map(|id| format!(", correcting {id}")).unwrap_or_default();
    format!("{what}{model}{job} in cluster {}{corrects}", source.cluster)
}

/// Tags of where the charge arose; the same for all charges of one origin.
pub(super) fn place_tags(source: &FocusSource) -> Map<String, Value> {
    tags(&[("cluster", Some(&source.cluster)), ("pool", source.pool.as_ref())])
}

/// Tags of whom the charge is for.
pub(super) fn owner_tags(source: &FocusSource) -> Map<String, Value> {
    tags(&[
        ("account", source.account.as_ref()),
        ("cost_centre", source.cost_centre.as_ref()),
        ("project", source.project.as_ref()),
        ("queue", source.queue.as_ref()),
        ("team", source.team.as_ref()),
        ("user", source.user.as_ref()),
    ])
}

fn tags(pairs: &[(&str, Option<&std::sync::Arc<str>>)]) -> Map<String, Value> {
    let pairs =
        pairs.iter().filter_map(|(key, value)| Some(((*key).to_owned(), Value::from(value.as_ref()?.as_ref()))));
    pairs.collect()
}

/// How a charge was split from its origin. Numbers keep all digits, which a double would not.
pub(super) fn allocation(row: &FocusRow) -> Option<String> {
    let ratio = row.ratio?;
    let unit = Value::from(row.of.unit.as_ref());
    let quantity = row.of.quantity;
    Some(format!("{{\"Elements\":[{{\"AllocatedRatio\":{ratio},\"UsageUnit\":{unit},\"UsageQuantity\":{quantity}}}]}}"))
}

/// `2026-10-05T10:00:00Z`; a part of a second is cut.
pub(super) fn time(micros: i64) -> String {
    let time = DateTime::<Utc>::from_timestamp_micros(micros).unwrap_or_default();
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}
