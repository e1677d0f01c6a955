//! What was paid for a slice of the ledger: the answer of the page of costs, by few questions asked side by side.

use super::carbon::WITH_FACTORS;
use super::read::{Rows, rows_of};
use super::slice::Slice;
use super::summary::Summary;
use super::{Ledger, LedgerError};
use crate::cost::{Amount, DIMENSIONS, LedgerDimension, Stage};
use crate::query::Parameter;
use arrow::array::RecordBatch;
use contract::answers::{CostGroup, CostMonth, CostNotice, Costs, Energy, WaterfallStep};
use std::collections::{BTreeSet, HashMap};

/// Groups that a page lists.
const GROUPS_MAX: usize = 100;
const JOULES_PER_KWH: f64 = 3_600_000.0;
/// GPU-hours, of all rows and of those without a price.
pub(super) const HOURS: &str = "coalesce(sum(quantity) filter (where unit = 'GPU-Hours'), 0.0) as hours, \
    coalesce(sum(quantity) filter (where unit = 'GPU-Hours' and cost_micros is null), 0.0) as unpriced";
const DAY_MICROS: i64 = super::days::DAY;

/// What costs can be grouped by; else which names are known.
pub(super) fn dimension(by: &str) -> Result<&'static LedgerDimension, LedgerError> {
    LedgerDimension::find(by).ok_or_else(|| LedgerError::NotFound {
        what: "dimension",
        name: by.chars().take(100).collect(),
        hint: format!("there are {}", DIMENSIONS.each_ref().map(|dimension| dimension.name).join(", ")),
    })
}

/// Energy by group, without what grids emit.
type Measured = HashMap<Option<String>, Energy>;

/// Groups, most costly first.
#[derive(Default)]
struct Groups {
    listed: Vec<CostGroup>,
    left_out: u64,
    days: Vec<i64>,
    /// Of all groups, as if no grid had a factor.
    energy: Energy,
}

/// Energy with its emissions.
struct Emitted {
    groups: Measured,
    all: Energy,
    sources: BTreeSet<String>,
}

impl Ledger {
    /// What was paid in the hours of a slice, by a dimension such as `team`.
    pub async fn costs(&self, slice: &Slice, by: &str) -> Result<Costs, LedgerError> {
        let column = dimension(by)?.column;
        let range = slice.range;
        let (summary, before, mut groups, emitted, notices) = futures::try_join!(
            self.summary(slice),
            self.paid_before(slice),
            self.groups(slice, column),
            self.emitted(slice, column),
            self.notices(range.from_unix_micros, range.to_unix_micros)
        )?;
        let told = notices.into_iter().map(|n| CostNotice { code: n.kind.code().to_owned(), text: n.sentence() });
        let mut notices: Vec<CostNotice> = Vec::new();
        let (mut energy, mut sources) = (groups.energy, Vec::new());
        if let Some(mut emitted) = emitted {
            for group in &mut groups.listed {
                group.energy = emitted.groups.remove(&group.name).unwrap_or_default();
            }
            notices.extend(missing_factor(&emitted.all));
            (energy, sources) = (emitted.all, emitted.sources.into_iter().collect());
        }
        notices.extend(told);
        let statements = self.statements();
        let Summary { months, waterfall, .. } = summary;
        let month = |(period, month)| self.standing(CostMonth { period, ..month });
        Ok(Costs {
            range,
            currency: statements.currency.to_string(),
            cost_micros: summary.cost_micros,
            gpu_hours: summary.gpu_hours,
            unpriced_gpu_hours: summary.unpriced_gpu_hours,
            idle_micros: summary.idle_micros,
            unowned_micros: summary.unowned_micros,
            before_micros: before,
            groups: groups.listed,
            groups_left_out: groups.left_out,
            days_unix_micros: groups.days,
            waterfall: waterfall.steps().into_iter().map(step).collect(),
            months: months.into_iter().map(month).collect(),
            notices,
            has_prices: statements.book.rows().next().is_some(),
            energy,
            carbon_sources: sources,
        })
    }

    /// From what is paid to what is worked.
    pub async fn waterfall(&self, slice: &Slice) -> Result<Vec<WaterfallStep>, LedgerError> {
        Ok(self.summary(slice).await?.waterfall.steps().into_iter().map(step).collect())
    }

    /// None where nothing was known then.
    async fn paid_before(&self, slice: &Slice) -> Result<Option<i64>, LedgerError> {
        let conditions = slice.before().conditions("")?;
        let sql = format!("select sum(cost_micros) from ledger where {}", conditions.text());
        let batches = rows_of(&self.inner.engine, &sql, conditions.with).await?;
        Ok(batches.iter().find(|batch| batch.num_rows() == 1).and_then(|batch| Rows::new(batch).int(0, 0)))
    }

    async fn groups(&self, slice: &Slice, column: &str) -> Result<Groups, LedgerError> {
        let conditions = slice.conditions("")?;
        let is = conditions.text();
        let sql = format!(
            "select {column}, coalesce(sum(cost_micros), 0) as cost, {HOURS}, sum(energy_joules) from ledger \
             where {is} group by 1 order by cost desc, hours desc, 1"
        );
        let mut groups = Groups::default();
        let mut places: HashMap<Option<String>, usize> = HashMap::new();
        for batch in rows_of(&self.inner.engine, &sql, conditions.with.clone()).await? {
            let rows = Rows::new(&batch);
            for row in 0..batch.num_rows() {
                let mut energy = Energy::default();
                [&mut energy, &mut groups.energy].into_iter().for_each(|sum| add(sum, rows.float(4, row), None));
                if groups.listed.len() == GROUPS_MAX {
                    groups.left_out += 1;
                    continue;
                }
                let name = rows.text(0, row).map(str::to_owned);
                places.insert(name.clone(), groups.listed.len());
                groups.listed.push(CostGroup {
                    name,
                    cost_micros: rows.int(1, row).unwrap_or_default(),
                    gpu_hours: rows.float(2, row).unwrap_or_default(),
                    unpriced_gpu_hours: rows.float(3, row).unwrap_or_default(),
                    by_day_micros: Vec::new(),
                    energy,
                });
            }
        }
        if groups.listed.is_empty() {
            return Ok(groups);
        }
        let mut with = conditions.with;
        let names = places.keys().flatten().map(|name| {
            with.push(Parameter::Text(name.clone()));
            format!("${}", with.len())
        });
        let names: Vec<String> = names.collect();
        let listed = if names.is_empty() { String::new() } else { format!(" or {column} in ({})", names.join(", ")) };
        let sql = format!(
            "select date_trunc('day', time), {column}, sum(cost_micros) from ledger \
             where {is} and ({column} is null{listed}) group by 1, 2"
        );
        let by_day = rows_of(&self.inner.engine, &sql, with).await?;
        by_days(&by_day, &places, &mut groups);
        Ok(groups)
    }

    /// Measured energy and its emissions; none where no grid has a factor. What was not measured is in neither.
    async fn emitted(&self, slice: &Slice, column: &str) -> Result<Option<Emitted>, LedgerError> {
        if self.statements().factors.rows().next().is_none() {
            return Ok(None);
        }
        let conditions = slice.conditions("l.")?;
        let sql = format!(
            "select l.{column}, f.source, sum(l.energy_joules), sum(l.energy_joules * f.grams_co2e_per_joule) \
             from {WITH_FACTORS} where {} and l.energy_joules is not null group by 1, 2",
            conditions.text()
        );
        let mut found = Emitted { groups: HashMap::new(), all: Energy::default(), sources: BTreeSet::new() };
        for batch in rows_of(&self.inner.engine, &sql, conditions.with).await? {
            let rows = Rows::new(&batch);
            for row in 0..batch.num_rows() {
                found.sources.extend(rows.text(1, row).map(str::to_owned));
                let group = found.groups.entry(rows.text(0, row).map(str::to_owned)).or_default();
                for sum in [group, &mut found.all] {
                    add(sum, rows.float(2, row), rows.float(3, row));
                }
            }
        }
        Ok(Some(found))
    }
}

fn missing_factor(all: &Energy) -> Option<CostNotice> {
    let text = format!(
        "{:.1} kWh come from grids without a carbon factor, so their emissions are not reported. Give their GPUs \
         a region by a pool, and the region a factor.",
        all.without_factor_joules / JOULES_PER_KWH
    );
    (all.without_factor_joules > 0.0).then(|| CostNotice { code: "missing_carbon_factor".to_owned(), text })
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
    WaterfallStep {
        stage: stage_name(step.stage).to_owned(),
        cost_micros: step.reached.map(|_| cost.0),
        gpu_hours: step.reached.map(|_| gpu_hours),
        unknown_micros: step.unknown.cost.0,
    }
}

/// As answers name it.
pub(super) fn stage_name(stage: Stage) -> &'static str {
    if stage == Stage::HeldByProcess { "held_by_a_process" } else { stage.as_str() }
}

fn by_days(batches: &[RecordBatch], places: &HashMap<Option<String>, usize>, groups: &mut Groups) {
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
    groups.days = (0..=(last - first).div_euclid(DAY_MICROS)).map(|i| first + i * DAY_MICROS).collect();
    for group in &mut groups.listed {
        group.by_day_micros = vec![0; groups.days.len()];
    }
    for (day, at, cost) in cells {
        let place = ((day - first) / DAY_MICROS) as usize;
        groups.listed[at].by_day_micros[place] += cost;
    }
}
