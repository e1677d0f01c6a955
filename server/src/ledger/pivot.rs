//! Costs by two dimensions, and beside them those of the range before.
//!
//! **Invariant:** the cells of a row with what is beyond them sum to the row, and the rows with the rest to the total.

use super::costs::{HOURS, dimension};
use super::read::{Rows, rows_of};
use super::slice::Slice;
use super::{Ledger, LedgerError};
use crate::query::Parameter;
use contract::GpuState;
use contract::answers::Range;
use std::collections::HashMap;

/// Rows of a table that somebody looks at.
const ROWS_MAX: usize = 100;
/// Likewise; a picture asks for more columns than a table has room for.
const COLUMNS_MAX: usize = 100;
const COLUMNS_DEFAULT: usize = 12;
/// Pairs that are told apart: some hundred bytes each, in memory at once.
const PAIRS_MAX: usize = 1_000_000;

/// Which table.
#[derive(Debug, Clone, Default)]
pub struct PivotAsked {
    pub slice: Slice,
    /// Dimensions, such as `team`.
    pub rows: String,
    pub columns: Option<String>,
    pub columns_max: Option<usize>,
    /// Whether the range before is told beside.
    pub has_before: bool,
}

/// A row, or the sum of several.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PivotRow {
    /// None where rows of the ledger have no such name.
    pub name: Option<String>,
    pub cost_micros: i64,
    pub gpu_hours: f64,
    pub unpriced_gpu_hours: f64,
    /// None where nothing is known of the range before, or it was not asked for.
    pub before_micros: Option<i64>,
    /// Place of the column and cost, in order of columns; where there is none, there are no rows.
    pub cells: Vec<(usize, i64)>,
    /// Of columns beyond those that are listed.
    pub beyond_micros: i64,
}

/// A table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pivot {
    pub before: Option<Range>,
    pub columns: Vec<Option<String>>,
    pub columns_left_out: usize,
    /// Most costly first.
    pub rows: Vec<PivotRow>,
    pub rows_left_out: usize,
    /// Of the rows that are not listed.
    pub rest: PivotRow,
    pub total: PivotRow,
}

/// A row while it is summed, its cells by the number of their column.
#[derive(Default)]
struct Summing {
    row: PivotRow,
    cells: HashMap<usize, i64>,
}

impl Ledger {
    /// A table of costs by one or two dimensions.
    ///
    /// # Errors
    /// A dimension is unknown, both are the same, or there are too many pairs.
    pub async fn pivot(&self, asked: &PivotAsked) -> Result<Pivot, LedgerError> {
        let rows = dimension(&asked.rows)?;
        let columns = asked.columns.as_deref().map(dimension).transpose()?;
        if columns == Some(rows) {
            return Err(LedgerError::Refused(format!("rows and columns are both {}, give two dimensions", rows.name)));
        }
        let most = asked.columns_max.unwrap_or(COLUMNS_DEFAULT);
        if !(1..=COLUMNS_MAX).contains(&most) {
            return Err(LedgerError::Refused(format!("columns_max is {most}, give 1 to {COLUMNS_MAX}")));
        }
        let before = asked.slice.before().range;
        let mut whole = asked.slice.clone();
        if asked.has_before {
            whole.range.from_unix_micros = before.from_unix_micros;
        }
        let mut conditions = whole.conditions("")?;
        let is = conditions.text();
        conditions.with.push(Parameter::Time(asked.slice.range.from_unix_micros));
        let sql = format!(
            "select {}, {}, time >= ${} as is_now, sum(cost_micros), {HOURS} from ledger where {is} group by 1, 2, 3",
            rows.column,
            columns.map_or("cast(null as varchar)", |dimension| dimension.column),
            conditions.with.len()
        );
        let mut table = Table::default();
        for batch in rows_of(&self.inner.engine, &sql, conditions.with).await? {
            let found = Rows::new(&batch);
            (0..batch.num_rows()).for_each(|row| table.add(&found, row));
            if table.pairs > PAIRS_MAX {
                let text = format!("there are more than {PAIRS_MAX} pairs, ask for fewer hours or another dimension");
                return Err(LedgerError::Limit(text));
            }
        }
        let mut pivot = table.laid_out(columns.map(|dimension| dimension.name), most);
        pivot.before = asked.has_before.then_some(before);
        Ok(pivot)
    }
}

/// All pairs, before the few are chosen that are listed.
#[derive(Default)]
struct Table {
    rows: HashMap<Option<String>, Summing>,
    /// Numbers of columns by their names, and what each costs.
    columns: HashMap<Option<String>, usize>,
    by_column: Vec<i64>,
    total: PivotRow,
    pairs: usize,
}

impl Table {
    fn add(&mut self, found: &Rows<'_>, at: usize) {
        self.pairs += 1;
        let name = |column: usize| found.text(column, at).map(str::to_owned);
        let cost = found.int(3, at);
        if !found.bool(2, at).unwrap_or_default() {
            // Without a price nothing is known of it.
            let Some(cost) = cost else { return };
            for sum in [&mut self.rows.entry(name(0)).or_default().row, &mut self.total] {
                sum.before_micros = Some(sum.before_micros.unwrap_or_default() + cost);
            }
            return;
        }
        let row = self.rows.entry(name(0)).or_default();
        for sum in [&mut row.row, &mut self.total] {
            sum.cost_micros += cost.unwrap_or_default();
            sum.gpu_hours += found.float(4, at).unwrap_or_default();
            sum.unpriced_gpu_hours += found.float(5, at).unwrap_or_default();
        }
        // What has no price has no cost, and is no cell of 0.
        let Some(cost) = cost else { return };
        let next = self.columns.len();
        let column = *self.columns.entry(name(1)).or_insert(next);
        self.by_column.resize(self.columns.len(), 0);
        self.by_column[column] += cost;
        *row.cells.entry(column).or_default() += cost;
    }

    /// The most costly rows and columns, and the sums of what is beyond. `by` is the dimension of the columns.
    fn laid_out(self, by: Option<&str>, columns_max: usize) -> Pivot {
        let Self { rows, columns, by_column, mut total, .. } = self;
        let has_columns = by.is_some();
        let mut named: Vec<(Option<String>, usize)> = columns.into_iter().filter(|_| has_columns).collect();
        named.sort_by(|(a, i), (b, j)| by_column[*j].cmp(&by_column[*i]).then_with(|| a.cmp(b)));
        let columns_left_out = named.len().saturating_sub(columns_max);
        named.truncate(columns_max);
        named.sort_by_key(|(name, _)| natural(by, name.as_deref()));
        let place: HashMap<usize, usize> = named.iter().enumerate().map(|(at, (_, number))| (*number, at)).collect();
        let has_before = total.before_micros.is_some();
        let finish = |(name, summing): (Option<String>, Summing)| {
            let mut row = PivotRow { name, ..summing.row };
            row.before_micros = row.before_micros.or(has_before.then_some(0));
            for (number, cost) in summing.cells {
                match place.get(&number) {
                    Some(at) => row.cells.push((*at, cost)),
                    None if has_columns => row.beyond_micros += cost,
                    None => {}
                }
            }
            row.cells.sort_unstable();
            row
        };
        let mut rows: Vec<PivotRow> = rows.into_iter().map(finish).collect();
        rows.sort_by(|a, b| {
            let hours = || b.gpu_hours.total_cmp(&a.gpu_hours);
            b.cost_micros.cmp(&a.cost_micros).then_with(hours).then_with(|| a.name.cmp(&b.name))
        });
        let beyond = rows.split_off(rows.len().min(ROWS_MAX));
        total.cells = named.iter().enumerate().map(|(at, (_, number))| (at, by_column[*number])).collect();
        let listed: i64 = total.cells.iter().map(|(_, cost)| cost).sum();
        total.beyond_micros = if has_columns { total.cost_micros - listed } else { 0 };
        Pivot {
            before: None,
            columns: named.into_iter().map(|(name, _)| name).collect(),
            columns_left_out,
            rows_left_out: beyond.len(),
            rest: sum(&beyond),
            rows,
            total,
        }
    }
}

/// States and months have an order of their own; other columns are in that of their cost.
fn natural(by: Option<&str>, name: Option<&str>) -> (usize, Option<String>) {
    match by {
        Some("state") => (GpuState::ALL.iter().position(|s| Some(s.as_str()) == name).unwrap_or(usize::MAX), None),
        Some("period") => (0, name.map(str::to_owned)),
        _ => (0, None),
    }
}

fn sum(rows: &[PivotRow]) -> PivotRow {
    let mut all = PivotRow::default();
    let mut cells: HashMap<usize, i64> = HashMap::new();
    for row in rows {
        all.cost_micros += row.cost_micros;
        all.gpu_hours += row.gpu_hours;
        all.unpriced_gpu_hours += row.unpriced_gpu_hours;
        all.before_micros = row.before_micros.map(|before| all.before_micros.unwrap_or_default() + before);
        all.beyond_micros += row.beyond_micros;
        row.cells.iter().for_each(|(at, cost)| *cells.entry(*at).or_default() += cost);
    }
    all.cells = cells.into_iter().collect();
    all.cells.sort_unstable();
    all
}
