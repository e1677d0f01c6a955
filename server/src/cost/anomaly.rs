//! Days that cost more, or less, than days like them, and what made them so.

use super::money::Micros;
use super::period::DAY_MICROS;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Same weekdays that a day is held against; so many weeks back are another time.
const WEEKS: usize = 8;
/// Fewer say nothing of what is usual.
const WEEKS_MIN: usize = 4;
/// A median deviation is that of a normal distribution divided by this.
const MAD_TO_DEVIATION: f64 = 1.4826;
/// As is usual for medians: about one of two thousand days by chance.
const SCORE_MIN: f64 = 3.5;
/// Days that are all alike still differ by so much without anyone's fault.
const DEVIATION_OF_MEDIAN_MIN: f64 = 0.05;
/// A unit of currency is nobody's concern.
const DIFFERENCE_MIN: Micros = Micros(1_000_000);
const DRIVERS_MAX: usize = 5;

/// Costs of a day by what may drive them, such as teams, users or pools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayCosts {
    /// Start of the day in UTC, Unix microseconds.
    pub day_micros: i64,
    pub by: BTreeMap<Arc<str>, Micros>,
}

/// A day that is not like its weekday in the weeks before.
#[derive(Debug, Clone, PartialEq)]
pub struct Anomaly {
    pub day_micros: i64,
    pub cost: Micros,
    /// Median of the same weekdays before.
    pub expected: Micros,
    /// Deviations from it.
    pub score: f64,
    /// What differs most from its own median, and by how much, the largest first.
    pub drivers: Vec<(Arc<str>, Micros)>,
}

/// The days that stand out among `days`, which are in order. A day is held against at most eight of its weekday
/// before it, days that stood out themselves excluded; with fewer than four of them nothing is said.
pub fn anomalies(days: &[DayCosts]) -> Vec<Anomaly> {
    let mut odd: BTreeSet<i64> = BTreeSet::new();
    let mut found = Vec::new();
    for (at, day) in days.iter().enumerate() {
        let alike = |other: &&DayCosts| {
            (day.day_micros - other.day_micros) % (7 * DAY_MICROS) == 0 && !odd.contains(&other.day_micros)
        };
        let before: Vec<&DayCosts> = days[..at].iter().rev().filter(alike).take(WEEKS).collect();
        if let Some(anomaly) = held_against(day, &before) {
            odd.insert(day.day_micros);
            found.push(anomaly);
        }
    }
    found
}

fn held_against(day: &DayCosts, before: &[&DayCosts]) -> Option<Anomaly> {
    if before.len() < WEEKS_MIN {
        return None;
    }
    let cost = total(day);
    let expected = median(before.iter().map(|other| total(other)).collect());
    let off = median(before.iter().map(|other| Micros((total(other) - expected).0.abs())).collect());
    let deviation = (off.0 as f64 * MAD_TO_DEVIATION).max(expected.0 as f64 * DEVIATION_OF_MEDIAN_MIN);
    let difference = cost - expected;
    let score = if deviation > 0.0 { difference.0 as f64 / deviation } else { f64::INFINITY };
    if score.abs() < SCORE_MIN || difference.0.abs() < DIFFERENCE_MIN.0 {
        return None;
    }
    let names: BTreeSet<&Arc<str>> = before.iter().copied().chain([day]).flat_map(|day| day.by.keys()).collect();
    let of = |day: &DayCosts, name: &Arc<str>| day.by.get(name).copied().unwrap_or_default();
    let usual = |name: &Arc<str>| median(before.iter().map(|other| of(other, name)).collect());
    let mut drivers: Vec<(Arc<str>, Micros)> =
        names.into_iter().map(|name| (Arc::clone(name), of(day, name) - usual(name))).collect();
    drivers.retain(|(_, difference)| *difference != Micros::ZERO);
    drivers.sort_by_key(|(name, difference)| (std::cmp::Reverse(difference.0.abs()), Arc::clone(name)));
    drivers.truncate(DRIVERS_MAX);
    Some(Anomaly { day_micros: day.day_micros, cost, expected, score, drivers })
}

fn total(day: &DayCosts) -> Micros {
    day.by.values().copied().sum()
}

/// The middle one, of an even number the lower of the two.
fn median(mut all: Vec<Micros>) -> Micros {
    all.sort_unstable();
    all.get(all.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(at: i64, vision: i64, speech: i64) -> DayCosts {
        let by =
            [("vision", vision), ("speech", speech)].map(|(name, cost)| (Arc::from(name), Micros(cost * 1_000_000)));
        DayCosts { day_micros: at * DAY_MICROS, by: BTreeMap::from(by) }
    }

    /// Seven weeks, with cheap weekends.
    fn weeks() -> Vec<DayCosts> {
        (0..49).map(|at| if at % 7 < 5 { day(at, 100 + at % 3, 50) } else { day(at, 10, 50) }).collect()
    }

    #[test]
    fn a_weekday_is_like_weekdays_and_a_weekend_like_weekends() {
        assert!(anomalies(&weeks()).is_empty());
    }

    #[test]
    fn a_day_that_stands_out_names_its_driver_and_does_not_change_what_is_usual() {
        let mut days = weeks();
        days[40] = day(40, 100, 150);
        days[47] = day(47, 100, 150);
        let found = anomalies(&days);
        assert_eq!(found.iter().map(|a| a.day_micros / DAY_MICROS).collect::<Vec<_>>(), [40, 47]);
        assert_eq!((found[1].cost, found[1].expected), (Micros(250_000_000), Micros(60_000_000)));
        let drivers = [("speech", Micros(100_000_000)), ("vision", Micros(90_000_000))];
        assert_eq!(found[1].drivers, drivers.map(|(name, cost)| (Arc::from(name), cost)));
    }
}
