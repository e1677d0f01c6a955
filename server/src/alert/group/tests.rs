//! Which messages are wanted when.

use super::*;
use proptest::prelude::*;

const PACE: Pace = Pace { wait_micros: 30, interval_micros: 300, repeat_micros: 4_000 };

fn group(alerts: &[(u64, i64)]) -> Group {
    let active = |started_micros| Active { started_micros, is_muted: false, is_acknowledged: false };
    Group { alerts: alerts.iter().map(|(f, started)| (Fingerprint(*f), active(*started))).collect() }
}

fn names(of: &BTreeSet<ToldAlert>) -> Vec<u64> {
    of.iter().map(|told| told.fingerprint.0).collect()
}

/// Asks and lets the receiver take what is wanted.
fn told(group: &Group, told: &mut Told, now: i64) -> Option<(Why, Vec<u64>, Vec<u64>)> {
    let wanted = group.wanted(told, PACE, now)?;
    told.take(&wanted.firing, &wanted.over, now);
    Some((wanted.why, names(&wanted.firing), names(&wanted.over)))
}

#[test]
fn a_group_waits_then_tells_news_and_repeats() {
    let mut known = Told::default();
    assert_eq!(told(&group(&[(1, 100)]), &mut known, 129), None, "others may follow");
    let two = group(&[(1, 100), (2, 120)]);
    assert_eq!(told(&two, &mut known, 130), Some((Why::First, vec![1, 2], vec![])));
    assert_eq!(told(&two, &mut known, 131), None, "nothing is new");
    let three = group(&[(1, 100), (2, 120), (3, 200)]);
    assert_eq!(told(&three, &mut known, 429), None);
    assert_eq!(told(&three, &mut known, 430), Some((Why::News, vec![1, 2, 3], vec![])));
    assert_eq!(told(&three, &mut known, 4_429), None);
    assert_eq!(told(&three, &mut known, 4_430), Some((Why::Repeat, vec![1, 2, 3], vec![])));
    assert_eq!(told(&group(&[(3, 200)]), &mut known, 4_730), Some((Why::News, vec![3], vec![1, 2])));
    assert_eq!(told(&group(&[]), &mut known, 5_030), Some((Why::News, vec![], vec![3])));
    assert_eq!(told(&group(&[]), &mut known, 50_000), None, "all is well, and everybody knows");
    assert_eq!(told(&group(&[(3, 60_000)]), &mut known, 60_030), Some((Why::First, vec![3], vec![])), "again");
}

#[test]
fn what_began_and_ended_within_the_wait_is_not_told() {
    let mut known = Told::default();
    assert_eq!(told(&group(&[(1, 100)]), &mut known, 110), None);
    assert_eq!(told(&group(&[]), &mut known, 200), None);
}

#[test]
fn what_a_receiver_did_not_take_is_told_later_also_when_it_is_over() {
    let mut known = Told::default();
    let wanted = group(&[(1, 100)]).wanted(&known, PACE, 130).unwrap();
    known.owe(&wanted.firing);
    assert_eq!(told(&group(&[]), &mut known, 3_600), Some((Why::News, vec![], vec![1])));
    assert_eq!(told(&group(&[]), &mut known, 9_000), None);
}

#[test]
fn what_is_muted_is_not_told_but_its_end_is() {
    let mut known = Told::default();
    let mut muted = group(&[(1, 100)]);
    assert!(told(&muted, &mut known, 130).is_some());
    muted.alerts.get_mut(&Fingerprint(1)).unwrap().is_muted = true;
    assert_eq!(told(&muted, &mut known, 10_000), None);
    assert_eq!(told(&group(&[]), &mut known, 10_001), Some((Why::News, vec![], vec![1])));
    assert_eq!(told(&muted, &mut Told::default(), 10_000), None, "never heard of");
}

#[test]
fn what_somebody_works_at_is_not_repeated() {
    let mut known = Told::default();
    let mut group = group(&[(1, 100)]);
    assert!(told(&group, &mut known, 130).is_some());
    group.alerts.get_mut(&Fingerprint(1)).unwrap().is_acknowledged = true;
    assert_eq!(told(&group, &mut known, 100_000), None);
}

#[test]
fn a_clock_that_is_set_hushes_nothing_and_repeats_no_more_than_once() {
    let mut known = Told::default();
    assert!(told(&group(&[(1, 100_000)]), &mut known, 100_030).is_some());
    let two = group(&[(1, 100_000), (2, 50_000)]);
    assert_eq!(told(&two, &mut known, 50_000), Some((Why::News, vec![1, 2], vec![])), "set back by hours");
    assert_eq!(told(&two, &mut known, 50_001), None);
    let three = group(&[(1, 100_000), (2, 50_000), (3, 49_900)]);
    assert_eq!(told(&three, &mut known, 49_900), None, "set back by less than the interval, which is waited for");
    assert_eq!(told(&three, &mut known, 50_300), Some((Why::News, vec![1, 2, 3], vec![])));
    assert_eq!(told(&three, &mut known, 900_000), Some((Why::Repeat, vec![1, 2, 3], vec![])), "set ahead by hours");
    assert_eq!(told(&three, &mut known, 900_001), None);
}

proptest! {
    /// Alerts come and go, receivers take or refuse: in the end each knows what is true, and heard each thing once.
    #[test]
    fn a_receiver_knows_what_is_true_in_the_end(
        turns in proptest::collection::vec((0_i64..600, 0_u64..4, 0_u8..3, proptest::bool::ANY), 1..60),
    ) {
        let (mut now, mut known) = (0, Told::default());
        let mut active: BTreeMap<u64, i64> = BTreeMap::new();
        // By the messages that were taken: what the receiver believes to fire.
        let mut believed: BTreeSet<ToldAlert> = BTreeSet::new();
        let mut tell = |active: &BTreeMap<u64, i64>, known: &mut Told, now: i64, is_taken: bool| {
            let all: Vec<(u64, i64)> = active.iter().map(|(f, s)| (*f, *s)).collect();
            let Some(wanted) = group(&all).wanted(known, PACE, now) else { return Ok(()) };
            if !is_taken {
                known.owe(&wanted.firing);
                return Ok(());
            }
            known.take(&wanted.firing, &wanted.over, now);
            for over in &wanted.over {
                prop_assert!(!wanted.firing.contains(over));
                believed.remove(over);
            }
            let fresh = wanted.firing.iter().filter(|told| !believed.contains(told)).count();
            prop_assert!(fresh > 0 || !wanted.over.is_empty() || wanted.why == Why::Repeat, "nothing new was said");
            believed.extend(wanted.firing.iter().copied());
            prop_assert_eq!(&believed, &known.firing);
            Ok(())
        };
        for (wait, which, what, is_taken) in turns {
            now += wait;
            match what {
                0 => drop(active.entry(which).or_insert(now)),
                1 => drop(active.remove(&which)),
                _ => {}
            }
            tell(&active, &mut known, now, is_taken)?;
        }
        now += PACE.interval_micros + PACE.wait_micros;
        tell(&active, &mut known, now, true)?;
        let truth: BTreeSet<ToldAlert> =
            active.iter().map(|(f, s)| ToldAlert { fingerprint: Fingerprint(*f), started_micros: *s }).collect();
        prop_assert_eq!(known.firing, truth);
    }
}
