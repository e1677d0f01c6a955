//! Asks the engine for what rules look at: sums over hours, never samples, each question once for all rules.

mod jobs;
mod losses;
mod money;
mod telemetry;

use super::InsightError;
use super::facts::{Facts, HOUR, Text, Window};
use super::incidents::Losses;
use crate::query::{Engine, Parameter, Rows};
use std::collections::HashSet;

/// The same text is kept once.
#[derive(Default)]
struct Names(HashSet<Text>);

impl Names {
    fn get(&mut self, text: &str) -> Text {
        if let Some(known) = self.0.get(text) {
            return known.clone();
        }
        let name = Text::from(text);
        self.0.insert(name.clone());
        name
    }

    fn maybe(&mut self, text: Option<&str>) -> Option<Text> {
        text.map(|text| self.get(text))
    }
}

/// One row of an answer.
struct Row<'a> {
    rows: &'a Rows<'a>,
    at: usize,
    names: &'a mut Names,
}

impl Row<'_> {
    fn text(&mut self, column: usize) -> Text {
        self.names.get(self.rows.text(column, self.at).unwrap_or_default())
    }

    fn maybe(&mut self, column: usize) -> Option<Text> {
        self.names.maybe(self.rows.text(column, self.at))
    }

    fn texts(&mut self, column: usize) -> Vec<Text> {
        self.rows.texts(column, self.at).into_iter().map(|text| self.names.get(text)).collect()
    }

    fn int(&self, column: usize) -> Option<i64> {
        self.rows.int(column, self.at)
    }

    fn float(&self, column: usize) -> Option<f64> {
        self.rows.float(column, self.at).filter(|value| value.is_finite())
    }
}

/// The rows of an answer, at most so many.
async fn read<T>(
    engine: &Engine,
    sql: &str,
    window: Window,
    (what, most): (&'static str, usize),
    mut row: impl FnMut(&mut Row<'_>) -> T,
) -> Result<Vec<T>, InsightError> {
    let with = vec![Parameter::Time(window.from_micros), Parameter::Time(window.to_micros)];
    let batches = engine.sql(&format!("{sql} limit {}", most + 1), with).await?.collect().await?;
    let count: usize = batches.iter().map(|batch| batch.num_rows()).sum();
    if count > most {
        return Err(InsightError::TooMany { what, most });
    }
    let mut names = Names::default();
    let mut all = Vec::with_capacity(count);
    for batch in &batches {
        let rows = Rows::new(batch);
        for at in 0..batch.num_rows() {
            all.push(row(&mut Row { rows: &rows, at, names: &mut names }));
        }
    }
    Ok(all)
}

/// Everything about a window; the ledger's hours in it say how much of it is known.
pub(super) async fn facts(engine: &Engine, window: Window) -> Result<(Facts, Losses), InsightError> {
    let (money, uses, jobs, events) = futures::try_join!(
        money::ask(engine, window),
        telemetry::uses(engine, window),
        jobs::ask(engine, window),
        telemetry::events(engine, window),
    )?;
    let known = Window {
        from_micros: money.cells.iter().map(|cell| cell.hours.from_micros).min().unwrap_or(window.from_micros),
        to_micros: money.cells.iter().map(|cell| cell.hours.to_micros).max().unwrap_or(window.to_micros),
    };
    let mut facts = Facts {
        window: Window { to_micros: known.to_micros.max(known.from_micros + HOUR), ..known },
        currency: money.currency,
        cells: money.cells,
        uses,
        jobs,
        events,
        spare: money.spare,
    };
    let losses = losses::ask(engine, window, &mut facts).await?;
    Ok((facts, losses))
}
