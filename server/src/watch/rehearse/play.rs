//! One case: its rows are kept, its rules looked at from its start on, and what is not over compared.

use super::super::WatchError;
use super::super::ask::{ask, has_rows};
use super::Verdict;
use crate::alert::{Case, Eval, Fingerprint, Instance, Played, Row, Rule, offset, step};
use crate::query::{Engine, QuerySettings};
use crate::store::{Covers, Derived, Store, StoreSettings, ground_table};
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::json::ReaderBuilder;
use chrono::{DateTime, SecondsFormat};
use contract::{Table, WriterId};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const DAY: i64 = 86_400_000_000;
const HOUR: Duration = Duration::from_secs(3600);
/// A case that looks more often is a simulation.
const LOOKS_MAX: usize = 20_000;
/// Alerts that a failure lists.
const LISTED_MAX: usize = 20;

/// What a rule sees that is not over, at each time that is asked for.
type Standing<'r> = Vec<Vec<(&'r Rule, Instance)>>;

pub(super) async fn play(case: &Case, start_micros: i64, rules: &[&Rule]) -> Result<Verdict, WatchError> {
    let folder = tempfile::tempdir().map_err(WatchError::internal)?;
    let (store, engine) = open(folder.path())?;
    let mut verdict = Verdict {
        case: case.name.to_string(),
        about: case.evals.iter().flat_map(|eval| &eval.alerts).map(|alert| alert.rule.to_string()).collect(),
        looks: 0,
        failures: Vec::new(),
    };
    match keep(&store, &case.rows, start_micros).await {
        Ok(()) => {
            let mut standing: Standing<'_> = case.evals.iter().map(|_| Vec::new()).collect();
            for rule in rules {
                watch(&engine, rule, case, start_micros, &mut standing, &mut verdict).await;
            }
            for (eval, standing) in case.evals.iter().zip(standing) {
                verdict.failures.extend(compared(eval, standing));
            }
        }
        Err(WatchError::Refused(why)) => verdict.failures.push(why),
        Err(other) => return Err(other),
    }
    drop(engine);
    tokio::task::spawn_blocking(move || store.close()).await.map_err(WatchError::internal)??;
    Ok(verdict)
}

fn open(folder: &Path) -> Result<(Store, Engine), WatchError> {
    let store = Store::open(StoreSettings {
        data_dir: folder.join("rows"),
        tables: None,
        flush_after: HOUR,
        flush_bytes: 1 << 30,
        hot_bytes_max: 1 << 30,
        remove_after: HOUR,
    })?;
    let settings = QuerySettings {
        timeout: Duration::from_secs(60),
        rows_max: 1_000_000,
        memory_bytes_max: 512 << 20,
        resident_bytes_max: 1 << 40,
        spill_dir: folder.join("spill"),
        spill_bytes_max: 256 << 20,
    };
    let engine = Engine::new(store.clone(), settings)?;
    Ok((store, engine))
}

/// Looks at a rule from the start to the last time that is asked for.
async fn watch<'r>(
    engine: &Engine,
    rule: &'r Rule,
    case: &Case,
    start_micros: i64,
    standing: &mut Standing<'r>,
    verdict: &mut Verdict,
) {
    let mut known: BTreeMap<Fingerprint, Instance> = BTreeMap::new();
    let (mut now_micros, mut last_micros) = (start_micros, None);
    for (eval, standing) in case.evals.iter().zip(standing) {
        while now_micros <= start_micros + eval.at_micros && verdict.looks < LOOKS_MAX {
            verdict.looks += 1;
            let seen = match has_rows(engine, rule, now_micros).await {
                Ok(true) => ask(engine, rule, now_micros, |_| true).await.map(Some),
                Ok(false) => Ok(None),
                Err(error) => Err(error),
            };
            match seen {
                Ok(Some(seen)) => {
                    step(rule, &mut known, &seen, last_micros, now_micros);
                    last_micros = Some(now_micros);
                }
                // Whoever sees nothing learns nothing.
                Ok(None) => {}
                Err(error) => {
                    verdict.failures.push(format!("{} cannot be asked: {error}", rule.name));
                    return;
                }
            }
            now_micros += rule.every_micros;
        }
        let open = known.values().filter(|instance| !instance.phase.is_over());
        standing.extend(open.map(|instance| (rule, instance.clone())));
    }
    if verdict.looks >= LOOKS_MAX {
        verdict
            .failures
            .push(format!("the case takes more than {LOOKS_MAX} looks: end it sooner, or play fewer rules"));
    }
}

/// What should be there and is not, and the other way round.
fn compared(eval: &Eval, mut standing: Vec<(&Rule, Instance)>) -> Vec<String> {
    let at = eval.at_micros as f64 / 1e6;
    let mut failures = Vec::new();
    for expected in &eval.alerts {
        match standing.iter().position(|(rule, instance)| expected.is_met(&rule.name, instance)) {
            Some(found) => drop(standing.remove(found)),
            None => failures.push(format!("at {at} s (line {}): there is no {expected}", eval.line)),
        }
    }
    for (rule, instance) in standing.iter().take(LISTED_MAX) {
        failures.push(format!("at {at} s (line {}): there is {}", eval.line, told(rule, instance)));
    }
    failures
}

fn told(rule: &Rule, instance: &Instance) -> String {
    let own = |name: &str| ["alertname", "severity"].contains(&name);
    let labels: Vec<String> = instance
        .labels
        .iter()
        .filter(|(name, _)| !own(name))
        .map(|(name, value)| format!("{name}={:?}", &**value))
        .collect();
    let value = instance.value.map(|value| format!(" value {value}")).unwrap_or_default();
    let summary = instance.annotations.get("summary").cloned().unwrap_or_default();
    format!("{} {} {}{value}, summary {summary:?}", rule.name, instance.phase.as_str(), labels.join(" "))
}

async fn keep(store: &Store, rows: &[Played], start_micros: i64) -> Result<(), WatchError> {
    let mut tables: BTreeMap<&str, Vec<&Played>> = BTreeMap::new();
    for played in rows {
        tables.entry(&played.table).or_default().push(played);
    }
    let writer = WriterId::parse("test/00000000-0000-4000-8000-000000000000").map_err(WatchError::internal)?;
    for (sequence, (name, rows)) in (1..).zip(tables) {
        let ledger = &store.derived().ledger_open;
        if name == ledger.name {
            derive(store, ledger, &rows, start_micros).await?;
            continue;
        }
        let Some(table) = contract::table(name).or_else(|| ground_table(name)) else {
            let line = rows.first().map_or(0, |row| row.line);
            return Err(WatchError::Refused(format!("line {line}: there is no table {name:?} that takes rows")));
        };
        store.append(table, &writer, sequence, batch(table, &rows, start_micros)?).await?;
    }
    Ok(())
}

/// A derived table is written by the day.
async fn derive(store: &Store, table: &'static Table, rows: &[&Played], start_micros: i64) -> Result<(), WatchError> {
    let mut days: BTreeMap<i64, Vec<&Played>> = BTreeMap::new();
    for row in rows {
        days.entry((start_micros + row.at_micros).div_euclid(DAY)).or_default().push(row);
    }
    for (day, rows) in days {
        let derived = Derived {
            rows: batch(table, &rows, start_micros)?,
            from_micros: day * DAY,
            to_micros: (day + 1) * DAY,
            covers: Covers::default(),
            now_micros: start_micros,
        };
        store.derive(&mut store.snapshot(table), derived).await?;
    }
    Ok(())
}

/// Strictly: a column that the table does not have, or a value of another kind, is the author's to mend.
fn batch(table: &'static Table, rows: &[&Played], start_micros: i64) -> Result<RecordBatch, WatchError> {
    let schema = contract::schema(table);
    let line = rows.first().map_or(0, |row| row.line);
    let refused = |error: arrow::error::ArrowError| {
        WatchError::Refused(format!("line {line}: a row does not fit the table {}: {error}", table.name))
    };
    let written: Vec<Row> = rows.iter().map(|played| with_times(played, &schema, start_micros)).collect();
    let builder = ReaderBuilder::new(schema).with_strict_mode(true).with_batch_size(written.len().max(1));
    let mut decoder = builder.build_decoder().map_err(WatchError::internal)?;
    decoder.serialize(&written).map_err(refused)?;
    let read = decoder.flush().map_err(refused)?;
    read.ok_or_else(|| WatchError::Internal(format!("rows of {} came to nothing", table.name)))
}

/// A row with its own time; other times may be written from the start of the case, too.
fn with_times(played: &Played, schema: &SchemaRef, start_micros: i64) -> Row {
    let instant = |offset_micros: i64| {
        let time = DateTime::from_timestamp_micros(start_micros + offset_micros).unwrap_or_default();
        Value::from(time.to_rfc3339_opts(SecondsFormat::Micros, true))
    };
    let mut row = played.row.clone();
    for field in schema.fields().iter().filter(|field| matches!(field.data_type(), DataType::Timestamp(..))) {
        let read = row.get(field.name()).and_then(Value::as_str).and_then(offset);
        if let Some(offset_micros) = read {
            row.insert(field.name().clone(), instant(offset_micros));
        }
    }
    row.entry("time").or_insert_with(|| instant(played.at_micros));
    row
}
