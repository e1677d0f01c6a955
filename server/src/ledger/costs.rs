//! What was paid in a range: the answer of the page of costs, by SQL over the ledger.

use super::carbon::WITH_FACTORS;
use super::read::{Rows, rows_of};
use super::{Ledger, LedgerError};
use crate::cost::{
    Activity, Amount, Category, DIMENSIONS, GpuPlace, JobRun, LedgerDimension, LedgerRow, Micros, Owner, Stage,
    UNOWNED, Unit, Waterfall,
};
use crate::query::Parameter;
use arrow::array::RecordBatch;
use contract::GpuState;
use contract::answers::{CostGroup, CostMonth, CostNotice, Costs, Energy, Range, WaterfallStep};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Groups that a page lists.
const GROUPS_MAX: usize = 100;
const JOULES_PER_KWH: f64 = 3_600_000.0;
/// GPU-hours, of all rows and of those without a price.
const HOURS: &str = "coalesce(sum(quantity) filter (where unit = 'GPU-Hours'), 0.0) as hours, \
    coalesce(sum(quantity) filter (where unit = 'GPU-Hours' and cost_micros is null), 0.0) as unpriced";
const DAY_MICROS: i64 = super::days::DAY;

/// Which rows a question is about.
struct Part<'a> {
    range: Range,
    cluster: Option<&'a str>,
}

impl Part<'_> {
    fn condition(&self, table: &str) -> String {
        let cluster = if self.cluster.is_some() { format!(" and {table}cluster = $3") } else { String::new() };
        format!("{table}time >= $1 and {table}time < $2{cluster}")
    }

    fn parameters(&self) -> Vec<Parameter> {
        let mut with = vec![Parameter::Time(self.range.from_unix_micros), Parameter::Time(self.range.to_unix_micros)];
        with.extend(self.cluster.map(|cluster| Parameter::Text(cluster.to_owned())));
        with
    }
}

/// What costs can be grouped by; else which names are known.
pub(super) fn dimension(by: &str) -> Result<&'static LedgerDimension, LedgerError> {
    LedgerDimension::find(by).ok_or_else(|| LedgerError::NotFound {
        what: "dimension",
        name: by.chars().take(100).collect(),
        hint: format!("there are {}", DIMENSIONS.each_ref().map(|dimension| dimension.name).join(", ")),
    })
}

impl Ledger {
    /// What was paid in the hours that begin in a range, by a dimension such as `team`.
    pub async fn costs(&self, range: Range, by: &str, cluster: Option<&str>) -> Result<Costs, LedgerError> {
        let column = dimension(by)?.column;
        let part = Part { range, cluster };
        let statements = self.statements();
        let mut costs = Costs {
            range,
            currency: statements.currency.to_string(),
            has_prices: statements.book.rows().next().is_some(),
            ..Costs::default()
        };
        self.add_totals(&part, &mut costs).await?;
        self.add_groups(&part, column, &mut costs).await?;
        self.add_energy(&part, column, &mut costs).await?;
        costs.months = self.months(&part).await?;
        costs.waterfall = self.waterfall(range, cluster).await?;
        let notices = self.notices(range.from_unix_micros, range.to_unix_micros).await?.into_iter();
        let told = notices.map(|n| CostNotice { code: n.kind.code().to_owned(), text: n.sentence() });
        costs.notices.extend(told);
        Ok(costs)
    }

    async fn one_row(&self, sql: &str, part: &Part<'_>) -> Result<RecordBatch, LedgerError> {
        let batches = rows_of(&self.inner.engine, sql, part.parameters()).await?;
        let row = batches.into_iter().find(|batch| batch.num_rows() == 1);
        row.ok_or_else(|| LedgerError::Internal("a sum has no row".to_owned()))
    }

    async fn add_totals(&self, part: &Part<'_>, costs: &mut Costs) -> Result<(), LedgerError> {
        let sql = format!(
            "select sum(cost_micros), {HOURS}, sum(cost_micros) filter (where category = 'idle'), \
             sum(cost_micros) filter (where category <> 'idle' and team = '{UNOWNED}') \
             from ledger where {}",
            part.condition("")
        );
        let batch = self.one_row(&sql, part).await?;
        let row = Rows::new(&batch);
        costs.cost_micros = row.int(0, 0).unwrap_or_default();
        costs.gpu_hours = row.float(1, 0).unwrap_or_default();
        costs.unpriced_gpu_hours = row.float(2, 0).unwrap_or_default();
        costs.idle_micros = row.int(3, 0).unwrap_or_default();
        costs.unowned_micros = row.int(4, 0).unwrap_or_default();
        let Range { from_unix_micros, to_unix_micros } = part.range;
        let before = Range {
            from_unix_micros: from_unix_micros.saturating_sub(to_unix_micros.saturating_sub(from_unix_micros)),
            to_unix_micros: from_unix_micros,
        };
        let before = Part { range: before, ..*part };
        let sql = format!("select sum(cost_micros) from ledger where {}", before.condition(""));
        costs.before_micros = Rows::new(&self.one_row(&sql, &before).await?).int(0, 0);
        Ok(())
    }

    async fn add_groups(&self, part: &Part<'_>, column: &str, costs: &mut Costs) -> Result<(), LedgerError> {
        let condition = part.condition("");
        let sql = format!(
            "select {column}, coalesce(sum(cost_micros), 0) as cost, {HOURS} from ledger where {condition} \
             group by 1 order by cost desc, hours desc, 1"
        );
        let mut places: HashMap<Option<String>, usize> = HashMap::new();
        for batch in rows_of(&self.inner.engine, &sql, part.parameters()).await? {
            let rows = Rows::new(&batch);
            for row in 0..batch.num_rows() {
                if costs.groups.len() == GROUPS_MAX {
                    costs.groups_left_out += 1;
                    continue;
                }
                let name = rows.text(0, row).map(str::to_owned);
                places.insert(name.clone(), costs.groups.len());
                costs.groups.push(CostGroup {
                    name,
                    cost_micros: rows.int(1, row).unwrap_or_default(),
                    gpu_hours: rows.float(2, row).unwrap_or_default(),
                    unpriced_gpu_hours: rows.float(3, row).unwrap_or_default(),
                    by_day_micros: Vec::new(),
                    energy: Energy::default(),
                });
            }
        }
        let mut with = part.parameters();
        let names = places.keys().flatten().map(|name| {
            with.push(Parameter::Text(name.clone()));
            format!("${}", with.len())
        });
        let names: Vec<String> = names.collect();
        if costs.groups.is_empty() {
            return Ok(());
        }
        let listed = if names.is_empty() { String::new() } else { format!(" or {column} in ({})", names.join(", ")) };
        let sql = format!(
            "select date_trunc('day', time), {column}, sum(cost_micros) from ledger \
             where {condition} and ({column} is null{listed}) group by 1, 2"
        );
        let by_day = rows_of(&self.inner.engine, &sql, with).await?;
        by_days(&by_day, &places, costs);
        Ok(())
    }

    /// Measured energy and its emissions, of all and of each group. What was not measured is in neither.
    async fn add_energy(&self, part: &Part<'_>, column: &str, costs: &mut Costs) -> Result<(), LedgerError> {
        let sql = format!(
            "select l.{column}, f.source, sum(l.energy_joules), sum(l.energy_joules * f.grams_co2e_per_joule) \
             from {WITH_FACTORS} where {} and l.energy_joules is not null group by 1, 2",
            part.condition("l.")
        );
        let mut groups: HashMap<Option<String>, Energy> = HashMap::new();
        let (mut all, mut sources) = (Energy::default(), BTreeSet::new());
        let has_factors = self.statements().factors.rows().next().is_some();
        for batch in rows_of(&self.inner.engine, &sql, part.parameters()).await? {
            let rows = Rows::new(&batch);
            for row in 0..batch.num_rows() {
                sources.extend(rows.text(1, row).map(str::to_owned));
                for sum in [groups.entry(rows.text(0, row).map(str::to_owned)).or_default(), &mut all] {
                    add(sum, rows.float(2, row), rows.float(3, row));
                }
            }
        }
        for group in &mut costs.groups {
            group.energy = groups.remove(&group.name).unwrap_or_default();
        }
        if all.without_factor_joules > 0.0 && has_factors {
            let text = format!(
                "{:.1} kWh come from grids without a carbon factor, so their emissions are not reported. Give their GPUs \
                 a region by a pool, and the region a factor.",
                all.without_factor_joules / JOULES_PER_KWH
            );
            costs.notices.push(CostNotice { code: "missing_carbon_factor".to_owned(), text });
        }
        (costs.energy, costs.carbon_sources) = (all, sources.into_iter().collect());
        Ok(())
    }

    async fn months(&self, part: &Part<'_>) -> Result<Vec<CostMonth>, LedgerError> {
        let sql = format!(
            "select period, coalesce(sum(cost_micros), 0), \
             coalesce(sum(cost_micros) filter (where corrects is not null), 0), {HOURS} \
             from ledger where {} group by 1 order by 1",
            part.condition("")
        );
        let (statements, mut months) = (self.statements(), Vec::new());
        for batch in rows_of(&self.inner.engine, &sql, part.parameters()).await? {
            let rows = Rows::new(&batch);
            for row in 0..batch.num_rows() {
                let period = rows.text(0, row).unwrap_or_default().to_owned();
                months.push(CostMonth {
                    is_closed: statements.is_closed(&period),
                    period,
                    cost_micros: rows.int(1, row).unwrap_or_default(),
                    correction_micros: rows.int(2, row).unwrap_or_default(),
                    unpriced_gpu_hours: rows.float(4, row).unwrap_or_default(),
                });
            }
        }
        Ok(months)
    }

    /// From what is paid to what is worked. Ratios are means over the hours of a GPU and job, weighted by cost.
    pub async fn waterfall(&self, range: Range, cluster: Option<&str>) -> Result<Vec<WaterfallStep>, LedgerError> {
        let part = Part { range, cluster };
        let sql = format!(
            "select state, category, unit, job_id is not null, sm_active_ratio is not null, \
             tensor_active_ratio is not null, sum(cost_micros) as micros, sum(quantity), \
             sum(cost_micros * sm_active_ratio), sum(cost_micros * tensor_active_ratio), \
             sum(cost_micros * 1.0e0) as whole from ledger where {} group by 1, 2, 3, 4, 5, 6",
            part.condition("")
        );
        let mut waterfall = Waterfall::default();
        for batch in rows_of(&self.inner.engine, &sql, part.parameters()).await? {
            let rows = Rows::new(&batch);
            for row in 0..batch.num_rows() {
                let whole = rows.float(10, row).filter(|cost| *cost != 0.0);
                let ratio = |at| Some((rows.float(at, row)? / whole?).clamp(0.0, 1.0));
                let activity =
                    Activity { sm_active_ratio: ratio(8), tensor_active_ratio: ratio(9), goodput_ratio: None };
                if let Some(summed) = summed(&rows, row) {
                    waterfall.add(&summed, activity);
                }
            }
        }
        Ok(waterfall.steps().into_iter().map(step).collect())
    }
}

/// Adds energy from one grid, with its emissions where that has a factor.
fn add(sum: &mut Energy, joules: Option<f64>, grams: Option<f64>) {
    let Some(joules) = joules else { return };
    sum.measured_joules = Some(sum.measured_joules.unwrap_or_default() + joules);
    match grams {
        Some(grams) => sum.carbon_grams = Some(sum.carbon_grams.unwrap_or_default() + grams),
        None => sum.without_factor_joules += joules,
    }
}

fn step(step: crate::cost::Step) -> WaterfallStep {
    let Amount { gpu_hours, cost } = step.reached.unwrap_or_default();
    let stage = if step.stage == Stage::HeldByProcess { "held_by_a_process" } else { step.stage.as_str() };
    WaterfallStep {
        stage: stage.to_owned(),
        cost_micros: step.reached.map(|_| cost.0),
        gpu_hours: step.reached.map(|_| gpu_hours),
        unknown_micros: step.unknown.cost.0,
    }
}

/// Many rows as one, as far as the waterfall looks at it.
fn summed(rows: &Rows<'_>, row: usize) -> Option<LedgerRow> {
    let text = |at: usize| rows.text(at, row);
    let has_job = rows.bool(3, row).unwrap_or_default();
    Some(LedgerRow {
        hour_micros: 0,
        place: Arc::new(GpuPlace::default()),
        gpu_uuid: None,
        parent_gpu_uuid: None,
        job: has_job.then(|| Arc::new(JobRun::default())),
        owner: Arc::new(Owner { team: UNOWNED.into(), project: None, cost_centre: UNOWNED.into() }),
        state: text(0).and_then(|name| GpuState::ALL.into_iter().find(|state| state.as_str() == name)),
        category: text(1).and_then(|name| Category::ALL.into_iter().find(|c| c.as_str() == name))?,
        quantity: rows.float(7, row).unwrap_or_default(),
        unit: text(2).and_then(|name| Unit::ALL.into_iter().find(|unit| unit.as_str() == name))?,
        rate: None,
        priced_by: None,
        cost: rows.int(6, row).map(Micros),
        electricity: None,
        energy_joules: None,
        overhead: None,
    })
}

fn by_days(batches: &[RecordBatch], places: &HashMap<Option<String>, usize>, costs: &mut Costs) {
    let mut cells: Vec<(i64, usize, i64)> = Vec::new();
    for batch in batches {
        let rows = Rows::new(batch);
        for row in 0..batch.num_rows() {
            let place = places.get(&rows.text(1, row).map(str::to_owned));
            if let (Some(day), Some(at)) = (rows.int(0, row), place) {
                cells.push((day, *at, rows.int(2, row).unwrap_or_default()));
            }
        }
    }
    let days: BTreeSet<i64> = cells.iter().map(|(day, _, _)| *day).collect();
    let (first, last) = (days.first().copied().unwrap_or(0), days.last().copied().unwrap_or(-1));
    costs.days_unix_micros = (0..=(last - first).div_euclid(DAY_MICROS)).map(|i| first + i * DAY_MICROS).collect();
    for group in &mut costs.groups {
        group.by_day_micros = vec![0; costs.days_unix_micros.len()];
    }
    for (day, at, cost) in cells {
        let place = ((day - first) / DAY_MICROS) as usize;
        costs.groups[at].by_day_micros[place] += cost;
    }
}
