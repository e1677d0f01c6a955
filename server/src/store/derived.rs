//! The tables that the server derives from samples and keeps beside them: minutes, hours, and the use of each hour.
//!
//! Their columns follow from those of their source, so a new gauge or counter is rolled up without a word here.
//! **Invariant:** every row is a pure function of rows of its source; nothing can be sent to these tables.

use super::positions::{Covers, Positions};
use contract::{ByState, Column, GpuState, Kind, TABLES, Table};

/// What a step of a rollup keeps of a gauge, as `<gauge>_<suffix>`.
const GAUGE_SUFFIXES: [&str; 7] = ["count", "sum", "min", "max", "last", "integral", "seconds"];

/// Samples of one device (and job) that start within one step of time, summed up.
#[derive(Debug)]
pub struct Rollup {
    pub table: Table,
    pub source: &'static Table,
    pub step_seconds: i64,
    /// Columns of the source that tell its devices apart, as they stand in the rollup.
    pub keys: Vec<&'static str>,
    /// Columns of the source that have a value at each time.
    pub gauges: Vec<&'static str>,
    /// Columns of the source that only rise until they restart.
    pub counters: Vec<&'static str>,
}

/// The use of each GPU in each hour, by job.
const USAGE_HOURLY: &str = "usage_hourly";
/// Ratios whose mean and maximum stand in [`USAGE_HOURLY`].
pub const USAGE_RATIOS: [&str; 6] = [
    "gpu_busy_ratio",
    "memory_busy_ratio",
    "sm_active_ratio",
    "sm_occupancy_ratio",
    "tensor_active_ratio",
    "dram_active_ratio",
];
/// Counters of `gpu_samples` whose rise stands in [`USAGE_HOURLY`], without their `_total`.
pub const USAGE_RISES: [&str; 5] =
    ["energy_joules", "pcie_receive_bytes", "pcie_transmit_bytes", "nvlink_receive_bytes", "nvlink_transmit_bytes"];

/// What the hours of months that are not closed cost.
const LEDGER_OPEN: &str = "ledger_open";
/// What happened while they were computed.
const LEDGER_NOTICES: &str = "ledger_notices";

/// Names of all derived tables.
pub const DERIVED: [&str; 9] = [
    "gpu_samples_1h",
    "gpu_samples_1m",
    "host_samples_1h",
    "host_samples_1m",
    "process_samples_1h",
    "process_samples_1m",
    USAGE_HOURLY,
    LEDGER_OPEN,
    LEDGER_NOTICES,
];

/// The derived tables of a store. Like the tables of the contract they live as long as the process.
#[derive(Debug)]
pub struct DerivedTables {
    /// `gpu_samples`, `host_samples` and `process_samples`, each by hour and then by minute.
    pub rollups: Vec<Rollup>,
    pub usage_hourly: Table,
    /// Rows of the ledger whose month is open.
    pub ledger_open: Table,
    /// What a reader of the ledger should know of each day.
    pub ledger_notices: Table,
}

impl DerivedTables {
    pub(super) fn new() -> &'static Self {
        let of = |source| [rollup(source, "1h", 3600), rollup(source, "1m", 60)];
        let rollups = ["gpu_samples", "host_samples", "process_samples"].into_iter().flat_map(of).collect();
        Box::leak(Box::new(Self {
            rollups,
            usage_hourly: usage_hourly(),
            ledger_open: ledger_open(),
            ledger_notices: ledger_notices(),
        }))
    }

    /// The hours of `process_samples`.
    pub fn process_hours(&self) -> &Table {
        &self.rollups[4].table
    }

    /// Every table that is stored: the derived ones, and then those that rows are sent to.
    pub(super) fn with_sources(&'static self) -> impl Iterator<Item = &'static Table> {
        self.rollups
            .iter()
            .map(|rollup| &rollup.table)
            .chain([&self.usage_hourly, &self.ledger_open, &self.ledger_notices])
            .chain(crate::store::ground_tables())
    }
}

/// What a rollup holds by the transaction of its table, where earlier versions said it: its only source's position.
pub(super) fn covered_before(table: &Table, position: u64) -> Covers {
    let mut covers = Covers::default();
    if let Some((source, "1h" | "1m")) = table.name.rsplit_once('_') {
        covers.add(source, &Positions::local(position));
    }
    covers
}

/// The column of [`USAGE_HOURLY`] that holds the seconds in a state.
pub fn seconds_column(state: GpuState) -> String {
    format!("{}_seconds", state.as_str())
}

fn rollup(source: &str, suffix: &str, step_seconds: i64) -> Rollup {
    let source = TABLES.iter().find(|table| table.name == source).expect("the contract has every source");
    let (keys, measured): (Vec<&'static Column>, Vec<&'static Column>) =
        source.columns.iter().filter(|c| c.kind != Kind::Time && c.name != "interval_seconds").partition(|c| is_key(c));
    // A mask of reasons has neither a mean nor a least value.
    let measured = measured.into_iter().filter(|c| c.name != "throttle_reasons");
    let (counters, gauges): (Vec<&Column>, Vec<&Column>) = measured.partition(|c| c.name.ends_with("_total"));
    let mut columns = vec![column("time", Kind::Time, false, "time", "Start of the step".to_owned())];
    columns.extend(keys.iter().map(|key| **key));
    columns.push(column("last_time", Kind::Time, false, "time", "Start of the last sample in it".to_owned()));
    columns.push(column("sample_count", Kind::Int, false, "count", "Samples that start in it".to_owned()));
    columns.push(column("covered_seconds", Kind::Float, false, "seconds", "Their intervals together".to_owned()));
    let longest = "The longest of their intervals".to_owned();
    columns.push(column("interval_max_seconds", Kind::Float, false, "seconds", longest));
    gauges.iter().for_each(|gauge| columns.extend(of_gauge(gauge)));
    counters.iter().for_each(|counter| columns.extend(of_counter(counter)));
    let per = if step_seconds == 60 { "minute" } else { "hour" };
    let names = |columns: &[&'static Column]| columns.iter().map(|c| c.name).collect();
    let table = Table {
        name: leak(format!("{}_{suffix}", source.name)),
        doc: leak(format!("{}, summed up by {per} and job", source.doc)),
        time_column: "time",
        sort_key: source.sort_key,
        columns: columns.leak(),
    };
    Rollup { table, source, step_seconds, keys: names(&keys), gauges: names(&gauges), counters: names(&counters) }
}

fn is_key(column: &Column) -> bool {
    column.kind == Kind::Text || is_number(column.name)
}

/// Whether a key is a number: what tells devices of a node apart, or processes.
pub fn is_number(key: &str) -> bool {
    ["gpu_index", "pid"].contains(&key)
}

fn of_gauge(gauge: &'static Column) -> [Column; 7] {
    GAUGE_SUFFIXES.map(|suffix| {
        let (unit, doc) = match suffix {
            "count" => ("count", "Samples that report"),
            "sum" => (gauge.unit, "Sum over the samples of"),
            "min" => (gauge.unit, "Least"),
            "max" => (gauge.unit, "Greatest"),
            "last" => (gauge.unit, "Value in the last sample that reports"),
            "integral" => ("", "Sum over the seconds of the step of"),
            _ => ("seconds", "Seconds of the step that are covered by samples which report"),
        };
        let nullable = !matches!(suffix, "count" | "seconds");
        let kind = if suffix == "count" { Kind::Int } else { Kind::Float };
        column(leak(format!("{}_{suffix}", gauge.name)), kind, nullable, unit, format!("{doc} {}", gauge.name))
    })
}

fn of_counter(counter: &'static Column) -> [Column; 2] {
    let base = counter.name.trim_end_matches("_total");
    let rise = format!("Rise of {} since the sample before, at most a day ago, and across restarts", counter.name);
    [
        column(leak(format!("{base}_increase")), Kind::Float, true, counter.unit, rise),
        column(leak(format!("{base}_last")), Kind::Float, true, counter.unit, format!("{} at its end", counter.name)),
    ]
}

fn usage_hourly() -> Table {
    let gpu = TABLES.iter().find(|table| table.name == "gpu_samples").expect("the contract has gpu_samples");
    let mut columns = vec![column("time", Kind::Time, false, "time", "Start of the hour".to_owned())];
    columns.extend(gpu.columns.iter().filter(|c| is_key(c)));
    let mut states: ByState<&str> = ByState::default();
    GpuState::ALL.into_iter().for_each(|state| *states.get_mut(state) = leak(seconds_column(state)));
    for state in GpuState::ALL {
        let doc = format!("Seconds of the hour in which the GPU was {}", state.as_str());
        columns.push(column(states.get(state), Kind::Float, false, "seconds", doc));
    }
    for ratio in USAGE_RATIOS {
        columns.push(column(leak(format!("{ratio}_mean")), Kind::Float, true, "ratio", format!("Mean of {ratio}")));
        columns.push(column(leak(format!("{ratio}_max")), Kind::Float, true, "ratio", format!("Greatest {ratio}")));
    }
    for rise in USAGE_RISES {
        let unit = if rise.ends_with("joules") { "joules" } else { "bytes" };
        columns.push(column(rise, Kind::Float, true, unit, format!("Rise of {rise}_total")));
    }
    Table {
        name: USAGE_HOURLY,
        doc: "What a GPU did in one hour for one job, or for none; of a GPU that counts, the seconds of an hour sum to 3600",
        time_column: "time",
        sort_key: &["gpu_uuid", "time"],
        columns: columns.leak(),
    }
}

fn ledger_open() -> Table {
    Table {
        name: LEDGER_OPEN,
        doc: "Rows of the ledger whose month is open",
        time_column: "time",
        sort_key: &["time"],
        columns: crate::store::LEDGER_COLUMNS,
    }
}

fn ledger_notices() -> Table {
    let text = |name, doc: &str| column(name, Kind::Text, false, "", doc.to_owned());
    let columns = vec![
        column("time", Kind::Time, false, "time", "Start of the day".to_owned()),
        text("kind", "What happened, such as missing_price or unknown_owner"),
        text("thing", "GPU or job that it happened to; empty for all beyond the first ten thousand"),
        column("count", Kind::Int, false, "count", "How often in the day".to_owned()),
        text("example", "The first time, in words"),
    ];
    Table {
        name: LEDGER_NOTICES,
        doc: "What a reader of the ledger should know of a day: an outcome that is not plain, by GPU or job",
        time_column: "time",
        sort_key: &["time"],
        columns: columns.leak(),
    }
}

fn column(name: &'static str, kind: Kind, nullable: bool, unit: &'static str, doc: String) -> Column {
    Column { name, kind, nullable, unit, doc: leak(doc) }
}

/// Made once in the life of a process.
fn leak(text: String) -> &'static str {
    text.leak()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_measure_of_the_source_is_rolled_up() {
        let derived = DerivedTables::new();
        for rollup in &derived.rollups {
            let name = rollup.table.name;
            assert!(name.starts_with(rollup.source.name), "{name}");
            for column in rollup.source.columns {
                let base = column.name.trim_end_matches("_total");
                let kept = [column.name.to_owned(), format!("{}_sum", column.name), format!("{base}_increase")];
                let left_out = ["interval_seconds", "throttle_reasons"].contains(&column.name);
                assert!(
                    left_out || kept.iter().any(|c| rollup.table.column(c).is_some()),
                    "{name} lacks {}",
                    column.name
                );
            }
        }
        assert_eq!(derived.rollups[0].table.name, "gpu_samples_1h");
        assert_eq!(derived.process_hours().name, "process_samples_1h");
        assert_eq!(derived.rollups[4].gauges, ["memory_used_bytes", "sm_busy_ratio"]);
        assert_eq!(derived.rollups[0].counters.len(), 8);
        assert_eq!(derived.rollups[0].gauges.len(), 15);
        assert_eq!(
            derived.rollups[2].gauges,
            ["cpu_busy_ratio", "load_1m", "memory_used_bytes", "memory_total_bytes", "power_watts"]
        );
    }

    #[test]
    fn columns_are_unique_and_say_what_they_are() {
        let derived: Vec<&Table> = DerivedTables::new().with_sources().take(DERIVED.len()).collect();
        assert_eq!(derived.iter().map(|table| table.name).collect::<Vec<_>>(), DERIVED);
        for table in derived {
            for (i, column) in table.columns.iter().enumerate() {
                assert!(table.columns[..i].iter().all(|c| c.name != column.name), "{}.{}", table.name, column.name);
                assert!(!column.doc.is_empty() && !column.doc.ends_with('.'), "{}.{}", table.name, column.name);
            }
            assert!(table.sort_key.iter().all(|key| table.column(key).is_some()), "{}", table.name);
            assert!(TABLES.iter().all(|t| t.name != table.name), "{}", table.name);
        }
    }
}
