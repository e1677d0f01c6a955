//! Bills and uses as somebody would write them down, and any others.

use super::*;
use proptest::prelude::*;

const HOUR: i64 = 3_600_000_000;

fn tokens(requests: u64, input: u64, cached: u64, output: u64) -> Tokens {
    Tokens { requests, failed: 0, input, cached, output }
}

fn used(hour: i64, who: Option<&str>, tokens: Tokens) -> HourUse {
    let who = who.map(str::to_owned);
    HourUse { hour_micros: hour * HOUR, who, tokens, timed: 0, prefill_seconds: 0.0, decode_seconds: 0.0 }
}

fn bill(hours: &[(i64, i64, i64)]) -> BTreeMap<i64, HourBill> {
    let one =
        |(hour, used, idle): &(i64, i64, i64)| (hour * HOUR, HourBill { used: Micros(*used), idle: Micros(*idle) });
    hours.iter().map(one).collect()
}

fn of<'s>(split: &'s Split, who: &Who) -> &'s Line {
    split.lines.iter().find(|line| line.who == *who).expect("the line is there")
}

#[test]
fn by_tokens_an_answer_counts_four_times_and_a_cached_token_a_tenth() {
    // 1,000 prompt and 250 generated tokens weigh alike; 5,000 cached ones weigh 500.
    let uses = vec![used(0, Some("a"), tokens(1, 1000, 0, 250)), used(0, Some("b"), tokens(1, 5000, 5000, 0))];
    let split = split(&bill(&[(0, 2_500_000, 0)]), uses);
    let a = of(&split, &Who::Named("a".to_owned()));
    let b = of(&split, &Who::Named("b".to_owned()));
    assert_eq!((a.used.prefill, a.used.decode), (Micros(1_000_000), Micros(1_000_000)));
    assert_eq!((b.used.prefill, b.used.decode), (Micros(500_000), Micros(0)));
    assert_eq!(split.by, PhasedBy { time: 0, tokens: 1 });
    assert_eq!(a.allocated, a.used, "nothing was idle");
}

#[test]
fn by_time_the_phases_are_what_they_took() {
    let timed = |who, prefill: f64, decode: f64| HourUse {
        timed: 1,
        prefill_seconds: prefill,
        decode_seconds: decode,
        ..used(0, Some(who), tokens(1, 100, 0, 100))
    };
    let split = split(&bill(&[(0, 900, 100)]), vec![timed("a", 1.0, 3.0), timed("b", 0.0, 5.0)]);
    let (sums, allocated, _) = split.totals();
    assert_eq!((sums.prefill, sums.decode, sums.other), (Micros(100), Micros(800), Micros(100)));
    assert_eq!((allocated.prefill, allocated.decode, allocated.other), (Micros(111), Micros(889), Micros(0)));
    // Tokens are alike, so the phases are shared alike.
    assert_eq!(of(&split, &Who::Named("a".to_owned())).used.total(), Micros(450));
    assert_eq!(split.by, PhasedBy { time: 1, tokens: 0 });
    assert_eq!(of(&split, &Who::Idle).used.total(), Micros(100));
    assert_eq!(of(&split, &Who::Idle).allocated.total(), Micros(0));
}

#[test]
fn hours_without_requests_and_requests_without_a_bill_are_told() {
    let uses = vec![used(0, None, tokens(3, 10, 0, 10)), used(5, Some("late"), tokens(7, 10, 0, 10))];
    let split = split(&bill(&[(0, 100, 50), (1, 70, 30)]), uses);
    assert_eq!(split.unbilled_requests, 7);
    assert_eq!(of(&split, &Who::Unnamed).used.total(), Micros(100));
    assert_eq!(of(&split, &Who::Unnamed).allocated.total(), Micros(150));
    assert_eq!(of(&split, &Who::Idle).used.total(), Micros(80));
    assert_eq!(of(&split, &Who::Idle).allocated.total(), Micros(30));
    assert_eq!(of(&split, &Who::Unattributed).allocated.total(), Micros(70));
    assert!(split.lines.iter().all(|line| line.who != Who::Named("late".to_owned())));
    assert_eq!(super::split(&BTreeMap::new(), Vec::new()), Split::default());
}

#[test]
fn requests_without_tokens_pay_by_their_number() {
    let uses = vec![used(0, Some("a"), tokens(1, 0, 0, 0)), used(0, Some("b"), tokens(3, 0, 0, 0))];
    let split = split(&bill(&[(0, 400, 0)]), uses);
    assert_eq!(of(&split, &Who::Named("b".to_owned())).used.total(), Micros(300));
}

fn any_use() -> impl Strategy<Value = HourUse> {
    let names = prop_oneof![Just(None), Just(Some("a")), Just(Some("b")), Just(Some("idle"))];
    let counts =
        (0..5_u64, prop_oneof![Just(0), 0..1_000_000_u64], 0..2_000_000_u64, prop_oneof![Just(0), 0..100_000_u64]);
    (0..6_i64, names, counts, any::<bool>(), -1.0..50.0_f64, -1.0..500.0_f64).prop_map(
        |(hour, who, (requests, input, cached, output), is_timed, prefill_seconds, decode_seconds)| HourUse {
            timed: if is_timed { requests } else { 0 },
            prefill_seconds,
            decode_seconds,
            ..used(hour, who, tokens(requests, input, cached, output))
        },
    )
}

proptest! {
    #[test]
    fn the_lines_sum_to_the_bill_on_both_bases_in_any_order(
        uses in prop::collection::vec(any_use(), 0..40).prop_shuffle(),
        hours in prop::collection::btree_map(0..6_i64, (-1_000_000..1_000_000_000_i64, 0..1_000_000_000_i64), 0..6),
    ) {
        let bills = hours.iter().map(|(h, (used, idle))| (h * HOUR, HourBill { used: Micros(*used), idle: Micros(*idle) }));
        let bills: BTreeMap<i64, HourBill> = bills.collect();
        let whole: i64 = hours.values().map(|(used, idle)| used + idle).sum();
        let found = split(&bills, uses.clone());
        let (by_use, by_allocation, sums) = found.totals();
        prop_assert_eq!(by_use.total(), Micros(whole));
        prop_assert_eq!(by_allocation.total(), Micros(whole));
        let known: u64 = uses.iter().filter(|u| bills.contains_key(&u.hour_micros)).map(|u| u.tokens.requests).sum();
        prop_assert_eq!(sums.requests, known);
        let all: u64 = uses.iter().map(|u| u.tokens.requests).sum();
        prop_assert_eq!(found.unbilled_requests, all - known);
    }

    #[test]
    fn the_order_of_uses_changes_nothing(uses in prop::collection::vec(any_use(), 0..20)) {
        // Groups of a query are there once each.
        let mut once: BTreeMap<(i64, Option<String>), HourUse> = BTreeMap::new();
        uses.into_iter().for_each(|u| drop(once.insert((u.hour_micros, u.who.clone()), u)));
        let uses: Vec<HourUse> = once.into_values().collect();
        let bills = bill(&[(0, 1_000_003, 7), (1, 999, 1), (2, 5, 5), (3, 0, 0), (4, 77, 0), (5, 1, 1)]);
        let turned: Vec<HourUse> = uses.iter().rev().cloned().collect();
        prop_assert_eq!(split(&bills, uses), split(&bills, turned));
    }
}
