//! Months that were closed, and what is learned of them later.

use super::laws::{Facts, facts, told};
use super::*;
use contract::GpuState::{Active, Unallocated};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Costs and hours of the one, less those of the other, by what rows are about.
fn differences(ledger: &[LedgerRow], fresh: &[LedgerRow]) -> Vec<(String, i64, f64)> {
    let mut sums: BTreeMap<String, (i64, f64)> = BTreeMap::new();
    for (row, sign) in ledger.iter().map(|row| (row, 1)).chain(fresh.iter().map(|row| (row, -1))) {
        let job = row.job.as_ref().map(|job| (&job.job_id, job.attempt, &job.user));
        let about = (row.hour_micros, &row.gpu_uuid, &row.parent_gpu_uuid, job, &row.owner, row.state, row.category);
        let sum = sums.entry(format!("{about:?} {:?} {:?}", row.place, row.overhead)).or_default();
        sum.0 += sign * row.cost.unwrap_or_default().0;
        sum.1 += sign as f64 * row.quantity;
    }
    sums.retain(|_, (cost, hours)| *cost != 0 || hours.abs() > 1e-8);
    sums.into_iter().map(|(about, (cost, hours))| (about, cost, hours)).collect()
}

fn posted(adjustments: Vec<Adjustment>) -> Vec<LedgerRow> {
    adjustments.into_iter().map(|adjustment| adjustment.row).collect()
}

#[test]
fn a_late_job_moves_an_idle_hour_and_names_the_month() {
    let before = story().at_price("2").gpu(0, "g", &[("-", Unallocated, 60)]);
    let after = story().at_price("2").gpu(0, "g", &[("ada", Active, 30), ("-", Unallocated, 30)]);
    let adjustments = adjustments(&before.rows(), &after.rows());
    assert!(adjustments.iter().all(|adjustment| adjustment.corrects.to_string() == "2026-11"));
    let lines: Vec<String> = posted(adjustments).iter().map(line).collect();
    let expected = ["0 g - unowned idle unallocated -0.5000 -1000000", "0 g job-ada unowned gpu active 0.5000 1000000"];
    assert_eq!(lines, expected);
}

#[test]
fn a_price_of_the_past_is_posted_as_a_difference() {
    let at = |price: &str| story().at_price(price).gpu(0, "g", &[("ada", Active, 60)]).rows();
    let difference = |frozen: &[LedgerRow], fresh: &[LedgerRow]| -> Vec<String> {
        posted(adjustments(frozen, fresh)).iter().map(line).collect()
    };
    assert_eq!(difference(&at("2"), &at("1.50")), ["0 g job-ada unowned gpu active 0.0000 -500000"]);
    let unpriced = story().gpu(0, "g", &[("ada", Active, 60)]).rows();
    assert_eq!(difference(&unpriced, &at("2")), ["0 g job-ada unowned gpu active 0.0000 2000000"]);
    assert_eq!(difference(&at("2"), &unpriced), ["0 g job-ada unowned gpu active 0.0000 -2000000"]);
    assert!(difference(&at("2"), &at("2.00")).is_empty());
}

#[test]
fn what_a_scheduler_learns_of_a_jobs_end_moves_nothing() {
    let story = story().at_price("2").gpu(0, "g", &[("ada", Active, 60)]);
    let mut ended = story.clone();
    let job = JobRun { ended_micros: Some(NOVEMBER), gpus: Some(1), ..(*job("ada")).clone() };
    ended.gpu_hours[0].uses[0].job = Some(Arc::new(job));
    assert!(adjustments(&story.rows(), &ended.rows()).is_empty());
    let renamed = JobRun { user: Some(Arc::from("bob")), ..(*job_of(&story)).clone() };
    ended.gpu_hours[0].uses[0].job = Some(Arc::new(renamed));
    assert_eq!(adjustments(&story.rows(), &ended.rows()).len(), 2, "but another user is another subject");
}

fn job_of(story: &Story) -> Arc<JobRun> {
    story.gpu_hours[0].uses[0].job.clone().unwrap()
}

/// Some of the facts of the one, the rest of the other: what was known earlier.
fn earlier(one: &Facts, other: &Facts, keep: usize) -> Facts {
    Facts {
        gpus: one.gpus.iter().take(keep).chain(other.gpus.iter().take(2)).cloned().collect(),
        jobs: one.jobs.iter().take(keep).copied().collect(),
        prices: one
            .prices
            .iter()
            .zip(&other.prices)
            .map(|(a, b)| if keep.is_multiple_of(2) { *a } else { *b })
            .collect(),
        ..other.clone()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn frozen_and_posted_are_fresh_however_often_it_changes(one in facts(), other in facts(), keep in 0..6_usize) {
        let mut ledger = told(&earlier(&one, &other, keep)).rows();
        let closed = ledger.clone();
        for facts in [&one, &earlier(&other, &one, keep), &other] {
            let fresh = told(facts).rows();
            let adjustments = adjustments(&ledger, &fresh);
            prop_assert!(adjustments.iter().all(|a| Some(a.corrects) == Period::of(a.row.hour_micros)));
            ledger.extend(posted(adjustments));
            prop_assert_eq!(differences(&ledger, &fresh), []);
            prop_assert!(super::adjustments(&ledger, &fresh).is_empty(), "posted twice is posted once");
        }
        prop_assert_eq!(&ledger[..closed.len()], &closed[..]);
    }
}
