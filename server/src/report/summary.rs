//! The numbers on the first page.

use super::ReportError;
use super::ask::{Kind, Request};
use super::document::{Carbon, Figure};
use super::figures::{change, hours, money, number, percent, units};
use super::gather::{Gathered, Totals};
use super::table::{float, int, sums};
use contract::GpuState;
use polars::prelude::DataFrame;

const JOULES_PER_KWH: f64 = 3_600_000.0;

pub(super) fn figures(
    request: &Request,
    gathered: &Gathered,
    sorted: &DataFrame,
    currency: &str,
) -> Result<Vec<Figure>, ReportError> {
    if !request.format.is_rich() {
        return Ok(Vec::new());
    }
    let mut figures = match request.kind {
        Kind::Utilization => of_use(request, sorted, currency)?,
        _ => of_money(&gathered.totals, &gathered.before, currency),
    };
    figures.extend(of_energy(&gathered.totals, gathered.carbon.as_ref()));
    Ok(figures)
}

pub(super) fn figure(label: &'static str, value: String, unit: &str, remark: String) -> Figure {
    Figure { label, value, unit: unit.to_owned(), remark }
}

/// Of a part in a whole; none where there is no whole.
fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

pub(super) fn percent_or_none(part: f64, whole: f64) -> String {
    ratio(part, whole).map_or("–".to_owned(), percent)
}

fn of_money(totals: &Totals, before: &Totals, currency: &str) -> Vec<Figure> {
    let cost = totals.cost_micros.unwrap_or_default();
    let priced = totals.gpu_hours - totals.unpriced_gpu_hours;
    let earlier = |now: f64, then: Option<f64>| {
        let changed = then.and_then(|then| change(now, then));
        changed.map_or("no period before to compare".to_owned(), |text| format!("{text} against the period before"))
    };
    let value = if totals.cost_micros.is_some() { money(cost) } else { "–".to_owned() };
    let before_cost = before.cost_micros.map(units);
    let before_hours = (before.gpu_hours > 0.0).then_some(before.gpu_hours);
    let per_hour = ratio(units(cost), priced).map_or("–".to_owned(), |rate| number(rate, 4));
    let idle = totals.idle_cost_micros.unwrap_or_default();
    let free = totals.unallocated_cost_micros.unwrap_or_default();
    let unowned = totals.unowned_cost_micros.unwrap_or_default();
    let unpriced = match totals.unpriced_gpu_hours > 0.0 {
        true => format!("{} of all, in no amount here", percent_or_none(totals.unpriced_gpu_hours, totals.gpu_hours)),
        false => "every hour has a price".to_owned(),
    };
    vec![
        figure("Total cost", value, currency, earlier(units(cost), before_cost)),
        figure("GPU-hours", hours(totals.gpu_hours), "GPU-h", earlier(totals.gpu_hours, before_hours)),
        figure("Cost per GPU-hour", per_hour, currency, "of the hours that have a price".to_owned()),
        figure(
            "Without work",
            percent_or_none(totals.idle_gpu_hours, totals.gpu_hours),
            "of GPU-hours",
            format!("{} {currency}, of it {} for GPUs that no job held", money(idle), money(free)),
        ),
        figure(
            "Unowned",
            percent_or_none(units(unowned), units(cost)),
            "of cost",
            format!("{} {currency} of jobs that no rule matches", money(unowned)),
        ),
        figure("Unpriced", hours(totals.unpriced_gpu_hours), "GPU-h", unpriced),
    ]
}

fn of_use(request: &Request, sorted: &DataFrame, currency: &str) -> Result<Vec<Figure>, ReportError> {
    let all = sums(request, sorted, 0)?;
    let total = float(&all, "gpu_hours", 0)?;
    let of = |state: GpuState| float(&all, state.as_str(), 0);
    let active = of(GpuState::Active)?;
    let held = of(GpuState::HeldIdle)? + of(GpuState::HeldEmpty)?;
    let free = of(GpuState::Unallocated)?;
    let (down, unknown) = (of(GpuState::Down)?, of(GpuState::Unknown)?);
    let idle = int(&all, "idle_cost", 0)?.unwrap_or_default();
    let hours_of = |part: f64, what: &str| format!("{} GPU-h {what}", hours(part));
    let busy_hours = float(&all, "busy_ratio_hours", 0)?;
    let busy = percent_or_none(float(&all, "busy_ratio", 0)?, busy_hours);
    Ok(vec![
        figure("GPU-hours", hours(total), "GPU-h", "in all six states".to_owned()),
        figure("Active", percent_or_none(active, total), "of GPU-hours", hours_of(active, "with work")),
        figure("Held without work", percent_or_none(held, total), "of GPU-hours", hours_of(held, "held by jobs")),
        figure("Unallocated", percent_or_none(free, total), "of GPU-hours", hours_of(free, "that no job held")),
        figure("Mean busy ratio", busy, "", format!("over {} GPU-h with telemetry", hours(busy_hours))),
        figure("Idle cost", money(idle), currency, "held without work, or held by no job".to_owned()),
        figure(
            "Down or unknown",
            percent_or_none(down + unknown, total),
            "of GPU-hours",
            format!("{} down, {} without telemetry", hours(down), hours(unknown)),
        ),
    ])
}

fn of_energy(totals: &Totals, carbon: Option<&Carbon>) -> Vec<Figure> {
    let energy = totals.energy_joules.map(|joules| {
        let remark = "measured at the GPUs".to_owned();
        figure("Energy", number(joules / JOULES_PER_KWH, 0), "kWh", remark)
    });
    let carbon = carbon.and_then(|carbon| {
        let without = match carbon.without_factor_joules > 0.0 {
            true => format!("; {} kWh have no factor", number(carbon.without_factor_joules / JOULES_PER_KWH, 0)),
            false => String::new(),
        };
        let remark = format!("factors: {}{without}", carbon.sources.join(", "));
        Some(figure("Carbon", number(carbon.grams? / 1e3, 1), "kg CO₂e", remark))
    });
    energy.into_iter().chain(carbon).collect()
}
