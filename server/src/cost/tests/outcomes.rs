//! What is not plain has a name, a count and a sentence that a person understands.

use super::*;
use contract::GpuState::{Active, Unallocated};

fn sentence(story: &Story, kind: NoticeKind) -> String {
    let notices = Notice::of(&day(&story.inputs()).1);
    notices.iter().find(|notice| notice.kind == kind).map(Notice::sentence).unwrap_or_default()
}

fn known(story: Story) -> Story {
    story.teams(&[("*", "all")])
}

#[test]
fn a_missing_price_is_told_and_costs_neither_nothing_nor_a_guess() {
    let story = known(story()).gpu(0, "g", &[("ada", Active, 30), ("-", Unallocated, 30)]);
    let expected = ["0 g job-ada all gpu active 0.5000 unpriced", "0 g - unowned idle unallocated 0.5000 unpriced"];
    assert_eq!(story.lines(), expected);
    assert_eq!(story.outcomes(), [("missing_price", 1)]);
    assert_eq!(
        sentence(&story, NoticeKind::MissingPrice),
        "Hours of GPUs or jobs that have no price, so they have no cost: 1 (the first: GPU \"g\" of node \"n1\" in \
         cluster \"c\" at 2026-11-01T00:00:00Z). Add one to the price book."
    );
    let spread = story.policy("idle = \"even\"");
    assert_eq!(spread.lines()[1], "0 g - all idle unallocated 0.5000 unpriced");
}

#[test]
fn prices_that_overlap_are_told_with_their_lines() {
    let story = known(story()).at_price("1").at_price("2").gpu(0, "g", &[("ada", Active, 60)]);
    assert_eq!(story.lines(), ["0 g job-ada all gpu active 1.0000 unpriced"]);
    assert_eq!(story.outcomes(), [("overlapping_prices", 1)]);
    assert!(sentence(&story, NoticeKind::OverlappingPrices).contains("book line 1 and book line 2"));
}

#[test]
fn a_price_in_the_past_or_in_the_future_is_none_now() {
    let ended = known(story()).at_price_from(0, 1, "1").gpu(2, "g", &[("ada", Active, 60)]);
    assert_eq!(ended.outcomes(), [("price_ended", 1)]);
    assert!(sentence(&ended, NoticeKind::PriceEnded).contains("the price ended at 2026-11-01T01:00:00Z"));
    let begins = known(story()).at_price_from(3, 4, "1").accounted("ada", 2, 120, Some(180));
    assert_eq!(begins.outcomes(), [("price_begins_later", 1)]);
    assert_eq!(begins.lines(), ["2 - job-ada all gpu - 2.0000 unpriced"]);
}

#[test]
fn a_job_of_nobody_is_told_once_and_kept() {
    let story = story().at_price("1").gpu(0, "g", &[("ada", Active, 60)]).gpu(1, "h", &[("ada", Active, 60)]);
    assert_eq!(story.outcomes(), [("unknown_owner", 1)]);
    assert_eq!(total(&story.rows()), 2_000_000);
    assert!(sentence(&story, NoticeKind::UnknownOwner).contains("job \"job-ada\" of user \"ada\" in cluster \"c\""));
}

#[test]
fn work_without_a_job_is_told() {
    let story = known(story()).at_price("1").gpu(0, "g", &[("-", Active, 60)]);
    assert_eq!(story.outcomes(), [("work_without_job", 1)]);
}

#[test]
fn a_job_without_an_end_is_charged_until_what_is_known_ends() {
    let mut story = known(story()).at_price("1").accounted("ada", 1, 30, None);
    story.known_to = NOVEMBER + 90 * MINUTE;
    assert_eq!(story.lines(), ["0 - job-ada all gpu - 0.5000 500000", "1 - job-ada all gpu - 0.5000 500000"]);
    assert_eq!(story.outcomes(), [("job_without_end", 1)]);
}

#[test]
fn a_job_that_ends_before_it_starts_costs_nothing() {
    let story = known(story()).at_price("1").accounted("ada", 1, 30, Some(20));
    assert!(story.rows().is_empty());
    assert_eq!(story.outcomes(), [("end_before_start", 1)]);
}

#[test]
fn a_job_without_gpus_or_without_a_start_costs_no_gpus() {
    let mut story = known(story()).accounted("ada", 0, 0, Some(60));
    assert!(story.rows().is_empty());
    assert_eq!(story.outcomes(), [("zero_gpu_job", 1)]);
    let one = Arc::make_mut(&mut story.accounting[0]);
    (one.gpus, one.started_micros) = (Some(4), None);
    assert!(story.rows().is_empty());
    assert!(story.outcomes().is_empty());
}

#[test]
fn a_job_that_comes_twice_for_the_same_time_is_charged_once() {
    let twice = known(story()).at_price("1").accounted("ada", 1, 0, Some(30)).accounted("ada", 1, 0, Some(60));
    assert_eq!(twice.lines(), ["0 - job-ada all gpu - 1.0000 1000000"]);
    assert_eq!(twice.outcomes(), [("duplicate_job", 1)]);
    let again = known(story()).at_price("1").accounted("ada", 1, 0, Some(30)).accounted("ada", 1, 30, Some(60));
    assert_eq!(total(&again.rows()), 1_000_000, "an id may be used again later");
    assert!(again.outcomes().is_empty());
}

#[test]
fn electricity_that_was_not_measured_is_told() {
    let story = known(story()).owned("1", "0.30").gpu(0, "g", &[("ada", Active, 60)]);
    assert_eq!(story.lines(), ["0 g job-ada all gpu active 1.0000 1000000"]);
    assert_eq!(story.outcomes(), [("energy_not_measured", 1)]);
    for nonsense in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
        assert_eq!(story.clone().drawing(&[Some(nonsense)]).outcomes(), [("energy_not_measured", 1)]);
    }
}

#[test]
fn an_instance_of_unknown_size_counts_as_one_slice() {
    let story = known(story()).at_price("7").instance(0, ("g", "g-1", "?"), &[("ada", Active, 60)]);
    assert_eq!(story.lines()[0], "0 g-1 job-ada all gpu active 0.1429 1000000");
    assert_eq!(story.outcomes(), [("unknown_slices", 1)]);
}

#[test]
fn amounts_beyond_a_ledger_are_left_out() {
    let gpu = known(story()).at_price("79228162514264337593543950335").gpu(0, "g", &[("ada", Active, 60)]);
    assert_eq!(gpu.lines(), ["0 g job-ada all gpu active 1.0000 unpriced"]);
    assert_eq!(gpu.outcomes(), [("amount_too_large", 1)]);
    let below = known(story()).at_price("-1").gpu(0, "g", &[("ada", Active, 60)]);
    assert_eq!(below.outcomes(), [("amount_too_large", 1)]);
    let jobs = known(story()).at_price("1000000").accounted("ada", i64::MAX, 0, Some(600));
    assert!(jobs.rows().iter().any(|row| row.cost.is_none()));
    assert_eq!(jobs.outcomes()[0].0, "amount_too_large");
}

#[test]
fn times_from_nowhere_do_not_break_the_ledger() {
    let mut story = known(story()).at_price("1").accounted("ada", 1, 0, None).gpu(0, "g", &[("ada", Active, 60)]);
    for (start, end) in [(i64::MIN, None), (i64::MIN, Some(i64::MAX)), (i64::MAX, None), (0, Some(i64::MIN))] {
        let one = Arc::make_mut(&mut story.accounting[0]);
        (one.started_micros, one.ended_micros) = (Some(start), end);
        assert!(total(&story.rows()) >= 0);
    }
    for micros in [i64::MIN, -1, i64::MAX] {
        story.gpu_hours[0].uses[0].micros = ByState { active: micros, down: micros, ..ByState::default() };
        assert!((0..=25_000_000).contains(&total(&story.rows())));
    }
    let (mut inputs, far) = (story.inputs(), i64::MAX - 1);
    (inputs.from_micros, inputs.to_micros) = (i64::MIN, i64::MAX);
    day(&inputs);
    (inputs.from_micros, inputs.to_micros) = (far, i64::MAX);
    day(&inputs);
}
