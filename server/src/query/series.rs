//! Rows of one device in order of time → series over buckets.
//!
//! **Invariant:** a gauge's value holds for its row's interval, a counter's rise for the time between two
//! rows. A counter that went back has started again from 0, so its new value is the rise.

use super::QueryError;
use super::ask::{Asking, each_row, instant};
use super::buckets::{Buckets, Means};
use super::samples::Scope;
use contract::answers::Series;
use contract::{Column, Kind};
use futures::StreamExt;

/// Columns of a table as series: gauges as they are, counters as `<base>_per_second`.
pub(super) struct Wanted {
    gauges: Vec<&'static Column>,
    counters: Vec<&'static Column>,
}

impl Wanted {
    /// All that is measured: gauges, counters, and numbers without a unit that are named.
    pub(super) fn of(table: &str, plain: &[&str]) -> Self {
        let columns = contract::table(table).map_or(&[][..], |t| t.columns);
        let mut gauges = super::fleet::gauges(table);
        gauges.extend(columns.iter().filter(|c| plain.contains(&c.name)));
        let number = |c: &&Column| matches!(c.kind, Kind::Float | Kind::Int);
        let counters = columns.iter().filter(number).filter(|c| c.name.ends_with("_total")).collect();
        Self { gauges, counters }
    }

    fn columns(&self) -> impl Iterator<Item = &'static Column> {
        self.gauges.iter().chain(&self.counters).copied()
    }
}

/// One device's rows; the row before the range is read too, because a counter's first rise begins there.
pub(super) async fn ask(
    asking: &Asking,
    table: &str,
    scope: &Scope,
    buckets: &Buckets,
    wanted: &Wanted,
) -> Result<Vec<Series>, QueryError> {
    /// As far back as that row is looked for: one day is the longest interval that counts.
    const BEFORE_MICROS: i64 = 86_400 * 1_000_000;
    let (conditions, values) = scope.conditions(3);
    let columns: String = wanted.columns().map(|c| format!(", cast({} as double)", c.name)).collect();
    let sql = format!(
        "select time, interval_seconds{columns} from {table} where time >= $1 and time < $2{conditions} order by time"
    );
    let range = buckets.range;
    let mut with = vec![instant(range.from_unix_micros - BEFORE_MICROS), instant(range.to_unix_micros)];
    with.extend(values);
    let mut rows = asking.stream(&sql, with).await?;
    let gauges = wanted.gauges.len();
    let mut means = vec![Means::new(buckets); gauges + wanted.counters.len()];
    let mut before: Vec<Option<(i64, f64)>> = vec![None; wanted.counters.len()];
    while let Some(batch) = rows.next().await {
        let batch = [batch?];
        for row in each_row(&batch) {
            let (Some(time), Some(interval)) = (row.time(0), row.float(1)) else { continue };
            let until = time + (interval.clamp(0.0, 86_400.0) * 1e6) as i64;
            for (at, mean) in means[..gauges].iter_mut().enumerate() {
                if let Some(value) = row.float(at + 2) {
                    mean.add(buckets, time, until, value);
                }
            }
            for (at, before) in before.iter_mut().enumerate() {
                let Some(value) = row.float(gauges + at + 2) else { continue };
                if let Some((earlier, base)) = before.replace((time, value)).filter(|(earlier, _)| *earlier < time) {
                    let rise = if value >= base { value - base } else { value };
                    let rate = rise / ((time - earlier) as f64 / 1e6);
                    means[gauges + at].add(buckets, earlier, time, rate);
                }
            }
        }
    }
    Ok(wanted.columns().zip(&means).map(|(column, mean)| series(column, mean)).collect())
}

fn series(column: &Column, mean: &Means) -> Series {
    let values = mean.values();
    match column.name.strip_suffix("_total") {
        Some(base) => {
            let unit = format!("{}_per_second", column.unit);
            Series { name: format!("{base}_per_second"), unit, values }
        }
        None => Series { name: column.name.to_owned(), unit: column.unit.to_owned(), values },
    }
}
