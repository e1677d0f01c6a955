//! Who lost what on the way from what is paid to what is worked: a step of the waterfall by a dimension.

use super::costs::{dimension, stage_name};
use super::read::{Rows, rows_of};
use super::slice::Slice;
use super::summary::{COLUMNS, KINDS, SUMS, add};
use super::{Ledger, LedgerError};
use crate::cost::{Amount, Stage, Step, Waterfall};
use std::collections::BTreeMap;

/// Groups that a page lists.
const GROUPS_MAX: usize = 100;
/// Groups that are told apart, each with sums of its own; far more than anybody looks at.
const GROUPS_READ_MAX: usize = 200_000;

/// What did not get from the step above to this one.
#[derive(Debug, Clone, PartialEq)]
pub struct Lost {
    /// None where rows have no such name.
    pub name: Option<String>,
    pub lost: Amount,
    /// What may have got as far, or not: nobody measured.
    pub unknown: Amount,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Losses {
    /// As answers name it.
    pub stage: &'static str,
    /// Who can do something about it.
    pub whose: Option<&'static str>,
    /// Of all groups; each is rounded by itself.
    pub all: Lost,
    /// Those that lost most come first.
    pub groups: Vec<Lost>,
    pub left_out: usize,
}

impl Ledger {
    /// Who lost what on the way to a step such as `allocated`, by a dimension such as `team`.
    pub async fn losses(&self, slice: &Slice, stage: &str, by: &str) -> Result<Losses, LedgerError> {
        let found = Stage::ALL.into_iter().skip(1).find(|known| [stage_name(*known), known.as_str()].contains(&stage));
        let stage = found.ok_or_else(|| LedgerError::NotFound {
            what: "step",
            name: stage.chars().take(100).collect(),
            hint: format!(
                "there are {}",
                Stage::ALL[1..].iter().map(|s| stage_name(*s)).collect::<Vec<_>>().join(", ")
            ),
        })?;
        let (column, conditions) = (dimension(by)?.column, slice.conditions("")?);
        let sql = format!(
            "select {KINDS}, {SUMS}, {column} from ledger where {} group by 1, 2, 3, 4, 5, 6, 13",
            conditions.text()
        );
        let (mut groups, mut whole) = (BTreeMap::<Option<String>, Waterfall>::new(), Waterfall::default());
        for batch in rows_of(&self.inner.engine, &sql, conditions.with).await? {
            let rows = Rows::new(&batch);
            for row in 0..batch.num_rows() {
                add(&mut whole, &rows, row);
                add(groups.entry(rows.text(COLUMNS, row).map(str::to_owned)).or_default(), &rows, row);
            }
            if groups.len() > GROUPS_READ_MAX {
                let text = format!("there are more than {GROUPS_READ_MAX} groups, ask by another dimension");
                return Err(LedgerError::Limit(text));
            }
        }
        let at = stage as usize;
        let lost = |(name, waterfall): (Option<String>, Waterfall)| {
            let Step { lost, unknown, .. } = waterfall.steps()[at];
            Lost { name, lost, unknown }
        };
        let mut groups: Vec<Lost> = groups.into_iter().map(lost).filter(|group| !is_nothing(group)).collect();
        groups.sort_by_key(|group| std::cmp::Reverse((group.lost.cost, group.unknown.cost)));
        let left_out = groups.len().saturating_sub(GROUPS_MAX);
        groups.truncate(GROUPS_MAX);
        let all = lost((None, whole));
        Ok(Losses { stage: stage_name(stage), whose: stage.loss_is_of(), all, groups, left_out })
    }
}

fn is_nothing(group: &Lost) -> bool {
    let nothing = |amount: &Amount| amount.cost.0 == 0 && amount.gpu_hours == 0.0;
    nothing(&group.lost) && nothing(&group.unknown)
}
